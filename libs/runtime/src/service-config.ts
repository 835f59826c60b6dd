/** What every service's configuration has beside its own variables: where the others are, and how it is watched and ended. */
import { duration } from '@sluice/contracts/resources'
import { z } from 'zod'
import { DISTRIBUTED_VARIABLES, settingsOf, type DistributedSettings } from './distributed-settings.ts'
import { envPort, type Environment } from './environment.ts'
import { LOG_LEVELS } from './logger.ts'

const DEFAULT_SHUTDOWN_MS = 25_000

export interface ServiceConfig extends DistributedSettings {
  readonly host: string
  readonly port: number
  readonly logLevel: (typeof LOG_LEVELS)[number]
  readonly shutdownTimeoutMs: number
}

/** The variables of every service, to be spread into the schema of its own. */
export const serviceVariables = (defaults: { readonly port: number }) => ({
  ...DISTRIBUTED_VARIABLES,
  SLUICE_HOST: z.string().default('0.0.0.0'),
  SLUICE_PORT: envPort.default(defaults.port),
  SLUICE_LOG_LEVEL: z.enum(LOG_LEVELS, `expected one of ${LOG_LEVELS.join(', ')}`).default('info'),
  SLUICE_SHUTDOWN_TIMEOUT: duration.default(DEFAULT_SHUTDOWN_MS),
})

export type ServiceVariables = z.infer<z.ZodObject<ReturnType<typeof serviceVariables>>>

/** The common part of a service's checked variables. */
export function serviceConfigOf(variables: ServiceVariables, env: Environment): ServiceConfig {
  return {
    ...settingsOf(variables, env),
    host: variables.SLUICE_HOST,
    port: variables.SLUICE_PORT,
    logLevel: variables.SLUICE_LOG_LEVEL,
    shutdownTimeoutMs: variables.SLUICE_SHUTDOWN_TIMEOUT,
  }
}
