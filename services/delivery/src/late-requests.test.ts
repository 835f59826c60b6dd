/**
 * Requests of a process that is gone, which the API may read late: whoever comes next does not end the run
 * before they can arrive no more (PROTOCOL.md §8).
 */
import { afterEach, beforeEach, expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import type { PartitionReport } from '@sluice/contracts/records'
import { SYNC } from '@sluice/testkit/sample-records'
import { always, OK, ScriptedDelivery } from '../test/scripted-delivery.ts'
import { lateAfterTakeover, type LateSends } from './run/maybe-sent.ts'

const signal = new AbortController().signal
/** Longer than it takes until people see a wait. */
const LATE_MS = 1_200

let lives: ScriptedDelivery
beforeEach(async () => {
  lives = await ScriptedDelivery.open()
})
afterEach(() => lives[Symbol.asyncDispose]())

const report = (): PartitionReport | undefined => lives.world.runs.of(SYNC)?.reports.get(0)
const isOver = (): boolean => report()?.ended === true

/** A life that is killed with a request under way. */
async function killedInMidSend(lateSends?: LateSends): Promise<void> {
  lives.api.script = always('silent')
  const first = lives.live(lateSends === undefined ? {} : { lateSends })
  await lives.api.until(1)
  await first.kill()
  lives.api.script = always(OK)
}

it('are waited for, visibly, before the run ends, while its other requests go on', async () => {
  await lives.begin(['a', 'b'])
  await killedInMidSend()
  const sinceMs = performance.now()
  const next = lives.live({ lateSends: lateAfterTakeover(() => LATE_MS) })
  const waits = (): PartitionReport['waits'] => report()?.waits ?? []
  await lives.world.runs.until(() => waits()?.[0]?.kind === 'takeover', { signal })
  expect(isOver()).toBe(false)
  expect(waits()).toMatchObject([{ detail: expect.stringContaining('may still arrive') }])
  expect(Number(waits()?.[0]?.until) - Date.now()).toBeLessThanOrEqual(LATE_MS)
  expect(lives.counts).toMatchObject({ delivered: 2 })
  await lives.world.runs.until(isOver, { signal })
  expect(performance.now() - sinceMs).toBeGreaterThanOrEqual(LATE_MS)
  await next.drain()
})

it('are waited for once more by the next one, if a process is drained meanwhile', async () => {
  await lives.begin(['a'])
  await killedInMidSend()
  const second = lives.live({ lateSends: lateAfterTakeover(() => 3_600_000) })
  await lives.untilAttempts(1)
  await second.drain()
  let asked = 0
  const third = lateAfterTakeover(() => {
    asked += 1
    return 0
  })
  await lives.finish({ lateSends: third })
  expect(asked).toBeGreaterThan(0)
})

it('are noted before they go out, and until their outcome is known', async () => {
  const noted: string[] = []
  const notes: LateSends = {
    begin: (partition, timeoutMs) => {
      noted.push(`begin ${partition.split('/').at(-1) ?? ''} ${timeoutMs} after ${lives.api.tries.length}`)
      return {
        finished: () => noted.push('finished'),
        abandoned: () => noted.push('abandoned'),
      }
    },
    ofPredecessor: () => () => 0,
  }
  await lives.begin(['a'], { sync: { timeout: '7s' } })
  await killedInMidSend(notes)
  expect(noted).toEqual(['begin 0 7000 after 0', 'abandoned'])
  noted.length = 0
  await lives.finish({ lateSends: notes })
  expect(noted).toEqual(['begin 0 7000 after 1', 'finished'])
})

it('do not go out if that cannot be noted', async () => {
  const full = (): never => {
    throw new SluiceError('disk', 'the disk is full')
  }
  await lives.begin(['a'])
  const life = lives.live({ lateSends: { begin: full, ofPredecessor: () => () => 0 } })
  await expect(life.done).rejects.toThrow('the disk is full')
  expect(lives.api.tries).toEqual([])
})
