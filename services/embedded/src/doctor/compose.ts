/** Looks at Kafka, registry and Redis for `sluice doctor` and the health of a console. */
import { isRecordSchema, isSchema } from '@sluice/contracts/avro/types'
import { SluiceError } from '@sluice/contracts/errors'
import { createKafkaLog, readGroupMembers, readTopicSettings } from '@sluice/message-log/adapters/kafka'
import { addressOf } from '@sluice/partition/process/open-stage'
import { connectRedis, redisScript } from '@sluice/redis/redis-connection'
import type { DistributedSettings } from '@sluice/runtime/settings/distributed'
import type { Environment } from '@sluice/runtime/environment'
import { redisSettings } from '@sluice/runtime/service-config'
import { readResources } from '@sluice/resources/stored-resources'
import { createRegistryCodec } from '@sluice/schema-codec/adapters/registry'
import type { SubjectSchema } from '@sluice/schema-codec/port'
import { ForeignRecords } from '@sluice/topics/foreign-records'
import { RecordIo } from '@sluice/topics/record-io'
import { at } from '@sluice/topics/topics'
import { z } from 'zod'
import type { GroupMember } from '@sluice/control/health/read-health'
import type { Inspection } from '@sluice/control/health/kafka-checks'

const RETRY_MS = 8_000
const ASK_MS = 5_000
const KEY = 'doctor'
const LOOK = redisScript(
  "local t = redis.call('TIME'); return {redis.call('INFO', 'everything'), t[1], t[2]}",
)
const answerOfRedis = z.tuple([z.string(), z.string(), z.string()])
const configOfRegistry = z.object({ compatibilityLevel: z.string() })

/** Connects with the first look, and changes nothing. */
export function openInspection(
  { kafka, prefix, registryUrl, signatures }: DistributedSettings,
  env: Environment,
): Inspection & AsyncDisposable {
  const opening = new AsyncDisposableStack()
  const options = { ...kafka, clientId: `${prefix}-doctor`, retryMs: RETRY_MS }
  const log = opening.use(createKafkaLog({ ...options, createTopics: false }))
  return {
    brokers: kafka.brokers.join(','),
    async topics(names, signal) {
      const found = new Map<string, { partitions: number; settings: { [name: string]: string } | null }>()
      for (const name of names) {
        const partitions = await log.partitionsOf(name, { signal })
        if (partitions !== null) found.set(name, { partitions, settings: null })
      }
      const settings = await readTopicSettings(options, [...found.keys()], { signal })
      for (const [name, each] of settings ?? []) {
        const topic = found.get(name)
        if (topic !== undefined) found.set(name, { ...topic, settings: { ...each } })
      }
      return found
    },
    async newestRecord(topic, signal) {
      let newest: number | null = null
      for (let partition = 0; partition < ((await log.partitionsOf(topic, { signal })) ?? 0); partition += 1)
        for await (const { timestamp } of log.readBackwards(at(topic, partition), { signal })) {
          newest = Math.max(newest ?? 0, timestamp)
          break
        }
      return newest
    },
    async unreadable(signal) {
      let count = 0
      await using codec = createRegistryCodec({
        url: registryUrl,
        clientId: options.clientId,
        deadlineMs: RETRY_MS,
      })
      const foreign = new ForeignRecords(() => (count += 1))
      const io = RecordIo.reading(codec, prefix, { signatures, foreign })
      await readResources({ log, io, prefix }, { signal })
      return count
    },
    registry: {
      address: addressOf(registryUrl),
      look: signal => lookAtRegistry(registryUrl, signal),
    },
    ...redisInspection(env),
    [Symbol.asyncDispose]: () => opening.disposeAsync(),
  }
}

/** Connects with the first look, and changes nothing. Throws `config`. */
export function redisInspection(env: Environment): Pick<Inspection, 'redis'> {
  const settings = redisSettings(env)
  if (settings === null) return { redis: null }
  return { redis: { address: hostOf(settings.redis.url), look: () => lookAtRedis(settings) } }
}

