import { describe, expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import { topicsNeeded } from './needed-topics.ts'
import { kafkaChecks, type Inspection } from './kafka-checks.ts'

const { signal } = new AbortController()
const WANTED = topicsNeeded([{ name: 'people', partitions: 4 }], {
  prefix: 'sluice',
  replication: null,
  creates: false,
})
type Found = Awaited<ReturnType<Inspection['topics']>>

/** All topics as they should be, but for those settings of `people.requests`. */
function topicsWith(settings: { readonly [name: string]: string }, partitions = 4): Found {
  return new Map(
    WANTED.topics.map(each => [
      each.topic,
      each.topic === 'sluice.people.requests'
        ? { partitions, settings: { ...each.settings, ...settings } }
        : { partitions: each.partitions, settings: each.settings },
    ]),
  )
}

function inspection(over: Partial<Inspection> = {}): Inspection {
  return {
    brokers: 'kafka:9092',
    topics: () => Promise.resolve(topicsWith({})),
    newestRecord: () => Promise.resolve(Date.now() - 1000),
    unreadable: () => Promise.resolve(0),
    registry: {
      address: 'http://registry',
      look: () => Promise.resolve({ compatibility: 'BACKWARD', date: Date.now() }),
    },
    redis: { address: 'redis://redis', look: () => Promise.resolve(REDIS) },
    ...over,
  }
}
const REDIS = { version: 'Redis 8', eviction: 'noeviction', persists: true, now: Date.now() }

/** The checks that are not ok, each as `status check: finding`. */
async function wrong(over: Partial<Inspection>, createsTopics = true): Promise<readonly string[]> {
  const checks = await kafkaChecks(inspection(over), WANTED, { createsTopics, signal })
  return checks
    .filter(({ status }) => status !== 'ok')
    .map(({ status, check, found }) => `${status} ${check}: ${found}`)
}

describe('the checks of Kafka', () => {
  it('find nothing where all is as it should be, with more time and room than wanted', async () => {
    expect(await wrong({})).toEqual([])
    const more = {
      'max.message.bytes': '99999999',
      'delete.retention.ms': '999999999',
      'compression.type': 'zstd',
    }
    expect(await wrong({ topics: () => Promise.resolve(topicsWith(more)) })).toEqual([])
  })

  it.each([
    [{ 'retention.ms': '604800000' }, 'problem topics: sluice.people.requests has retention.ms=604800000'],
    [
      { 'max.message.bytes': '1048588' },
      'problem topics: sluice.people.requests has max.message.bytes=1048588',
    ],
    [{ 'cleanup.policy': 'compact' }, 'problem topics: sluice.people.requests has cleanup.policy=compact'],
    [{ 'compression.type': 'lz4' }, 'warning topics: sluice.people.requests has compression.type=lz4'],
  ])('report %j', async (settings, told) => {
    const topics = () => Promise.resolve(topicsWith(settings))
    expect(await wrong({ topics })).toEqual([told])
    const checks = await kafkaChecks(inspection({ topics }), WANTED, { createsTopics: true, signal })
    expect(checks.find(({ status }) => status !== 'ok')?.advice).toMatch(
      /^kafka-configs\.sh --alter --topic sluice\.people\.requests --add-config/,
    )
  })

  it('report a wrong number of partitions, and topics that nobody makes', async () => {
    expect(await wrong({ topics: () => Promise.resolve(topicsWith({}, 6)) })).toEqual([
      'problem topics: sluice.people.requests has 6 partitions, and not 4',
    ])
    const none = { topics: () => Promise.resolve(new Map()) }
    expect(await wrong(none)).toEqual([])
    expect(await wrong(none, false)).toEqual([
      expect.stringMatching(/^problem topics: missing: sluice\.resources, /),
    ])
  })

  it('report a Redis that drops keys or forgets them, clocks that differ, and foreign records', async () => {
    const redis = (state: object) => ({
      redis: { address: 'r', look: () => Promise.resolve({ ...REDIS, ...state }) },
    })
    expect(await wrong(redis({ eviction: 'allkeys-lru', now: Date.now() }))).toEqual([
      'problem Redis memory: maxmemory-policy allkeys-lru: Redis may drop limits and holds',
    ])
    expect(await wrong(redis({ persists: false, now: Date.now() }))).toEqual([
      expect.stringMatching(/^warning Redis disk: keeps nothing over a restart/),
    ])
    expect(await wrong(redis({ now: Date.now() - 90_000 }))).toEqual([
      "problem Redis' clock: is 90 s behind the clock here",
    ])
    expect(await wrong({ newestRecord: () => Promise.resolve(Date.now() + 60_500) })).toEqual([
      expect.stringMatching(/^problem Kafka's clock: is 6\d s ahead of/),
    ])
    expect(await wrong({ unreadable: () => Promise.resolve(3) })).toEqual([
      expect.stringMatching(/^warning records: 3 records/),
    ])
    expect(await wrong({ redis: null })).toEqual([expect.stringMatching(/^warning Redis: SLUICE_REDIS_URL/)])
  })

  it('report each service that does not answer, and look at the others', async () => {
    const down = () => Promise.reject(new SluiceError('unreachable', 'it does not answer'))
    const registry = { address: 'r', look: down }
    expect(await wrong({ topics: down, registry, redis: { address: 'r', look: down } })).toEqual([
      'unreachable Kafka: it does not answer',
      'unreachable registry: it does not answer',
      'unreachable Redis: it does not answer',
    ])
    const refused = () => Promise.reject(new SluiceError('config', 'Kafka refuses the login'))
    expect(await wrong({ topics: refused })).toEqual(['problem Kafka: Kafka refuses the login'])
  })
})
