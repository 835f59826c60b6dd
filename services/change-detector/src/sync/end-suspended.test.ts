import { describe, expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import type { Command, PartitionReport, RunEvent } from '@sluice/contracts/records'
import { knownIncarnation } from '@sluice/resources/incarnations'
import { at, homePartition, reportKey, runKey, sharedTopics } from '@sluice/topics/topics'
import { sampleCounts, sampleEvent, sampleReport, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX } from '@sluice/testkit/test-log'
import { PendingDue } from './pending-due.ts'
import { endSuspended } from './end-suspended.ts'
import type { RunnerDeps } from './runner-deps.ts'
import type { WaitingCommand } from './sync-owner.ts'

const { signal } = new AbortController()
const RUNS = at(sharedTopics(PREFIX).runs, homePartition(SYNC))
const refused = new SluiceError('unreachable', 'no right to write changes')

interface Left {
  readonly events?: readonly Partial<RunEvent>[]
  readonly reports?: readonly Partial<PartitionReport>[]
  readonly commands?: readonly Partial<Command>[]
  readonly error?: SluiceError
}

/** Returns the ends of the runs of a sync that is set aside. */
async function endedOf({ events = [], reports = [], commands = [], error = refused }: Left) {
  await using world = await openTestLog({ partitions: 2 })
  const { io, runs } = world
  for (const fields of events) {
    const event = sampleEvent({ partitions: 2, ...fields })
    await world.append(RUNS, [{ key: runKey(SYNC, event.runId), value: io.encode('RunEvent', event) }])
  }
  for (const fields of reports) {
    const report = sampleReport(fields)
    const key = reportKey(SYNC, report.partition)
    await world.append(RUNS, [{ key, value: io.encode('PartitionReport', report) }])
  }
  let resolved = 0
  const asked: Command = {
    ...{ id: 'ASKED', kind: 'run', sync: SYNC, cause: 'manual', run: null, at: 1, scope: null },
  }
  const waiting: WaitingCommand[] = commands.map((of, index) => ({
    command: { ...asked, ...of },
    offset: 100 + index,
    resolve: () => void (resolved += 1),
    reject: () => undefined,
  }))
  const deps = { ...world, now: () => 20 } as unknown as RunnerDeps
  const isReset = await endSuspended(deps, SYNC, { waiting, due: new PendingDue(), error, signal })
  await runs.caughtUp(RUNS.partition, { signal })
  const incarnation = await knownIncarnation(world, SYNC, { signal })
  return { events: runs.of(SYNC)?.events ?? new Map<string, RunEvent>(), isReset, resolved, incarnation }
}

describe('a sync that is set aside', () => {
  const counts = { added: sampleCounts({ detected: 5 }) }

  it('has its run ended, and what was not reported is taken as unknown by the next', async () => {
    const { events } = await endedOf({
      events: [{ runId: 'RUN7', run: 7, complete: true, counts }],
      reports: [{ run: 7, partition: 0, counts: { added: sampleCounts({ delivered: 2 }) }, requestsEnd: 9 }],
    })
    expect(events.get('RUN7')).toMatchObject({
      ...{ status: 'failed', error: refused.message, errorCode: 'unreachable', endedAt: 20 },
      faults: [{ partition: 1, run: 7, from: 0 }],
      ends: [{ partition: 0, requests: 9 }],
      counts: { added: { detected: 5, delivered: 2, unknown: 3 } },
    })
  })

  it('has what waits, and what is asked, fail with the reason; a held run waits on', async () => {
    const { events, resolved } = await endedOf({
      events: [
        { runId: 'HELD', run: 6, status: 'held', held: { removed: 1, rows: 2, samples: [] } },
        { runId: 'QUEUED', run: null, status: 'queued' },
      ],
      commands: [{}, { kind: 'cancel', run: 'QUEUED', id: 'c' }],
    })
    expect([...events].map(([id, { status }]) => [id, status])).toEqual([
      ['HELD', 'held'],
      ['QUEUED', 'failed'],
      ['ASKED', 'failed'],
    ])
    expect(events.get('ASKED')?.faults).toEqual([])
    expect(resolved).toBe(2)
  })

  it('has a held run cancelled that somebody cancels', async () => {
    const { events } = await endedOf({
      events: [{ runId: 'HELD', run: 6, status: 'held', held: { removed: 1, rows: 2, samples: [] } }],
      commands: [{ kind: 'cancel', run: 'HELD' }],
    })
    expect(events.get('HELD')?.status).toBe('cancelled')
  })

  it('is reset where somebody asks for that, and what comes after it waits for the new incarnation', async () => {
    const { events, isReset, resolved } = await endedOf({
      events: [{ runId: 'RUN7', run: 7, complete: true }],
      commands: [{ kind: 'reset', cause: 'reset', id: 'RESET' }, {}],
    })
    expect([isReset, resolved]).toEqual([true, 1])
    expect([...events].map(([id, { status }]) => [id, status])).toEqual([['RESET', 'success']])
  })

  it('leaves nothing behind where it does not exist, but the end of what was asked', async () => {
    const unknown = new SluiceError('not-found', 'there is no sync s')
    const { events, incarnation } = await endedOf({ commands: [{}], error: unknown })
    expect(events.get('ASKED')).toMatchObject({ status: 'failed', errorCode: 'not-found' })
    expect(incarnation).toBeNull()
  })

  it('gets no new life by a reset that comes after it was deleted', async () => {
    const unknown = new SluiceError('not-found', 'there is no sync s')
    const commands = [{ kind: 'reset', cause: 'reset', id: 'RESET' }] as const
    const { events, incarnation } = await endedOf({ commands, error: unknown })
    expect(events.get('RESET')).toMatchObject({ status: 'success', incarnation: '' })
    expect(incarnation).toBeNull()
  })
})
