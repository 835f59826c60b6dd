/**
 * The settings of topics, as a broker reports them: of topics that the log made, and of topics made by
 * others.
 */
import { describe, expect, inject, test } from 'vitest'
import { withAdmin } from '../../../../test/kafka-cluster.ts'
import { createKafkaLog } from '../../kafka.ts'

const given = inject('kafkaBrokers')
const brokers = given ?? ''

describe.skipIf(given === null)('kafka: settings of topics', () => {
  function open(options: { replication?: number; createTopics?: boolean } = {}) {
    return createKafkaLog({ brokers: [brokers], clientId: 'settings', ...options })
  }

  async function settings(topic: string): Promise<Record<string, string>> {
    return withAdmin(brokers, async admin => {
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: 2, name: topic }],
      })
      return Object.fromEntries(
        (resources[0]?.configEntries ?? []).map(each => [each.configName, each.configValue]),
      )
    })
  }

  test('topics are made with the settings that their spec asks for', async ({ signal }) => {
    await using log = open({ replication: 1 })
    const made = { compacted: `${Date.now()}-c`, kept: `${Date.now()}-k`, aged: `${Date.now()}-a` }
    await log.ensureTopics(
      [
        { topic: made.compacted, partitions: 2, cleanup: 'compact', compactionLagMs: 604_800_000 },
        { topic: made.kept, partitions: 1, cleanup: 'delete' },
        { topic: made.aged, partitions: 1, cleanup: 'delete', retentionMs: 1000, maxRecordBytes: 5000 },
      ],
      { signal },
    )
    const common = {
      'message.timestamp.type': 'LogAppendTime',
      'compression.type': 'producer',
      'max.message.bytes': '1001024',
    }
    expect(await settings(made.compacted)).toMatchObject({
      ...common,
      'cleanup.policy': 'compact',
      'min.compaction.lag.ms': '604800000',
      'delete.retention.ms': '86400000',
      'retention.ms': '-1',
    })
    expect(await settings(made.kept)).toMatchObject({
      ...common,
      'cleanup.policy': 'delete',
      'retention.ms': '-1',
    })
    expect(await settings(made.aged)).toMatchObject({
      'retention.ms': '1000',
      'max.message.bytes': '901024',
    })
  })

  test('a topic made by hand whose records could not be written or read is corrected, or the error names it', async ({
    signal,
  }) => {
    const topic = `${Date.now()}-hand`
    const own = { 'max.message.bytes': '500000', 'compression.type': 'lz4', 'retention.ms': '7200000' }
    const configEntries = Object.entries(own).map(([name, value]) => ({ name, value }))
    await withAdmin(brokers, admin =>
      admin.createTopics({ topics: [{ topic, numPartitions: 1, configEntries }] }),
    )
    const spec = { topic, partitions: 1, cleanup: 'compact', compactWithinMs: 3_600_000 } as const
    await using careful = open({ createTopics: false })
    const refused = await careful.ensureTopics([spec], { signal }).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'config' })
    expect(String(refused)).toContain('max.message.bytes=500000 and compression.type=lz4')
    const alter = `--alter --topic ${topic} --add-config max.message.bytes=1001024,compression.type=producer`
    expect(String(refused)).toContain(`kafka-configs.sh --bootstrap-server ${brokers} ${alter}`)

    await using log = open()
    await log.ensureTopics([spec], { signal })
    const right = { 'max.message.bytes': '1001024', 'compression.type': 'producer' }
    // The log keeps harmless settings that somebody made, and sets those that nobody made.
    const others = {
      'retention.ms': '7200000',
      'max.compaction.lag.ms': '3600000',
      'cleanup.policy': 'delete',
    }
    await expect.poll(() => settings(topic)).toMatchObject({ ...right, ...others })
    await careful.ensureTopics([spec], { signal })
    await log.ensureTopics([{ ...spec, compactWithinMs: 1_000 }], { signal })
    expect(await settings(topic)).toMatchObject({ 'max.compaction.lag.ms': '3600000' })
  })
})
