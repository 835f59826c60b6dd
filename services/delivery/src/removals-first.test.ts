/**
 * Runs that remove first, since an API may take a removed key and another one for the same object: no row is
 * added or changed before all partitions have finished their removals, whatever became of these
 * (PROTOCOL.md §8).
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { PartitionReport, Request } from '@sluice/contracts/records'
import { nextTurn } from '@sluice/flow/sleep'
import { at, homePartition, reportKey, sharedTopics } from '@sluice/topics/topics'
import { enter, newSuspects } from '@sluice/partition/deaths/entry'
import { sampleEvent, SYNC } from '@sluice/testkit/sample-records'
import { PREFIX } from '@sluice/testkit/test-log'
import type { Life } from '../test/live-delivery.ts'
import { always, OK, ScriptedDelivery, type Fate } from '../test/scripted-delivery.ts'
import { lateAfterTakeover } from './run/maybe-sent.ts'

vi.setConfig({ testTimeout: 30_000 })

let lives: ScriptedDelivery
beforeEach(async () => {
  lives = await ScriptedDelivery.open(2)
})
afterEach(() => lives[Symbol.asyncDispose]())

/** `K1` is removed, and `k1` comes in its place. */
const fields = (key: string): Partial<Request> => ({ trigger: key.startsWith('K') ? 'removed' : 'added' })
const FIRST = { fields, begin: { removalsFirst: true } } as const
const { signal } = new AbortController()
const report = (partition: number): PartitionReport | undefined =>
  lives.world.runs.of(SYNC)?.reports.get(partition)
const until = (condition: () => boolean): Promise<void> => lives.world.runs.until(condition, { signal })
const isWaiting = (partition: number): boolean =>
  report(partition)?.waits?.some(({ kind }) => kind === 'queued') === true

function entering(partition: number): ReturnType<typeof enter> {
  const deps = { ...lives.world, logger: { error: () => undefined }, suspects: newSuspects() }
  return enter(deps, { stage: 'attempts', reads: 'requests', run: sampleEvent(), partition }, { signal })
}

/** Both partitions, until the run is over in them. */
async function finishAll(over: Parameters<ScriptedDelivery['live']>[0] = {}): Promise<void> {
  const all = [0, 1].map(partition => lives.live(over, undefined, partition))
  await Promise.race([until(() => [0, 1].every(n => report(n)?.ended === true)), ...all.map(l => l.done)])
  await Promise.all(all.map(life => life.drain()))
}

