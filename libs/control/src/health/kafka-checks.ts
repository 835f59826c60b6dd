/** Checks Kafka, the schema registry and Redis. */
import type { TopicsView } from '@sluice/contracts/operator-views'
import { clockCheck, looked, ok, problem, warning, type Check } from './check.ts'

type Settings = { readonly [name: string]: string }

/** Looks at the services, and changes nothing. Each method rejects with a `SluiceError`. */
export interface Inspection {
  readonly brokers: string
  /**
   * The partitions and settings of those topics that exist. Settings are null without the right to see them.
   */
  topics(
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, { readonly partitions: number; readonly settings: Settings | null }>>
  /** The time of the newest record of a topic, in ms since 1970; null if it has none. */
  newestRecord(topic: string, signal: AbortSignal): Promise<number | null>
  /** Counts the records of the shared topics that no process of Sluice can read. */
  unreadable(signal: AbortSignal): Promise<number>
  readonly registry: {
    readonly address: string
    /** The registry's compatibility level, and the time of its clock in ms since 1970. */
    look(signal: AbortSignal): Promise<{ readonly compatibility: string; readonly date: number | null }>
  }
  /** Null if the environment names none. */
  readonly redis: {
    readonly address: string
    look(): Promise<{
      readonly version: string
      readonly eviction: string
      readonly persists: boolean
      readonly now: number
    }>
  } | null
}

/**
 * With wrong values of these settings, records are lost or cannot be written. Other wrong settings only cost
 * time.
 */
const VITAL = ['cleanup.policy', 'retention.ms', 'max.message.bytes', 'delete.retention.ms']

export async function kafkaChecks(
  inspection: Inspection,
  wanted: TopicsView,
  { createsTopics, signal }: { readonly createsTopics: boolean; readonly signal: AbortSignal },
): Promise<readonly Check[]> {
  const kafka = await looked('Kafka', () => brokerChecks(inspection, wanted, { createsTopics, signal }), {
    advice: 'start Kafka, or put SLUICE_KAFKA_BROKERS and its login right',
    signal,
  })
  const registry = await looked('registry', () => registryChecks(inspection, signal), {
    advice: 'start the schema registry, or put SLUICE_SCHEMA_REGISTRY_URL right',
    signal,
  })
  return [...kafka, ...registry, ...(await redisLooks(inspection, signal))]
}

/** Checks Redis alone. */
export async function redisLooks(
  inspection: Pick<Inspection, 'redis'>,
  signal: AbortSignal,
): Promise<readonly Check[]> {
  const advice = 'start Redis, or put SLUICE_REDIS_URL right'
  return await looked('Redis', () => redisChecks(inspection), { advice, signal })
}

async function brokerChecks(
  inspection: Inspection,
  { prefix, topics }: TopicsView,
  { createsTopics, signal }: { readonly createsTopics: boolean; readonly signal: AbortSignal },
): Promise<readonly Check[]> {
  const found = await inspection.topics(
    topics.map(({ topic }) => topic),
    signal,
  )
  const checks: Check[] = [ok('Kafka', `answers at ${inspection.brokers}`)]
  const missing = topics.filter(({ topic }) => !found.has(topic)).map(({ topic }) => topic)
  const faults = topics.flatMap(each => topicFaults(each, found.get(each.topic)))
  if (missing.length > 0 && !createsTopics)
    checks.push(problem('topics', `missing: ${missing.join(', ')}`, TO_MAKE))
  checks.push(...faults)
  if (faults.length === 0 && (missing.length === 0 || createsTopics)) {
    const later = missing.length === 0 ? '' : `; the first run makes ${missing.length} more`
    checks.push(ok('topics', `${found.size} with the settings that they need${later}`))
  }
  if ([...found.values()].some(({ settings }) => settings === null))
    checks.push(warning('topics', 'this user may not see settings of topics', 'grant DescribeConfigs'))
  const runs = `${prefix}.runs`
  const newest = found.has(runs) ? await inspection.newestRecord(runs, signal) : null
  // Kafka shows its clock only in the times of records. A time in the future shows that a clock is wrong.
  if (newest !== null && newest > Date.now()) checks.push(clockCheck("Kafka's clock", newest, 0))
  if (found.has(runs)) checks.push(await unreadableCheck(inspection, signal))
  return checks
}

const TO_MAKE = '`sluice topics --print --commands` prints the commands that make them'

async function unreadableCheck(inspection: Inspection, signal: AbortSignal): Promise<Check> {
  const count = await inspection.unreadable(signal)
  if (count === 0) return ok('records', 'all records of the shared topics can be read')
  const found = `${count} records of the shared topics were not written by Sluice, or cannot be read`
  return warning('records', found, 'Sluice skips them: find out who writes to these topics')
}

function topicFaults(
  wanted: TopicsView['topics'][number],
  found: { readonly partitions: number; readonly settings: Settings | null } | undefined,
): readonly Check[] {
  if (found === undefined) return []
  const { topic, partitions } = wanted
  const checks: Check[] = []
  if (found.partitions !== partitions)
    checks.push(
      problem(
        'topics',
        `${topic} has ${found.partitions} partitions, and not ${partitions}`,
        'partitions are fixed: set `partitions` of the sync to that number, or `sluice reset` it',
      ),
    )
  const wrong = Object.entries(found.settings === null ? {} : wanted.settings).filter(
    ([name, value]) => !fits(name, value, found.settings?.[name]),
  )
  if (wrong.length === 0) return checks
  const has = wrong.map(([name]) => `${name}=${found.settings?.[name] ?? 'unset'}`).join(', ')
  const alter = `kafka-configs.sh --alter --topic ${topic} --add-config ${wrong.map(each => each.join('=')).join(',')}`
  const report = wrong.some(([name]) => VITAL.includes(name)) ? problem : warning
  return [...checks, report('topics', `${topic} has ${has}`, alter)]
}

/** True if a setting is as wanted, or grants more room or more time than wanted. */
function fits(name: string, wanted: string, found: string | undefined): boolean {
  if (found === undefined || found === wanted) return true
  if (name === 'max.message.bytes' || name === 'delete.retention.ms') return Number(found) >= Number(wanted)
  if (name === 'retention.ms' && wanted !== '-1') return found === '-1' || Number(found) >= Number(wanted)
  if (name === 'compression.type') return ['producer', 'uncompressed', 'gzip', 'zstd'].includes(found)
  return false
}

async function registryChecks({ registry }: Inspection, signal: AbortSignal): Promise<readonly Check[]> {
  const since = performance.now()
  const { compatibility, date } = await registry.look(signal)
  const tookMs = performance.now() - since
  const checks = [
    ok('registry', `answers at ${registry.address}, compatibility ${compatibility} (Sluice sets its own)`),
  ]
  // A date in a header has no fractions of a second.
  return date === null ? checks : [...checks, clockCheck("the registry's clock", date, tookMs + 1000)]
}

async function redisChecks({ redis }: Pick<Inspection, 'redis'>): Promise<readonly Check[]> {
  if (redis === null)
    return [
      warning(
        'Redis',
        'SLUICE_REDIS_URL is not set here',
        'the services need it: set it here as for them, to have it looked at',
      ),
    ]
  const since = performance.now()
  const { version, eviction, persists, now } = await redis.look()
  const tookMs = performance.now() - since
  const checks = [ok('Redis', `${version} answers at ${redis.address}`)]
  checks.push(
    eviction === 'noeviction'
      ? ok('Redis memory', 'maxmemory-policy noeviction')
      : problem(
          'Redis memory',
          `maxmemory-policy ${eviction}: Redis may drop limits and holds`,
          'set `maxmemory-policy noeviction`',
        ),
  )
  checks.push(
    persists
      ? ok('Redis disk', 'writes to its disk')
      : warning(
          'Redis disk',
          'keeps nothing over a restart: nothing is sent then until all that it may have forgotten has run out',
          'set `appendonly yes`',
        ),
  )
  return [...checks, clockCheck("Redis' clock", now, tookMs)]
}
