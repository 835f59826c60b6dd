/**
 * The two profiles as a test sees them: a project folder whose `sluice` uses one or the other. So one test
 * covers both.
 */
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import { sharedTopicSpecs, syncTopicSpecs } from '@sluice/topics/topics'
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
    logs: () => services.logs(),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

async function allRecords({ env, prefix }: Distributed, sync: string): Promise<string> {
  const { signal } = new AbortController()
  const brokers = (env['SLUICE_KAFKA_BROKERS'] ?? '').split(',')
  await using log = createKafkaLog({ brokers, clientId: 'test' })
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
