/**
 * The variables by which a process of the distributed profile finds Kafka, the schema registry and Redis, and
 * the settings that follow from them. A service's configuration adds variables of its own.
 */
import { SluiceError } from '@sluice/contracts/errors'
import { duration } from '@sluice/contracts/specs/plain-values'
import { Signatures } from '@sluice/topics/signatures'
import { ENVIRONMENT_NAME, ENVIRONMENT_NAME_WANTED } from '@sluice/domain/environment-name'
import { z } from 'zod'
import { envBoolean, envList, parseEnvironment, secretOf, type Environment } from '../environment.ts'

const MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'] as const

const DEFAULT_PREFIX = 'sluice'
const DEFAULT_STARTUP_MS = 60_000

const BROKERS_WANTED = 'expected host:port of some brokers, between commas, such as kafka:9092'

/** The variables that all processes of the distributed profile have in common. */
export const DISTRIBUTED_VARIABLES = {
  SLUICE_KAFKA_BROKERS: z
    .string(BROKERS_WANTED)
    .pipe(envList)
    .refine(brokers => brokers.every(broker => /^\[?[^\s\]]+\]?:\d{1,5}$/.test(broker)), BROKERS_WANTED),
  SLUICE_KAFKA_SSL: envBoolean.optional(),
  SLUICE_KAFKA_SSL_CA: z.string().optional(),
  SLUICE_KAFKA_SSL_CERT: z.string().optional(),
  SLUICE_KAFKA_SSL_KEY: z.string().optional(),
  SLUICE_KAFKA_SASL_MECHANISM: z.enum(MECHANISMS, `expected one of ${MECHANISMS.join(', ')}`).optional(),
  SLUICE_KAFKA_SASL_USERNAME: z.string().optional(),
  SLUICE_KAFKA_SASL_PASSWORD: z.string().optional(),
  SLUICE_KAFKA_REPLICATION: z
    .string()
    .regex(/^[1-9]\d?$/, 'expected the number of replicas, from 1 to 99')
    .transform(Number)
    .optional(),
  SLUICE_KAFKA_CREATE_TOPICS: envBoolean.default(true),
  SLUICE_PREFIX: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,40}$/, 'expected letters, digits, _ and -, at most 40 of them')
    .default(DEFAULT_PREFIX),
  SLUICE_ENV: z
    .string()
    .regex(
      new RegExp(`^${ENVIRONMENT_NAME}$`),
      `expected the name of an environment: ${ENVIRONMENT_NAME_WANTED}`,
    )
    .optional(),
  SLUICE_SCHEMA_REGISTRY_URL: z.url({
    protocol: /^https?$/,
    error: 'expected a URL such as http://registry:8081',
  }),
  SLUICE_STARTUP_TIMEOUT: duration.default(DEFAULT_STARTUP_MS),
  SLUICE_SIGNING_KEY: z.string().optional(),
}

/** The variables that are secrets, or may contain one. Each may be given as a file. */
export const DISTRIBUTED_SECRETS = [
  'SLUICE_KAFKA_SSL_CA',
  'SLUICE_KAFKA_SSL_CERT',
  'SLUICE_KAFKA_SSL_KEY',
  'SLUICE_KAFKA_SASL_PASSWORD',
  'SLUICE_SCHEMA_REGISTRY_URL',
  'SLUICE_SIGNING_KEY',
] as const

const distributedSchema = z.object(DISTRIBUTED_VARIABLES)
export type DistributedVariables = z.infer<typeof distributedSchema>

/** The settings of the log's adapter for Kafka. */
export interface KafkaSettings {
  readonly brokers: readonly string[]
  readonly ssl: boolean | { readonly ca?: string; readonly cert?: string; readonly key?: string }
  readonly sasl?: KafkaLogin
  readonly replication?: number
  /** False if operators make the topics. */
  readonly createTopics: boolean
}

export type KafkaLogin =
  | {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
      readonly username: string
      readonly password: string
    }
  | { readonly mechanism: 'oauthbearer'; readonly oauthBearerProvider: () => Promise<{ value: string }> }

export interface DistributedSettings {
  readonly kafka: KafkaSettings
  readonly prefix: string
  readonly registryUrl: string
  readonly startupTimeoutMs: number
  /** Signs resources, definitions and commands; null if they are not signed. */
  readonly signatures: Signatures | null
}

/** Checks and reads the common variables alone. Throws `config` with one detail for each wrong variable. */
export function distributedSettings(env: Environment): DistributedSettings {
  return settingsOf(parseEnvironment(distributedSchema, env, { secrets: DISTRIBUTED_SECRETS }), env)
}

