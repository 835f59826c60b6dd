/** Somebody writes to `runs` who wants every process to hold more than it can. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { PartitionReport, RunEvent } from '@sluice/contracts/records'
import { sampleEvent, sampleReport, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { at, homePartition, reportKey, runKey, sharedTopics, textKey } from '@sluice/topics/topics'

const { signal } = new AbortController()
const HOME = homePartition(SYNC)
const idOf = (n: number): string => `01ARZ3NDEKTSV4RRFFQ${String(n).padStart(7, '0')}`

describe('the view of the runs', () => {
  let world: TestLog
  beforeEach(async () => {
    world = await openTestLog({ partitions: 0 })
  })
  afterEach(() => world[Symbol.asyncDispose]())

  const write = (records: readonly { key: Uint8Array; value: Uint8Array }[]): Promise<number> =>
    world.append(at(sharedTopics(PREFIX).runs, HOME), records)
  const eventOf = (fields: Partial<RunEvent>) => {
    const event = sampleEvent(fields)
    return { key: runKey(event.sync, event.runId), value: world.io.encode('RunEvent', event) }
  }
  const reportOf = (fields: Partial<PartitionReport>, key?: Uint8Array) => {
    const report = sampleReport(fields)
    const value = world.io.encode('PartitionReport', report)
    return { key: key ?? reportKey(report.sync, report.partition), value }
  }
  const seen = async () => {
    await world.runs.caughtUp(HOME, { signal })
    return world.runs.of(SYNC)
  }

  it.each<[string, Partial<PartitionReport>]>([
    ['a partition that no topic has', { partition: 2 ** 31 - 1 }],
    ['a partition before the first', { partition: -1 }],
    ['an incarnation that leads out of a folder', { incarnation: '../x' }],
    ['an incarnation of a megabyte', { incarnation: 'x'.repeat(1_000_000) }],
    ['a sync with the name of a folder', { sync: '../other' }],
    ['a sync with a name of a megabyte', { sync: 'x'.repeat(1_000_000) }],
    ['another sync than its key says', { sync: 'other' }],
    ['an error of a megabyte', { error: 'x'.repeat(1_000_000) }],
  ])('believes no report of %s', async (_, fields) => {
    await write([reportOf({ partition: 0 }), reportOf(fields, reportKey(SYNC, 1))])
    expect([...((await seen())?.reports.keys() ?? [])]).toEqual([0])
    expect([...world.runs.all()].map(({ sync }) => sync)).toEqual([SYNC])
    expect(() => world.runs.assertReadable(SYNC)).toThrow(/report/)
  })

  it('believes no event of a sync with a name of a megabyte', async () => {
    await write([{ ...eventOf({ sync: 'x'.repeat(1_000_000) }), key: textKey('x') }])
    expect(await seen()).toBeUndefined()
    expect([...world.runs.all()]).toEqual([])
  })

  it('believes an event of a run that has as many faults as come together in years', async () => {
    const faults = Array.from({ length: 200_000 }, (_, n) => ({ partition: n % 64, run: n, from: 1_000_000 }))
    await write([eventOf({ status: 'failed', faults })])
    expect((await seen())?.events.size).toBe(1)
    world.runs.assertReadable(SYNC)
  })

  it('believes so many runs that are not over, and stops that sync alone beyond', async () => {
    await write(Array.from({ length: 5_001 }, (_, n) => eventOf({ runId: idOf(n), status: 'queued' })))
    expect((await seen())?.events.size).toBe(5_000)
    expect(() => world.runs.assertReadable(SYNC)).toThrow('are open')
    await write([eventOf({ sync: 'other', runId: idOf(1), status: 'queued' })])
    await seen()
    expect(world.runs.of('other')?.events.size).toBe(1)
    world.runs.assertReadable('other')
  })

  it('takes a run that is over for what makes room for another', async () => {
    const queued = (n: number) => eventOf({ runId: idOf(n), run: null, status: 'queued' })
    await write(Array.from({ length: 5_000 }, (_, n) => queued(n)))
    await write([eventOf({ runId: idOf(0), run: null, status: 'cancelled' }), queued(5_000), queued(5_000)])
    expect((await seen())?.events.has(idOf(5_000))).toBe(true)
    world.runs.assertReadable(SYNC)
  })

  it('believes so many bytes of runs that are not over', async () => {
    const error = 'x'.repeat(400_000)
    await write(Array.from({ length: 200 }, (_, n) => eventOf({ runId: idOf(n), status: 'running', error })))
    expect((await seen())?.events.size).toBeLessThanOrEqual(160)
  })

  it('holds so many syncs, and those that it holds go on', async () => {
    const others = Array.from({ length: 20_100 }, (_, n) => eventOf({ sync: `other-${n}`, runId: idOf(n) }))
    await write([eventOf({ runId: idOf(0), status: 'queued' }), ...others])
    await write([eventOf({ runId: idOf(0), status: 'success' })])
    expect((await seen())?.events.get(idOf(0))?.status).toBe('success')
    expect([...world.runs.all()].length).toBe(20_000)
    world.runs.assertReadable(SYNC)
    // It may have had runs.
    expect(() => world.runs.assertReadable('other-20099')).toThrow('more than 20000 syncs')
  })

  it('remembers runs of so many incarnations before the present one', async () => {
    const told = (n: number) =>
      eventOf({ runId: idOf(n), run: 1, status: 'success', incarnation: `i${n}`, marker: n })
    await write(Array.from({ length: 3_000 }, (_, n) => told(n)))
    expect((await seen())?.incarnation).toBe('i2999')
    expect([world.runs.keeps(SYNC, idOf(0)), world.runs.keeps(SYNC, idOf(2_998))]).toEqual([false, true])
  })

  it('holds a few of very many keys that cannot be read, and the sync stays as it is until a reset', async () => {
    const keys = Array.from({ length: 300 }, (_, n) => runKey(SYNC, idOf(n)))
    await write(keys.map(key => ({ key, value: new Uint8Array([1, 2, 3]) })))
    await write(keys.map((_, n) => eventOf({ runId: idOf(n), status: 'success' })))
    await seen()
    expect(() => world.runs.assertReadable(SYNC)).toThrow('cannot be read')
    await write([eventOf({ runId: idOf(301), incarnation: 'after-a-reset', marker: 1 })])
    await seen()
    world.runs.assertReadable(SYNC)
  })
})
