/**
 * The common part of every service's configuration: the addresses of Kafka, registry and Redis, and how the
 * service is watched and ended.
 */
import { duration } from '@sluice/contracts/specs/plain-values'
import { isSluiceError } from '@sluice/contracts/errors'
import { parseRedisAddress } from '@sluice/redis/redis-address'
import { z } from 'zod'
import {
  DISTRIBUTED_SECRETS,
  DISTRIBUTED_VARIABLES,
  prefixOf,
  settingsOf,
  type DistributedSettings,
} from './settings/distributed.ts'
import { envMemory, envPort, parseEnvironment, secretOf, type Environment } from './environment.ts'
import { envLogLevel, type LOG_LEVELS } from './settings/log-levels.ts'

const DEFAULT_SHUTDOWN_MS = 25_000

export interface ServiceConfig extends DistributedSettings {
  readonly redis: RedisSettings['redis']
  readonly host: string
  readonly port: number
  /** Undefined if everybody who reaches the port may read the metrics. */
  readonly metricsToken?: string
  readonly logLevel: (typeof LOG_LEVELS)[number]
  readonly shutdownTimeoutMs: number
  /** The memory that this process may use, in bytes. */
  readonly memoryBytes: number
}

/** The address of Redis, in the forms of `parseRedisAddress`, which says what is wrong. */
const redisUrl = z.string('expected a URL such as redis://redis:6379').superRefine((url, context) => {
  try {
    parseRedisAddress(url)
  } catch (error) {
    if (!isSluiceError(error, 'config')) throw error
    context.addIssue({ code: 'custom', message: error.details[0]?.message ?? error.message })
  }
})

/** The address of Redis, and the prefix of its keys. */
export interface RedisSettings {
  readonly redis: { readonly url: string; readonly ca?: string }
  readonly prefix: string
  readonly startupTimeoutMs: number
}

const redisVariables = z.object({
  SLUICE_REDIS_URL: redisUrl,
  SLUICE_REDIS_CA: z.string().optional(),
  SLUICE_PREFIX: DISTRIBUTED_VARIABLES.SLUICE_PREFIX,
  SLUICE_ENV: DISTRIBUTED_VARIABLES.SLUICE_ENV,
  SLUICE_STARTUP_TIMEOUT: DISTRIBUTED_VARIABLES.SLUICE_STARTUP_TIMEOUT,
})

/** Reads the settings of Redis alone; null if the environment names none. Throws `config`. */
export function redisSettings(env: Environment): RedisSettings | null {
  if (secretOf(env, 'SLUICE_REDIS_URL') === undefined) return null
  const read = parseEnvironment(redisVariables, env, { secrets: SERVICE_SECRETS })
  return {
    redis: redisOf(read),
    prefix: prefixOf(read),
    startupTimeoutMs: read.SLUICE_STARTUP_TIMEOUT,
  }
}

/** Returns the variables of every service, for the schema of a service to spread. */
export const serviceVariables = (defaults: { readonly port: number }) => ({
  ...DISTRIBUTED_VARIABLES,
  SLUICE_REDIS_URL: redisUrl,
  SLUICE_REDIS_CA: z.string().optional(),
  SLUICE_HOST: z.string().default('0.0.0.0'),
  SLUICE_PORT: envPort.default(defaults.port),
  SLUICE_METRICS_TOKEN: z.string().min(16, 'expected at least 16 characters').optional(),
  SLUICE_LOG_LEVEL: envLogLevel.default('info'),
  SLUICE_SHUTDOWN_TIMEOUT: duration.default(DEFAULT_SHUTDOWN_MS),
  SLUICE_MEMORY: envMemory,
})

/** The variables that are secrets, or may contain one. Each may be given as a file. */
export const SERVICE_SECRETS = [
  ...DISTRIBUTED_SECRETS,
  'SLUICE_REDIS_URL',
  'SLUICE_REDIS_CA',
  'SLUICE_METRICS_TOKEN',
] as const

export type ServiceVariables = z.infer<z.ZodObject<ReturnType<typeof serviceVariables>>>

/** Returns the common part of a service's configuration from its checked variables. */
export function serviceConfigOf(variables: ServiceVariables, env: Environment): ServiceConfig {
  const { SLUICE_METRICS_TOKEN: metricsToken } = variables
  return {
    ...settingsOf(variables, env),
    redis: redisOf(variables),
    host: variables.SLUICE_HOST,
    port: variables.SLUICE_PORT,
    ...(metricsToken === undefined ? {} : { metricsToken }),
    logLevel: variables.SLUICE_LOG_LEVEL,
    shutdownTimeoutMs: variables.SLUICE_SHUTDOWN_TIMEOUT,
    memoryBytes: variables.SLUICE_MEMORY,
  }
}

function redisOf(
  variables: Pick<ServiceVariables, 'SLUICE_REDIS_URL' | 'SLUICE_REDIS_CA'>,
): RedisSettings['redis'] {
  const { SLUICE_REDIS_URL: url, SLUICE_REDIS_CA: ca } = variables
  return { url, ...(ca === undefined ? {} : { ca }) }
}
