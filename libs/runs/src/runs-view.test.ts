import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import type { PartitionReport, RunEvent } from '@sluice/contracts/records'
import { INCARNATION, sampleEvent, sampleReport, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { ForeignRecords } from '@sluice/topics/foreign-records'
import { runAtWork, RunsView } from './runs-view.ts'
import { at, homePartition, reportKey, runKey, sharedTopics, textKey } from '@sluice/topics/topics'

const { signal } = new AbortController()
const HOME = homePartition(SYNC)
const ID = '01ARZ3NDEKTSV4RRFFQ69G5FAV'

describe('the view of the runs', () => {
  let world: TestLog
  beforeEach(async () => {
    world = await openTestLog({ partitions: 0 })
  })
  afterEach(() => world[Symbol.asyncDispose]())

  const write = (key: Uint8Array, value: Uint8Array): Promise<number> =>
    world.append(at(sharedTopics(PREFIX).runs, HOME), [{ key, value }])
  async function tell(fields: Partial<RunEvent>): Promise<void> {
    const event = sampleEvent(fields)
    await write(runKey(event.sync, event.runId), world.io.encode('RunEvent', event))
  }
  async function report(fields: Partial<PartitionReport>): Promise<void> {
    const made = sampleReport(fields)
    await write(reportKey(made.sync, made.partition), world.io.encode('PartitionReport', made))
  }
  /** Returns the runs that the view holds once it has seen all that was written. */
  async function seen() {
    await world.runs.caughtUp(HOME, { signal })
    return world.runs.of(SYNC)
  }
  const statuses = async () =>
    [...((await seen())?.events.values() ?? [])].map(run => [run.runId, run.status])

  it('knows nothing of a sync that never ran', async () => {
    expect(await seen()).toBeUndefined()
  })

  it('holds the last event of each run, oldest run first', async () => {
    await tell({ runId: 'A', status: 'queued' })
    await tell({ runId: 'B', status: 'queued' })
    await tell({ runId: 'A', status: 'success' })
    expect(await statuses()).toEqual([
      ['A', 'success'],
      ['B', 'queued'],
    ])
  })

  it.each<[string, Partial<RunEvent>]>([
    ['so many partitions that no memory holds them', { partitions: 2 ** 31 - 1 }],
    ['fewer partitions than none', { partitions: -1 }],
    ['a run whose id leads out of a folder', { runId: '/../../../tmp/x' }],
    ['an incarnation that leads out of a folder', { incarnation: '../x' }],
  ])('believes no event of %s, and takes it for what may have been one of ours', async (_, fields) => {
    await tell({ runId: 'A', status: 'success' })
    await write(runKey(SYNC, ID), world.io.encode('RunEvent', sampleEvent({ status: 'running', ...fields })))
    expect(await statuses()).toEqual([['A', 'success']])
    expect(() => world.runs.assertReadable(SYNC)).toThrow(/partitions|invalid id/)
    await tell({ runId: ID, status: 'success' })
    await seen()
    world.runs.assertReadable(SYNC)
  })

  it('believes no event of another sync than its key says, and stops only the sync of the key', async () => {
    await tell({ runId: 'A', status: 'queued' })
    const other = sampleEvent({ runId: 'A', sync: 'other', status: 'success' })
    await write(runKey(SYNC, ID), world.io.encode('RunEvent', other))
    expect(await statuses()).toEqual([['A', 'queued']])
    expect(world.runs.of('other')).toBeUndefined()
    expect(() => world.runs.assertReadable(SYNC)).toThrow(/under the key of another/)
    world.runs.assertReadable('other')
  })

  it('passes over what is no record of ours, tells of it, and goes on', async () => {
    await tell({ runId: 'A', status: 'queued' })
    const junk = await write(textKey('x'), new Uint8Array([1, 2, 3]))
    const cut = await write(runKey(SYNC, 'C'), world.io.encode('RunEvent', sampleEvent({})).subarray(0, 20))
    await tell({ runId: 'B', status: 'queued' })
    const told: (readonly [offset: number, count: number])[] = []
    const foreign = new ForeignRecords(({ offset, count }) => void told.push([offset, count]))
    const io = Object.create(world.io, { foreign: { value: foreign } }) as typeof world.io
    io.decode = world.io.decode.bind(world.io)
    await using view = await RunsView.open({ ...world, io }, { signal })
    await view.caughtUp(HOME, { signal })
    expect([...(view.of(SYNC)?.events.keys() ?? [])]).toEqual(['A', 'B'])
    expect(told).toEqual([
      [junk, 1],
      [cut, 2],
    ])
  })

  it('lets no run of a sync go on while what was told of one cannot be read', async () => {
    await tell({ runId: ID, status: 'running' })
    const told = world.io.encode('RunEvent', sampleEvent({ runId: ID, status: 'failed' }))
    await write(runKey(SYNC, ID), told.subarray(0, 20))
    await using view = await RunsView.open(world, { signal })
    await view.caughtUp(HOME, { signal })
    expect(() => view.assertReadable(SYNC)).toThrow(`sluice reset ${SYNC}`)
    expect(() => view.assertReadable('another')).not.toThrow()
    await write(runKey(SYNC, ID), told)
    await view.caughtUp(HOME, { signal })
    expect(() => view.assertReadable(SYNC)).not.toThrow()
  })

  it.each([
    [true, 'says nothing of any sync, if another program has written them'],
    [false, 'may have been of any sync that lives there, if they were damaged'],
  ])('bytes of which no record is known (foreign: %s): %s', async isForeign => {
    await tell({ runId: ID, status: 'running' })
    const error = new SluiceError('corrupt', 'the checksum does not fit')
    const log = Object.create(world.log) as typeof world.log
    log.offsets = world.log.offsets.bind(world.log)
    log.read = async function* (target, options) {
      for await (const batch of world.log.read(target, options)) {
        const bytes = { offset: 1, key: new Uint8Array(), value: null, timestamp: 0 }
        yield { ...batch, records: [...batch.records, { ...bytes, unreadable: { error, isForeign } }] }
      }
    }
    await using view = await RunsView.open({ ...world, log }, { signal })
    await view.caughtUp(HOME, { signal })
    expect(view.of(SYNC)?.events.get(ID)?.status).toBe('running')
    const asserted = (): void => view.assertReadable(SYNC)
    if (isForeign) expect(asserted).not.toThrow()
    else expect(asserted).toThrow('the checksum does not fit')
  })

  it('waits for the schema of an event, where it may come', async () => {
    await tell({ runId: ID, status: 'running' })
    let isMissing = true
    const lost = new SluiceError('corrupt', 'A record names schema 5, which the registry does not have')
    const io = Object.create(world.io, {
      decode: {
        value: async (...args: Parameters<typeof world.io.decode>) =>
          isMissing ? Promise.reject(lost) : world.io.decode(...args),
      },
    }) as typeof world.io
    const onTransientFailure = (error: unknown): void => {
      expect(error).toMatchObject({ code: 'corrupt', retryable: true })
      isMissing = false
    }
    await using view = await RunsView.open({ ...world, io, onTransientFailure }, { signal })
    await view.caughtUp(HOME, { signal })
    expect(view.of(SYNC)?.events.get(ID)?.status).toBe('running')
  })

  it('passes over an event of an owner that has a successor', async () => {
    await tell({ runId: 'A', status: 'running', marker: 10 })
    await tell({ runId: 'A', status: 'failed', marker: 20 })
    await tell({ runId: 'A', status: 'success', marker: 10 })
    await tell({ runId: 'B', status: 'queued', marker: 19 })
    expect(await statuses()).toEqual([['A', 'failed']])
    await tell({ runId: 'B', status: 'queued', marker: 20 })
    expect(await statuses()).toEqual([
      ['A', 'failed'],
      ['B', 'queued'],
    ])
  })

  it('passes over a report of an owner that has a successor, partition by partition', async () => {
    await report({ partition: 0, marker: 20, ended: false })
    await report({ partition: 0, marker: 10, ended: true })
    await report({ partition: 1, marker: 10, ended: true })
    const reports = (await seen())?.reports
    expect([...(reports?.values() ?? [])].map(({ marker, ended }) => [marker, ended])).toEqual([
      [20, false],
      [10, true],
    ])
  })

  it('passes over a report of an earlier run that comes late', async () => {
    await report({ partition: 0, run: 2, ended: true })
    await report({ partition: 0, run: 1, ended: true })
    expect((await seen())?.reports.get(0)?.run).toBe(2)
  })

  it('forgets what was, and whose markers counted, once the sync has another incarnation', async () => {
    await tell({ runId: 'A', marker: 50 })
    await report({ marker: 50 })
    await tell({ runId: 'B', incarnation: 'another', marker: 1 })
    const runs = await seen()
    expect(runs?.incarnation).toBe('another')
    expect([...(runs?.events.keys() ?? [])]).toEqual(['B'])
    expect(runs?.reports.size).toBe(0)
  })

  it('sees the end of each reset of a sync that is deleted, made again and deleted again', async () => {
    const deleted = { incarnation: '', cause: 'reset', marker: -1, status: 'success' } as const
    for (const incarnation of ['one', 'two', 'three']) {
      await tell({ runId: `RUN-${incarnation}`, incarnation, status: 'success', marker: 3 })
      await tell({ runId: `END-${incarnation}`, incarnation, cause: 'reset', status: 'queued', marker: 3 })
      await tell({ runId: `END-${incarnation}`, ...deleted })
      expect(await statuses()).toEqual([[`END-${incarnation}`, 'success']])
    }
    await tell({ runId: 'RUN-four', incarnation: 'four', status: 'success' })
    // It comes late, and takes nothing away that was made since.
    await tell({ runId: 'END-three', ...deleted })
    expect(await statuses()).toEqual([['RUN-four', 'success']])
  })

  it('sees the end of a second reset whose earlier event compaction has dropped', async () => {
    const deleted = { incarnation: '', cause: 'reset', marker: -1, status: 'success' } as const
    await tell({ runId: 'RUN-one', incarnation: 'one', status: 'success', command: 1 })
    await tell({ runId: 'END-one', ...deleted, command: 2 })
    await tell({ runId: 'RUN-two', incarnation: 'two', status: 'success', command: 3 })
    await tell({ runId: 'END-two', ...deleted, command: 4 })
    expect(await statuses()).toEqual([['END-two', 'success']])
    await tell({ runId: 'RUN-three', incarnation: 'three', status: 'success', command: 5 })
    await tell({ runId: 'END-two', ...deleted, command: 4 })
    expect(await statuses()).toEqual([['RUN-three', 'success']])
  })

  it('passes over a writer of an incarnation that a reset has ended', async () => {
    await tell({ runId: 'A', marker: 50 })
    await tell({ runId: 'B', incarnation: 'another', marker: 1 })
    await report({ marker: 60 })
    await tell({ runId: 'A', status: 'failed', marker: 60 })
    const runs = await seen()
    expect([runs?.incarnation, [...(runs?.events.keys() ?? [])], runs?.reports.size]).toEqual([
      'another',
      ['B'],
      0,
    ])
  })

  it('keeps the last fifty runs that have ended, and every one that has not', async () => {
    await tell({ runId: 'open', run: 1, status: 'running' })
    for (let run = 2; run < 55; run += 1) await tell({ runId: `${run}`, run, status: 'success' })
    const kept = [...((await seen())?.events.keys() ?? [])]
    expect(kept).toEqual(['open', ...Array.from({ length: 50 }, (_, n) => `${n + 5}`)])
  })

  it('keeps a run that lasted while many more were asked for, and all of those before it', async () => {
    await tell({ runId: 'before', run: 1, status: 'success' })
    await tell({ runId: 'long', run: 2, status: 'running' })
    for (let n = 1; n <= 60; n += 1) await tell({ runId: `${n}`, run: null, status: 'cancelled' })
    await tell({ runId: 'long', run: 2, status: 'success' })
    const kept = [...((await seen())?.events.keys() ?? [])]
    expect(kept).toEqual(['before', 'long', ...Array.from({ length: 50 }, (_, n) => `${n + 11}`)])
  })

  it('keeps a run that waited while many more were asked for, once it is cancelled', async () => {
    await tell({ runId: 'waits', run: null, status: 'queued' })
    for (let n = 1; n <= 60; n += 1) await tell({ runId: `${n}`, run: null, status: 'cancelled' })
    await tell({ runId: 'waits', run: null, status: 'cancelled' })
    const kept = [...((await seen())?.events.keys() ?? [])]
    expect(kept).toEqual(['waits', ...Array.from({ length: 49 }, (_, n) => `${n + 12}`)])
  })

  it('forgets a run that has a tombstone, and nothing else', async () => {
    for (const run of [1, 2, 3]) await tell({ runId: `${run}`, run, status: 'success' })
    await report({ partition: 1, run: 3 })
    await tell({ runId: 'open', run: 4, status: 'running' })
    await world.append(at(sharedTopics(PREFIX).runs, HOME), [{ key: runKey(SYNC, '2'), value: null }])
    await world.append(at(sharedTopics(PREFIX).runs, HOME), [{ key: runKey('other', '1'), value: null }])
    expect(await statuses()).toEqual([
      ['1', 'success'],
      ['3', 'success'],
      ['open', 'running'],
    ])
    expect((await seen())?.reports.size).toBe(1)
    for (let run = 5; run <= 52; run += 1) await tell({ runId: `${run}`, run, status: 'success' })
    const kept = [...((await seen())?.events.keys() ?? [])]
    expect(kept.slice(0, 3)).toEqual(['1', '3', 'open'])
  })

  it('needs the runs that it holds, and the last of an incarnation before', async () => {
    const needed = (...runIds: readonly string[]): readonly string[] =>
      runIds.filter(runId => world.runs.keeps(SYNC, runId))
    expect(needed('1')).toEqual([])
    for (let run = 1; run <= 52; run += 1) await tell({ runId: `${run}`, run, status: 'success' })
    await seen()
    expect(needed('1', '2', '3', '52')).toEqual(['3', '52'])
    await tell({ runId: 'B', incarnation: 'another', status: 'failed', run: null })
    await seen()
    expect(needed('3', '51', '52', 'B')).toEqual(['52', 'B'])
    await tell({ runId: 'C', incarnation: 'third' })
    await seen()
    expect(needed('51', '52', 'B', 'C')).toEqual(['52', 'B', 'C'])
    expect(world.runs.keeps('other', '52')).toBe(false)
  })

  it('begins with what the topic holds already, and goes on with what comes', async () => {
    await tell({ runId: 'A', status: 'running' })
    await using later = await RunsView.open(world, { signal })
    await later.caughtUp(HOME, { signal })
    expect(later.of(SYNC)).toMatchObject({ sync: SYNC, incarnation: INCARNATION })
    const ended = later.until(() => later.of(SYNC)?.events.get('A')?.status === 'success', { signal })
    await tell({ runId: 'A', status: 'success' })
    await ended
  })

  it('lets nobody wait longer than they want to', async () => {
    const waiting = new AbortController()
    const wait = world.runs.until(() => false, { signal: waiting.signal })
    waiting.abort(new Error('enough'))
    await expect(wait).rejects.toThrow('enough')
  })

  it('shows the run that is under way, and none that is queued or has ended', async () => {
    await tell({ runId: 'A', status: 'success' })
    await tell({ runId: 'B', status: 'queued' })
    const before = await seen()
    expect(before && runAtWork(before)).toBeNull()
    await tell({ runId: 'B', status: 'running' })
    const after = await seen()
    expect(after && runAtWork(after)?.runId).toBe('B')
  })
})
