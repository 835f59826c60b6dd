/**
 * Changes that the tests of the Kafka adapter make to a cluster from outside. They use the admin client of
 * kafkajs, not the adapter under test.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { ConfigResourceTypes, Kafka, logLevel, type Admin } from 'kafkajs'
import { createKafkaLog } from '../src/adapters/kafka.ts'

export async function withAdmin<T>(brokers: string, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = new Kafka({ clientId: 'outside', brokers: [brokers], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

export const forgetGroup = (brokers: string, group: string) =>
  withAdmin(brokers, async admin => void (await admin.deleteGroups([group])))

/** Replaces the settings of a topic. So the caller also has to name those that should stay. */
async function setTopic(admin: Admin, topic: string, settings: Record<string, string>): Promise<void> {
  const type = ConfigResourceTypes.TOPIC
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type, name: topic }],
  })
  const own = (resources[0]?.configEntries ?? []).filter(
    entry => !entry.isDefault && !('configSource' in entry && entry.configSource !== 1),
  )
  const merged = {
    ...Object.fromEntries(own.map(entry => [entry.configName, entry.configValue])),
    ...settings,
  }
  const configEntries = Object.entries(merged).map(([name, value]) => ({ name, value }))
  await admin.alterConfigs({ validateOnly: false, resources: [{ type, name: topic, configEntries }] })
}

/**
 * Lets Kafka's own log cleaner compact a topic. The cleaner works only below the active segment, so this
 * function appends fillers until a new segment begins. It is done when all superseded records are gone,
 * except those that the topic's lag protects.
 */
export async function compactNow(brokers: string, topic: string, fillerKey: string): Promise<void> {
  await using log = createKafkaLog({ brokers: [brokers], clientId: 'compaction' })
  const { signal } = new AbortController()
  const partitions = (await log.partitionsOf(topic, { signal })) ?? 0
  const lagMs = await withAdmin(brokers, async admin => {
    const type = ConfigResourceTypes.TOPIC
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type, name: topic }],
    })
    const lag = resources[0]?.configEntries.find(entry => entry.configName === 'min.compaction.lag.ms')
    await setTopic(admin, topic, { 'segment.ms': '1', 'min.cleanable.dirty.ratio': '0.0001' })
    return Number(lag?.configValue ?? 0)
  })
  const ends = await Promise.all(
    Array.from({ length: partitions }, (_, partition) => log.offsets({ topic, partition }, { signal })),
  )
  const filler = { key: Buffer.from(fillerKey), value: Buffer.from('filler') }
  const superseded = async (partition: number): Promise<boolean> => {
    const { low = 0, end = 0 } = ends[partition] ?? {}
    const newest = new Map<string, number>()
    const youngest = Date.now() - lagMs
    let found = false
    for await (const { records } of log.read({ topic, partition }, { signal, from: low, to: end })) {
      for (const { key, timestamp } of records) {
        const text = Buffer.from(key).toString('latin1')
        const earlier = newest.get(text)
        if (earlier !== undefined && earlier <= youngest && text !== fillerKey) found = true
        newest.set(text, timestamp)
      }
    }
    return found
  }
  for (let partition = 0; partition < partitions; partition += 1) {
    while (await superseded(partition)) {
      await log.append({ topic, partition }, [filler], { signal })
      await delay(100)
    }
  }
}