/** The members of all groups of this prefix. Rejects as a log does. */
export function groupMembers(
  { kafka, prefix }: Pick<DistributedSettings, 'kafka' | 'prefix'>,
  signal: AbortSignal,
): Promise<readonly GroupMember[]> {
  const options = { ...kafka, clientId: `${prefix}-doctor`, retryMs: RETRY_MS, createTopics: false }
  return readGroupMembers(options, `${prefix}.`, { signal })
}

async function lookAtRegistry(url: string, signal: AbortSignal): ReturnType<Inspection['registry']['look']> {
  const response = await askRegistry(url, 'config', signal)
  const read = configOfRegistry.safeParse(await response.json().catch(() => null))
  if (!read.success)
    throw new SluiceError('config', `${addressOf(url)} is no schema registry: it answered ${response.status}`)
  const date = Date.parse(response.headers.get('date') ?? '')
  return { compatibility: read.data.compatibilityLevel, date: Number.isNaN(date) ? null : date }
}

/**
 * Reads the latest schema of each subject that all syncs of the prefix share. Rejects with `unreachable`, and
 * with `config` for an answer of another kind.
 */
export async function sharedSchemas(
  { registryUrl: url, prefix }: Pick<DistributedSettings, 'registryUrl' | 'prefix'>,
  signal: AbortSignal,
): Promise<readonly SubjectSchema[]> {
  const ask = async <T>(path: string, shape: z.ZodType<T>): Promise<T> => {
    const response = await askRegistry(url, path, signal)
    const read = shape.safeParse(await response.json().catch(() => null))
    if (read.success) return read.data
    throw new SluiceError('config', `${addressOf(url)} answered ${response.status} when asked for ${path}`)
  }
  const subjects = (await ask('subjects', z.array(z.string()))).filter(
    subject => subject.startsWith(`${prefix}.`) && !subject.slice(prefix.length + 1).includes('.'),
  )
  const found: SubjectSchema[] = []
  for (const subject of subjects.toSorted()) {
    const { schema: text } = await ask(
      `subjects/${encodeURIComponent(subject)}/versions/latest`,
      z.object({ schema: z.string() }),
    )
    const schema: unknown = JSON.parse(text)
    if (isSchema(schema) && isRecordSchema(schema)) found.push({ subject, schema })
  }
  return found
}

async function askRegistry(url: string, path: string, signal: AbortSignal): Promise<Response> {
  const bare = new URL(path, url.endsWith('/') ? url : `${url}/`)
  const { username, password } = bare
  bare.username = ''
  bare.password = ''
  const login = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString(
    'base64',
  )
  const headers: { [name: string]: string } = username === '' ? {} : { authorization: `Basic ${login}` }
  try {
    return await fetch(bare, { headers, signal: AbortSignal.any([signal, AbortSignal.timeout(ASK_MS)]) })
  } catch (cause) {
    signal.throwIfAborted()
    throw new SluiceError('unreachable', `${addressOf(url)} does not answer`, { cause })
  }
}

async function lookAtRedis({
  redis,
  prefix,
}: NonNullable<ReturnType<typeof redisSettings>>): ReturnType<NonNullable<Inspection['redis']>['look']> {
  await using connection = connectRedis({ ...redis, commandTimeoutMs: ASK_MS })
  const answer = answerOfRedis.parse(await connection.run(LOOK, `${prefix}:${KEY}`, []))
  const [info, seconds, micros] = answer
  const field = (name: string): string => new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1] ?? ''
  const saves = field('aof_enabled') === '1' || field('rdb_changes_since_last_save') === '0'
  return {
    version: `Redis ${field('redis_version')}`,
    eviction: field('maxmemory_policy'),
    persists: saves && field('rdb_last_bgsave_status') === 'ok',
    now: Number(seconds) * 1000 + Number(micros) / 1000,
  }
}

function hostOf(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//')
}
