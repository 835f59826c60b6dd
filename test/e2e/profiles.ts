/**
 * The two profiles as a test sees them: a project folder whose `sluice` uses one or the other. So one test
 * covers both.
 */
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import type { MessageLog } from '@sluice/message-log/port'
import { at, isMarkerKey, keyText, sharedTopicSpecs, syncTopics, syncTopicSpecs } from '@sluice/topics/topics'
import { realServices, startDistributed, type Distributed } from './distributed.ts'
import { embeddedProfile, type Opened, type Profile, type ProfileOptions } from './embedded-profile.ts'
import { projectFolder } from './project-folder.ts'

export { embeddedProfile, type Opened, type Profile }

/**
 * The distributed profile, or none where the services that it wants cannot be had. To be called in a test
 * file.
 */
export function distributedProfiles(): readonly Profile[] {
  if (realServices() === null) return []
  return [{ name: 'distributed', open: openDistributed }]
}

/** Call it in a test file, beside its tests. */
export function bothProfiles(): readonly Profile[] {
  return [embeddedProfile, ...distributedProfiles()]
}

async function openDistributed(options: ProfileOptions): Promise<Opened> {
  await using opening = new AsyncDisposableStack()
  const services = opening.use(await startDistributed({ env: options.env }))
  const project = opening.use(await projectFolder({ ...options, env: { ...options.env, ...services.env } }))
  const opened = opening.move()
  return {
    project,
    stored: sync => allRecords(services, sync),
    handedOver: sync => allReleased(services, sync),
    serve: async () => (await services.add('console')).url,
    logs: lines => services.logs(lines),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

function openLog({ env }: Distributed): MessageLog {
  const brokers = (env['SLUICE_KAFKA_BROKERS'] ?? '').split(',')
  return createKafkaLog({ brokers, clientId: 'test' })
}

/** Delivery is the last to write after a run: the record that ends a partition of `attempts` is a release. */
async function allReleased(services: Distributed, sync: string): Promise<void> {
  const { signal } = new AbortController()
  await using log = openLog(services)
  const { attempts } = syncTopics(services.prefix, sync)
  const partitions = (await log.partitionsOf(attempts, { signal })) ?? 0
  for (let partition = 0; partition < partitions; partition += 1) {
    const target = at(attempts, partition)
    const { low, end } = await log.offsets(target, { signal })
    for await (const { records, nextOffset } of log.read(target, { from: low, signal }))
      if (nextOffset >= end && isRelease(records.at(-1)?.key)) break
  }
}

function isRelease(key: Uint8Array | undefined): boolean {
  return key !== undefined && isMarkerKey(key) && keyText(key.subarray(1)).startsWith('release/')
}

async function allRecords(services: Distributed, sync: string): Promise<string> {
  const { signal } = new AbortController()
  await using log = openLog(services)
  const { prefix } = services
  const specs = [...sharedTopicSpecs(prefix), ...syncTopicSpecs(prefix, sync, 1)]
  let text = ''
  for (const { topic } of specs) {
    const partitions = (await log.partitionsOf(topic, { signal })) ?? 0
    for (let partition = 0; partition < partitions; partition += 1) {
      const target = { topic, partition }
      const { low, end } = await log.offsets(target, { signal })
      if (low === end) continue
      for await (const { records } of log.read(target, { from: low, to: end, signal }))
        for (const { key, value } of records) text += latin1(key) + latin1(value ?? new Uint8Array())
    }
  }
  return text
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}
