import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { PartitionReport, RunEvent } from '@sluice/contracts/records'
import type { SqliteLog } from '@sluice/message-log/adapters/sqlite'
import { RunsView } from '@sluice/runs/runs-view'
import { at, homePartition, keyText, reportKey, runKey, sharedTopics } from '@sluice/topics/topics'
import { INCARNATION, sampleEvent, sampleReport, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { findRuns } from '@sluice/runs/machine/find-runs'
import { forgetRuns } from './forget-runs.ts'
import { OldRuns, type OwnedSync } from '../sync/owned-sync.ts'
import { ownSync, type SyncOwnership } from '../sync/own-sync.ts'

const { signal } = new AbortController()
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const HOME = homePartition(SYNC)
const RUNS = at(sharedTopics(PREFIX).runs, HOME)
const names = (count: number, from = 1): readonly string[] =>
  Array.from({ length: count }, (_, n) => `R${n + from}`)

describe('runs that ended some time ago', () => {
  let world: TestLog
  let ownership: SyncOwnership
  let oldRuns: OldRuns
  let minute = 0
  let warnings: number
  beforeEach(async () => {
    world = await openTestLog({ partitions: 1 })
    ownership = await ownAs(INCARNATION)
    oldRuns = new OldRuns()
    minute = 0
    warnings = 0
  })
  afterEach(async () => {
    await ownership[Symbol.asyncDispose]()
    await world[Symbol.asyncDispose]()
  })

  const ownAs = (incarnation: string): Promise<SyncOwnership> =>
    ownSync(world, { sync: SYNC, incarnation, partitions: 1, signal })
  const now = (): number => Date.now() + minute * MINUTE_MS
  const ownerOf = (parts: object = {}): OwnedSync => {
    const logger = { warn: () => void (warnings += 1) }
    const deps = { ...world, now, logger, ...parts }
    const ends = { drain: signal, abort: signal }
    return { sync: SYNC, deps, ownership, oldRuns, ends } as unknown as OwnedSync
  }
  const forget = (): Promise<void> => forgetRuns(ownerOf())

  async function tell(events: readonly Partial<RunEvent>[]): Promise<void> {
    const records = events.map(fields => {
      const event = sampleEvent(fields)
      return { key: runKey(event.sync, event.runId), value: world.io.encode('RunEvent', event) }
    })
    await world.append(RUNS, records)
  }
  async function report(fields: Partial<PartitionReport>): Promise<void> {
    const made = sampleReport(fields)
    const value = world.io.encode('PartitionReport', made)
    await world.append(RUNS, [{ key: reportKey(made.sync, made.partition), value }])
  }
  /** Runs that have just ended, those after the first with the numbers that follow. */
  const end = (runIds: readonly string[], of: Partial<RunEvent> = {}): Promise<void> =>
    tell(
      runIds.map(runId => {
        const run = Number(runId.slice(1))
        return { runId, run, status: 'success', endedAt: now(), command: run, ...of } as const
      }),
    )
  /** The runs that tombstones stand for, in order. */
  const forgotten = async (): Promise<readonly string[]> =>
    (await world.read(RUNS)).filter(({ record }) => record === null).map(({ key }) => keyText(key))
  const keysOf = (runIds: readonly string[], sync = SYNC): readonly string[] =>
    runIds.map(runId => `${sync}/${runId}`)
  /** Returns the ends of runs that a detector that starts now takes over. */
  async function found() {
    await using view = await RunsView.open(world, { signal })
    await view.caughtUp(HOME, { signal })
    const runs = view.of(SYNC)
    return { ...findRuns(runs, SYNC, []), ids: [...(runs?.events.keys() ?? [])], runs }
  }
  const compact = (): Promise<void> => (world.log as SqliteLog).compact(RUNS.topic, { signal })

  it('are forgotten an hour after their end, but for the last fifty', async () => {
    await end(names(53))
    await forget()
    minute = 59
    await forget()
    expect(await forgotten()).toEqual([])
    minute = 61
    await forget()
    expect(await forgotten()).toEqual(keysOf(names(3)))
    await forget()
    expect(await forgotten()).toHaveLength(3)
    expect(warnings).toBe(0)
  })

  it('leave a detector that starts afterwards all that it needs, also once the topic is compacted', async () => {
    const faults = [{ partition: 0, run: 60, from: 4 }]
    await end(names(60), { faults })
    await end(names(55, 61), { run: null, status: 'cancelled' })
    await tell([{ runId: 'HELD', run: 61, status: 'held', command: 200, faults }])
    const { runs: _, ...before } = await found()
    expect(before).toMatchObject({ lastRun: 61, faults, awaiting: { runId: 'HELD' }, lastCommand: 200 })
    minute = 61
    await forget()
    expect(await forgotten()).toEqual(keysOf([...names(10), ...names(5, 61)]))
    expect(await found()).toMatchObject(before)
    await compact()
    expect(await found()).toMatchObject(before)
    const left = (await world.read(RUNS)).filter(({ record }) => record?.name === 'sluice.RunEvent')
    expect(left).toHaveLength(101)
  })

  it('stay as long as they are among the last of their sync, and go once newer ones are', async () => {
    await end(names(52))
    minute = 90
    await forget()
    await end(names(3, 53))
    expect(await forgotten()).toEqual(keysOf(names(2)))
    await forget()
    expect(await forgotten()).toEqual(keysOf(names(5)))
  })

  it('are none of those that ended less than an hour ago, however many have ended since', async () => {
    await end(names(5))
    // What counts is the end, not what the topic says of the run before.
    await tell([{ runId: 'R6', run: null, status: 'queued' }])
    minute = 40
    await end(names(100, 6))
    minute = 61
    await forget()
    expect(await forgotten()).toEqual(keysOf(names(5)))
    minute = 101
    await forget()
    expect(await forgotten()).toEqual(keysOf(names(55)))
  })

  it('stay where they tell where requests ended, one an hour for a week, and go once that is over', async () => {
    const weekMinutes = 7 * 24 * 60
    const ends = (run: number) => [{ partition: 0, requests: run, attempts: run }]
    // Every five minutes, from the start of an hour on.
    const start = Math.ceil(Date.now() / HOUR_MS) * HOUR_MS
    const endedAt = (run: number) => start + run * 5 * MINUTE_MS
    for (let run = 0; run < weekMinutes / 5 + 24; run += 12)
      await tell(
        Array.from({ length: 12 }, (_, n) => run + n).map(number => ({
          ...{ runId: `R${number}`, run: number, status: 'success', command: number },
          ...{ ends: ends(number), endedAt: endedAt(number) },
        })),
      )
    minute = (endedAt(weekMinutes / 5 + 24) - Date.now()) / MINUTE_MS + 61
    for (let n = 0; n < 3; n += 1) await forget()
    const gone = new Set(await forgotten())
    const total = weekMinutes / 5 + 24
    const left = Array.from({ length: total }, (_, run) => run).filter(run => !gone.has(`${SYNC}/R${run}`))
    // The last run of each of the hours that are still told of, and the last fifty.
    const hourly = left.filter(run => run % 12 === 11 && run < total - 50)
    expect(left.filter(run => run >= total - 50)).toHaveLength(50)
    expect(left).toHaveLength(50 + hourly.length)
    expect([hourly[0], hourly.length]).toEqual([11 + 12, 168 - 4])
    await compact()
    const { runs } = await found()
    const was = world.runs.endsOf(SYNC, endedAt(24))
    expect(was).toEqual(ends(23))
    await using view = await RunsView.open(world, { signal })
    await view.caughtUp(HOME, { signal })
    for (let run = 0; run < total; run += 1)
      expect(view.endsOf(SYNC, endedAt(run))).toEqual(world.runs.endsOf(SYNC, endedAt(run)))
    expect(runs).toEqual(world.runs.of(SYNC))
  })

  it('are none that have not ended', async () => {
    const unended = ['queued', 'running', 'held'] as const
    await tell(unended.map(status => ({ runId: status, run: 1, status })))
    await tell([{ runId: 'AGAIN', run: 1, status: 'failed', endedAt: now() }])
    await end(names(60))
    // One that is taken up again, after all.
    await tell([{ runId: 'AGAIN', run: 1, status: 'running' }])
    minute = 180
    await forget()
    expect(await forgotten()).toEqual(keysOf(names(10)))
  })

  it('are those of one sync, though others have theirs in the same partition', async () => {
    const other = Array.from({ length: 1000 }, (_, n) => `t${n}`).find(sync => homePartition(sync) === HOME)
    await end(names(60), { sync: other ?? '' })
    await end(names(51))
    minute = 61
    await forget()
    expect(await forgotten()).toEqual(keysOf(names(1)))
  })

  it('go a thousand at a time', async () => {
    await end(names(2_050))
    minute = 61
    const counts: number[] = []
    for (let n = 0; n < 3; n += 1) {
      await forget()
      counts.push((await forgotten()).length)
    }
    expect(counts).toEqual([1_000, 2_000, 2_000])
    expect(await forgotten()).toEqual(keysOf(names(2_000)))
  })

  it('go, though a clock was far ahead when one of them ended', async () => {
    await end(names(2), { endedAt: now() + 400 * 24 * HOUR_MS })
    await end(names(50, 3))
    minute = 61
    await forget()
    expect(await forgotten()).toEqual(keysOf(names(2)))
  })

  it('of an incarnation that a reset ended go but for one, which tells that it came first', async () => {
    await end(names(5))
    await ownership[Symbol.asyncDispose]()
    ownership = await ownAs('another')
    await end(['R6'], { incarnation: 'another', run: 1 })
    // A process of before the reset that comes late.
    await report({ partition: 3 })
    minute = 61
    await forget()
    expect(await forgotten()).toEqual(keysOf(names(4)))
    await compact()
    const { runs, ids } = await found()
    expect([runs?.incarnation, ids]).toEqual(['another', ['R6']])
  })

  it('are left alone by a detector that does not know of a reset yet, or has not seen its own', async () => {
    await end(names(60))
    await ownership[Symbol.asyncDispose]()
    ownership = await ownAs('another')
    minute = 61
    await forget()
    expect(await forgotten()).toEqual([])
  })

  it('are left to a successor by a detector that lost the sync', async () => {
    await end(names(60))
    await using lost = ownership
    ownership = await ownAs(INCARNATION)
    minute = 61
    await forgetRuns({ ...ownerOf(), ownership: lost })
    expect([warnings, await forgotten()]).toEqual([1, []])
    await forget()
    expect(await forgotten()).toEqual(keysOf(names(10)))
  })

  it('are looked for again at the next run where that fails, which no run notices', async () => {
    await end(names(60))
    minute = 61
    const failing = { offsets: () => Promise.reject(new Error('no leader')) }
    await forgetRuns(ownerOf({ log: failing }))
    expect([warnings, await forgotten()]).toEqual([1, []])
    await forget()
    expect([warnings, await forgotten()]).toEqual([1, keysOf(names(10))])
  })

  it('are not looked for once the sync is no longer owned', async () => {
    await end(names(60))
    minute = 61
    const over = AbortSignal.abort(new Error('over'))
    const ended = { ...ownerOf(), ends: { drain: over, abort: over } }
    await expect(forgetRuns(ended)).rejects.toThrow('over')
    expect([warnings, await forgotten()]).toEqual([0, []])
  })
})