/** True if the environment asks for the distributed profile. */
export function isDistributed(env: Environment): boolean {
  return (env['SLUICE_KAFKA_BROKERS'] ?? '') !== ''
}

/**
 * True if others than the operator may write the resources that this process uses: on Kafka they share its
 * topics, and on a server they have tokens of their own.
 */
export function hasOtherAuthors(env: Environment): boolean {
  return isDistributed(env) || letsEdit(env)
}

/**
 * True if a token, or the OpenID provider, lets somebody else write resources. Each entry of `SLUICE_TOKENS`
 * is a name, its roles with commas between them, and its token. Roles end an entry of `SLUICE_OIDC_ROLES`.
 */
export function letsEdit(env: Environment): boolean {
  const tokens = entriesIn(secretOf(env, 'SLUICE_TOKENS')).map(([, roles = '']) => roles)
  const people = entriesIn(env['SLUICE_OIDC_ROLES']).map(words => words.at(-1) ?? '')
  return [...tokens, ...people].some(roles => /(^|,)(edit|all)(,|$)/.test(roles))
}

function entriesIn(text = ''): readonly (readonly string[])[] {
  const entries = text.split(/[\n;]/).map(entry => entry.trim())
  return entries.filter(entry => !entry.startsWith('#')).map(entry => entry.split(/\s+/))
}

/** Returns the settings from checked variables. Throws `config` for an incomplete login. */
export function settingsOf(variables: DistributedVariables, env: Environment): DistributedSettings {
  const sasl = loginOf(variables, env)
  const replication = variables.SLUICE_KAFKA_REPLICATION
  return {
    kafka: {
      brokers: variables.SLUICE_KAFKA_BROKERS,
      ssl: tlsOf(variables),
      ...(sasl === null ? {} : { sasl }),
      ...(replication === undefined ? {} : { replication }),
      createTopics: variables.SLUICE_KAFKA_CREATE_TOPICS,
    },
    prefix: prefixOf(variables),
    registryUrl: variables.SLUICE_SCHEMA_REGISTRY_URL,
    startupTimeoutMs: variables.SLUICE_STARTUP_TIMEOUT,
    signatures: Signatures.of(variables.SLUICE_SIGNING_KEY),
  }
}

/** Returns the prefix of topics, groups and keys, which each environment has for itself. */
export function prefixOf({
  SLUICE_PREFIX: prefix,
  SLUICE_ENV: name,
}: Pick<DistributedVariables, 'SLUICE_PREFIX' | 'SLUICE_ENV'>): string {
  return name === undefined ? prefix : `${prefix}-${name}`
}

/** A certificate turns TLS on, unless `SLUICE_KAFKA_SSL` is false. */
function tlsOf(variables: DistributedVariables): KafkaSettings['ssl'] {
  const { SLUICE_KAFKA_SSL_CA: ca, SLUICE_KAFKA_SSL_CERT: cert, SLUICE_KAFKA_SSL_KEY: key } = variables
  const pems = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  }
  const given = Object.keys(pems).length > 0
  if (!(variables.SLUICE_KAFKA_SSL ?? given)) return false
  return given ? pems : true
}

function loginOf(variables: DistributedVariables, env: Environment): KafkaLogin | null {
  const {
    SLUICE_KAFKA_SASL_MECHANISM: mechanism,
    SLUICE_KAFKA_SASL_USERNAME: username,
    SLUICE_KAFKA_SASL_PASSWORD: password,
  } = variables
  if (mechanism === undefined) {
    // Without a mechanism no login would happen, and only the broker's refusal would say so.
    if (username === undefined && password === undefined) return null
    const message = `SLUICE_KAFKA_SASL_MECHANISM is not set, though there is a login: expected one of ${MECHANISMS.join(', ')}`
    throw new SluiceError('config', message, {
      details: [{ field: 'SLUICE_KAFKA_SASL_MECHANISM', message }],
    })
  }
  const required = {
    ...(mechanism === 'oauthbearer' ? {} : { SLUICE_KAFKA_SASL_USERNAME: z.string() }),
    SLUICE_KAFKA_SASL_PASSWORD: z.string(),
  }
  // The error names the missing variables. User and password have no form that could be checked.
  const wanted = z.object(required, `expected with SLUICE_KAFKA_SASL_MECHANISM=${mechanism}`)
  parseEnvironment(wanted, env, { secrets: DISTRIBUTED_SECRETS })
  // A token in a file is read again each time, since another program renews it there.
  if (mechanism === 'oauthbearer') {
    const value = (): string => secretOf(env, 'SLUICE_KAFKA_SASL_PASSWORD') ?? ''
    return { mechanism, oauthBearerProvider: () => Promise.resolve({ value: value() }) }
  }
  return { mechanism, username: username ?? '', password: password ?? '' }
}
