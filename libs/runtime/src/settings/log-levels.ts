/** Reads the level of the log from `SLUICE_LOG_LEVEL`. */
import { z } from 'zod'
import { parseEnvironment, type Environment } from '../environment.ts'

/** The values of the variable, from the most lines to none. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

export const envLogLevel = z.enum(LOG_LEVELS, `expected one of ${LOG_LEVELS.join(', ')}`)

/** Returns the level that the environment names, or undefined. Throws `config` for an unknown one. */
export function logLevelOf(env: Environment): (typeof LOG_LEVELS)[number] | undefined {
  const variables = z.object({ SLUICE_LOG_LEVEL: envLogLevel.optional() })
  return parseEnvironment(variables, env).SLUICE_LOG_LEVEL
}
