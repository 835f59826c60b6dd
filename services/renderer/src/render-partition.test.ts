import { expect, it } from 'vitest'
import { changeSchema } from '@sluice/contracts/avro-schemas'
import type { RunBegin } from '@sluice/contracts/records'
import type { MessageLog } from '@sluice/message-log/port'
import { NO_FIGURES } from '@sluice/stage/figures'
import { plainMarker, takeOver } from '@sluice/stage/take-over'
import { at, markerKey, syncTopics, textKey } from '@sluice/stage/topics'
import {
  INCARNATION,
  sampleChange,
  sampleDefinition,
  sampleEvent,
  SYNC,
} from '@sluice/testkit/sample-records'
import { steadyMembership } from '@sluice/testkit/steady-membership'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { outage, watchedLog } from '@sluice/testkit/watched-log'
import { renderPartition } from './render-partition.ts'

const { signal } = new AbortController()
const topics = syncTopics(PREFIX, SYNC)
const columns = [{ name: 'id', type: { kind: 'text' } }] as const

/** Writes a run with one added row for each key, as a detector does. */
async function writeChanges({ log, io, prefix }: TestLog, begin: RunBegin, keys: readonly string[]) {
  const target = at(topics.changes, 0)
  const of = { log, io, prefix, sync: SYNC, incarnation: INCARNATION, partition: 0, signal }
  await using ownership = await takeOver({ ...of, stage: 'changes', targets: [target] })
  const owner = ownership.owner(target)
  const schema = changeSchema(columns)
  const encoder = await io.changeEncoder({ sync: SYNC, incarnation: INCARNATION, schema }, { signal })
  const marker = (kind: 'run-begin' | 'run-end', count: number | null) => ({
    key: markerKey(kind, '0'),
    value: io.encode('Marker', { ...plainMarker(kind, INCARNATION, owner), begin, count }),
  })
  const changes = keys.map((key, seq) => ({
    key: textKey(key),
    value: encoder.encode({ ...sampleChange({ owner, seq, key }) }),
  }))
  const records = [marker('run-begin', null), ...changes, marker('run-end', keys.length)]
  await ownership.append(target, records, { signal })
}

/** One life of a renderer on the partition. */
function render({ io, definitions, prefix }: TestLog, log: MessageLog, drain: AbortSignal): Promise<void> {
  const worker = { target: at(topics.changes, 0), membership: steadyMembership(), drain, signal }
  return renderPartition({ log, io, definitions, prefix, figures: NO_FIGURES }, sampleEvent(), worker)
}

it('a renderer whose last append the log refuses gives the partition up, and its successor writes what is missing', async () => {
  await using world = await openTestLog({ partitions: 1 })
  const definition = await world.definitions.put(sampleDefinition(), { signal })
  const begin: RunBegin = { run: 1, runId: 'RUN1', definition, startedAt: 1, first: true }
  await writeChanges(world, begin, ['a'])
  // The markers of takeover and of the run's begin stand alone; the request comes with the run's end.
  const refusing = watchedLog(world.log, async ({ topic }, records) => {
    if (topic === topics.requests && records.length > 1) throw outage()
  })
  const drain = new AbortController()
  await expect(render(world, refusing, drain.signal)).rejects.toMatchObject({ code: 'unreachable' })

  const successor = render(world, world.log, drain.signal)
  const kindOf = (found: Awaited<ReturnType<TestLog['read']>>) =>
    found.map(({ record }) => (record?.name === 'sluice.Marker' ? record.value.kind : record?.name))
  const written = await world.readUntil(at(topics.requests, 0), found => kindOf(found).includes('run-end'))
  drain.abort()
  await successor
  expect(kindOf(written)).toEqual(['takeover', 'run-begin', 'takeover', 'sluice.Request', 'run-end'])
})
