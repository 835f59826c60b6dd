/**
 * A cluster that is lost, and begun again from a mirror that lags behind. The mirror has the records of the
 * topics that tell what was delivered, at other offsets. Nothing is lost, and little is sent again.
 */
import { afterEach, describe, expect, it } from 'vitest'
import type { HttpSender } from '@sluice/http-sender/port'
import type { NewRecord, TopicPartition } from '@sluice/message-log/port'
import { at, nameOf, sharedTopics, syncTopics, syncTopicSpecs } from '@sluice/topics/topics'
import { SYNC } from '@sluice/testkit/sample-records'
import { hasKafka, onKafka } from './kafka-adapters.ts'
import { OneProcess } from './one-process.ts'

const PARTITIONS = 2
const { signal } = new AbortController()

const ROWS = Array.from({ length: 40 }, (_, index) => index + 1)

/** The records of partitions, oldest first, by the name of the partition without its prefix. */
type Mirror = ReadonlyMap<string, readonly NewRecord[]>

const nameIn = (prefix: string, target: TopicPartition): string => nameOf(target).slice(prefix.length)

/** The topics to copy: those of which the delivered state and the syncs follow. All others begin empty. */
function mirroredTopics(prefix: string): readonly TopicPartition[] {
  const { changes, retry, captured } = syncTopics(prefix, SYNC)
  const { resources, definitions, secrets } = sharedTopics(prefix)
  const own = [changes, retry, captured].flatMap(topic =>
    Array.from({ length: PARTITIONS }, (_, partition) => at(topic, partition)),
  )
  return [...own, ...[resources, definitions, secrets].map(topic => at(topic, 0))]
}

async function mirrorOf({ log: { log, prefix } }: OneProcess): Promise<Mirror> {
  const mirror = new Map<string, readonly NewRecord[]>()
  for (const target of mirroredTopics(prefix)) {
    const copied: NewRecord[] = []
    const { low, end } = await log.offsets(target, { signal })
    if (low < end)
      for await (const { records } of log.read(target, { from: low, to: end, signal }))
        for (const { key, value } of records) copied.push({ key, value })
    mirror.set(nameIn(prefix, target), copied)
  }
  return mirror
}

/** Makes the topics in a cluster of their own, as far as the mirror has them. */
async function restore(mirror: Mirror, { log: { log, prefix } }: OneProcess): Promise<void> {
  await log.ensureTopics(syncTopicSpecs(prefix, SYNC, PARTITIONS), { signal })
  for (const target of mirroredTopics(prefix)) {
    const records = mirror.get(nameIn(prefix, target)) ?? []
    if (records.length > 0) await log.append(target, records, { signal })
  }
}

describe.skipIf(!hasKafka)('a sync whose topics come from a mirror', () => {
  const worlds: OneProcess[] = []
  afterEach(async () => {
    for (const world of worlds.splice(0)) await world[Symbol.asyncDispose]()
  })
  const open = async (sender?: HttpSender): Promise<OneProcess> => {
    const parts = { adapters: onKafka('mirrored'), ...(sender === undefined ? {} : { sender }) }
    const world = await OneProcess.open({ partitions: PARTITIONS }, parts)
    worlds.push(world)
    return world
  }
  /** Begins in another cluster, with what the mirror has, and runs the sync with these rows. */
  const runRestored = async (mirror: Mirror, { api }: OneProcess, rows: readonly number[]) => {
    const world = await open(api.sender)
    await restore(mirror, world)
    await world.setRows(rows)
    world.start()
    const before = api.requests.length
    const run = await world.run()
    return { run, requests: api.requests.slice(before).toSorted() }
  }

  it('sends the last run of the mirror again, and what came later, and no other row', async () => {
    const lost = await open()
    const { api } = lost
    const life = lost.start()
    await lost.setRows(ROWS)
    expect(await lost.run()).toMatchObject({ status: 'success', run: 1 })
    await lost.setRows([...ROWS.slice(1), 50])
    expect(await lost.run()).toMatchObject({ status: 'success', run: 2 })
    const mirror = await mirrorOf(lost)
    await lost.setRows([...ROWS.slice(2), 50, 51])
    expect(await lost.run()).toMatchObject({ status: 'success', run: 3 })
    await life.kill()

    const now = [...ROWS.slice(3), 50, 51, 52]
    const { run, requests } = await runRestored(mirror, lost, now)
    expect(run).toMatchObject({ status: 'success', run: 3, error: null })
    expect(api.ids).toEqual(new Set(now))
    const deleted = [1, 2, 3].map(id => `DELETE /rows/${id}`)
    expect(requests).toEqual([...deleted, ...[50, 51, 52].map(id => `PUT /rows/${id}`)])
  })

  it('loses no row of a run that was at work when the mirror was made', async () => {
    const lost = await open()
    const { api } = lost
    const life = lost.start()
    await lost.setRows(ROWS)
    expect(await lost.run()).toMatchObject({ status: 'success', run: 1 })
    const now = [...ROWS.slice(1), 50]
    await lost.setRows(now)
    const answers = Promise.withResolvers<void>()
    api.gate = answers.promise
    const cut = await lost.command()
    await lost.until(cut, ({ complete }) => complete)
    const mirror = await mirrorOf(lost)
    const killing = life.kill()
    answers.reject(new Error('the cluster is lost'))
    await killing
    expect(api.ids).toEqual(new Set(ROWS))

    api.gate = Promise.resolve()
    const { run, requests } = await runRestored(mirror, lost, now)
    expect(run).toMatchObject({ status: 'success', error: null })
    expect(api.ids).toEqual(new Set(now))
    expect(requests).toEqual(['DELETE /rows/1', 'PUT /rows/50'])
  })
})
