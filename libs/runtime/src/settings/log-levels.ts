/** How much a process logs: `SLUICE_LOG_LEVEL`. */
import { z } from 'zod'
import { parseEnvironment, type Environment } from '../environment.ts'

/** What the variable may say, from the most to the least. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

export const envLogLevel = z.enum(LOG_LEVELS, `expected one of ${LOG_LEVELS.join(', ')}`)

/** The level that the environment names, or undefined. Throws `config` for one that there is not. */
export function logLevelOf(env: Environment): (typeof LOG_LEVELS)[number] | undefined {
  const variables = z.object({ SLUICE_LOG_LEVEL: envLogLevel.optional() })
  return parseEnvironment(variables, env).SLUICE_LOG_LEVEL
}