describe('the rows of a run that removes first', () => {
  it('wait for the removals of the other partition, visibly, and for those of their own', async () => {
    await lives.begin(['K1', 'other'], { ...FIRST, others: [['K2', 'k1']] })
    const second: Life = lives.live({}, undefined, 1)
    await until(() => isWaiting(1))
    expect(report(1)).toMatchObject({ ended: false, removalsFinished: true })
    expect(lives.api.keys).toEqual(['K2'])
    const first = lives.live()
    await until(() => [0, 1].every(partition => report(partition)?.ended === true))
    expect(lives.api.keys.slice(0, 2)).toEqual(['K2', 'K1'])
    expect(lives.api.keys.toSorted()).toEqual(['K1', 'K2', 'k1', 'other'])
    expect(report(1)).toMatchObject({ waits: [], removalsFinished: true })
    await Promise.all([first.drain(), second.drain()])
  })

  it.each<readonly [string, Fate]>([
    ['delivered', OK],
    ['rejected', { status: 422 }],
    ['unknown', 'time-out'],
    ['unsent', 'refused'],
  ])('go on once all removals are %s, without a retry of these', async (_, fate) => {
    const errors = { attempts: 3 }
    await lives.begin(['k1', 'k2'], { ...FIRST, errors, others: [['K1', 'K2', 'k3']] })
    lives.api.script = key => (key.startsWith('K') ? fate : OK)
    await finishAll()
    const { keys } = lives.api
    expect(keys.slice(0, 2).toSorted()).toEqual(['K1', 'K2'])
    expect(keys.slice(2).toSorted()).toEqual(['k1', 'k2', 'k3'])
  })

  it('wait until a removal that a killed process had sent can arrive no more', async () => {
    const LATE_MS = 700
    await lives.begin(['K1', 'other'], { ...FIRST, others: [['k1']] })
    lives.api.script = always('silent')
    const first = lives.live()
    await lives.api.until(1)
    await first.kill()
    lives.api.script = always(OK)
    const sinceMs = Date.now()
    await finishAll({ lateSends: lateAfterTakeover(() => LATE_MS) })
    expect(lives.api.keys.slice(0, 2)).toEqual(['K1', 'K1'])
    for (const { atMs } of lives.api.tries.slice(2)) expect(atMs - sinceMs).toBeGreaterThanOrEqual(LATE_MS)
    expect(lives.api.keys.slice(2).toSorted()).toEqual(['k1', 'other'])
  })

  it('wait in a successor, and not for what a predecessor has reported', async () => {
    await lives.begin(['K1'], { ...FIRST, others: [['K2', 'k1', 'k2']] })
    const first = lives.live({}, undefined, 1)
    await until(() => isWaiting(1))
    await first.kill()
    const second = lives.live({ lateSends: lateAfterTakeover(() => 3_600_000) }, undefined, 1)
    const waits = (): PartitionReport['waits'] => report(1)?.waits ?? []
    const zero = lives.live()
    await lives.api.until(4)
    expect(lives.api.keys.slice(0, 2)).toEqual(['K2', 'K1'])
    // The end of the run is what waits for requests that may be late.
    await until(() => waits()?.[0]?.kind === 'takeover')
    await Promise.all([zero.drain(), second.drain()])
  })

  it('may be killed with their process any number of times while they wait', async () => {
    await lives.begin(['K1'], { ...FIRST, others: [['K2', 'k1']] })
    for (let life = 0; life < 8; life += 1) {
      using entry = await entering(1)
      expect(entry.deaths.count).toBe(1)
      const tookOver = Promise.withResolvers<void>()
      const waiting = lives.live({}, { ...entry, took: () => tookOver.resolve() }, 1)
      await Promise.all([tookOver.promise, until(() => isWaiting(1))])
      await waiting.kill()
    }
  })

  it('do not seem to wait any more once the first is sent, so that a death counts', async () => {
    await lives.begin([], { ...FIRST, others: [['k1']] })
    const zero = (): Partial<PartitionReport> => ({ ...report(1), partition: 0, ended: true })
    lives.api.script = always('silent')
    const first = lives.live({}, undefined, 1)
    await until(() => isWaiting(1))
    await write(0, zero())
    await lives.api.until(1)
    await first.kill()
    expect(isWaiting(1)).toBe(false)
  })

  it('are unsent if the run is cancelled while they wait', async () => {
    await lives.begin([], { ...FIRST, others: [['k1']] })
    const life = lives.live({}, undefined, 1)
    await until(() => isWaiting(1))
    await lives.tell({ cancelling: true })
    await until(() => report(1)?.ended === true)
    expect(report(1)?.counts).toMatchObject({ added: { unsent: 1 } })
    expect(lives.api.keys).toEqual([])
    await life.drain()
  })

  it('are unsent if the run lasts for too long while they wait', async () => {
    await lives.begin([], { ...FIRST, sync: { maxDuration: '1s' }, others: [['k1']] })
    const life = lives.live({}, undefined, 1)
    await until(() => report(1)?.ended === true)
    expect(report(1)?.counts).toMatchObject({ added: { unsent: 1 } })
    await life.drain()
  })

  it('go on if the other partition has ended without its removals', async () => {
    await lives.begin(['K1'], { ...FIRST, others: [['k1']] })
    const life = lives.live({}, undefined, 1)
    await until(() => isWaiting(1))
    const own = report(1)
    await write(0, {
      ...own,
      partition: 0,
      ended: true,
      faultedFrom: 0,
      error: 'gone',
      removalsFinished: null,
    })
    await lives.api.until(1)
    expect(lives.api.keys).toEqual(['k1'])
    await life.drain()
  })

  it('are reported again if an unfenced report replaced the report that said so', async () => {
    await lives.begin(['K1'], { ...FIRST, others: [['k1']] })
    const life = lives.live({}, undefined, 1)
    await until(() => isWaiting(1))
    await write(1, { ...report(1), removalsFinished: null })
    await until(() => report(1)?.removalsFinished === null)
    await until(() => report(1)?.removalsFinished === true)
    await life.drain()
  })

  it.each([
    [true, 1],
    [false, 8],
  ])('are sent one at a time in a replay: %s', async (removalsFirst, most) => {
    const replayOf = { change: 0, command: 0, run: 1, runId: 'R', partition: 0, seq: 0, offset: 0 }
    let change = 0
    const replayed = (key: string): Partial<Request> => ({
      ...fields(key),
      replayOf: { ...replayOf, change: change++ },
    })
    const keys = Array.from({ length: 8 }, (_, n) => `k${n}`)
    await lives.begin(keys, { fields: replayed, begin: { removalsFirst } })
    let [now, peak] = [0, 0]
    const took = { startedAt: 1, durationMs: 1 }
    const all = Promise.withResolvers<void>()
    const life = lives.live({
      sender: {
        send: async () => {
          peak = Math.max(peak, (now += 1))
          if (now === most) all.resolve()
          await all.promise
          // Another one would come meanwhile.
          for (let turns = 0; turns < 50; turns += 1) await nextTurn()
          now -= 1
          return { kind: 'answered', status: 200, headers: {}, body: '', ...took }
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      },
    })
    await until(() => report(0)?.ended === true)
    expect(peak).toBe(most)
    await life.drain()
  })
})

/** Writes a report without a fence. */
async function write(partition: number, value: Partial<PartitionReport>): Promise<void> {
  const { world } = lives
  const place = at(sharedTopics(PREFIX).runs, homePartition(SYNC))
  const encoded = world.io.encode('PartitionReport', value as PartitionReport)
  await world.append(place, [{ key: reportKey(SYNC, partition), value: encoded }])
}
