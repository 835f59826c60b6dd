import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Slots } from '@sluice/flow/slots'
import { INCARNATION, sampleEvent, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { at, homePartition, runKey, sharedTopics } from '@sluice/topics/topics'
import type { Tenure } from '../sync/tenure.ts'
import { takeTurn } from './take-turn.ts'

const never = new AbortController().signal

describe('a run that waits for its turn to be compared', () => {
  let world: TestLog
  const slots = (): Slots => new Slots({ most: 1, overdueMs: 60_000 })
  beforeEach(async () => {
    world = await openTestLog({ partitions: 1 })
    const event = sampleEvent({ complete: false, counts: {} })
    const value = world.io.encode('RunEvent', event)
    await world.append(at(sharedTopics(PREFIX).runs, homePartition(SYNC)), [
      { key: runKey(SYNC, event.runId), value },
    ])
  })
  afterEach(() => world[Symbol.asyncDispose]())

  const tenureWith = (detections: Slots | undefined): Tenure => {
    const { log, io, prefix, runs } = world
    const warnings: unknown[] = []
    const logger = { warn: (...said: readonly unknown[]) => void warnings.push(said) }
    const deps = { log, io, prefix, runs, logger, now: Date.now, detections }
    return { deps, sync: SYNC, ownership: { incarnation: INCARNATION } } as unknown as Tenure
  }
  const waits = () =>
    world.runs
      .of(SYNC)
      ?.reports.get(0)
      ?.waits?.map(({ kind, detail }) => [kind, detail])

  it('says so within two seconds, and no longer once it has its turn', async () => {
    const detections = slots()
    const other = await detections.take({ signal: never })
    const since = performance.now()
    const taking = takeTurn(tenureWith(detections), never)
    await world.runs.until(() => (waits() ?? []).length > 0, { signal: never })
    expect(performance.now() - since).toBeLessThan(2_000)
    expect(waits()).toEqual([['queued', expect.stringContaining('compares other syncs first')]])
    other[Symbol.dispose]()
    const turn = await taking
    await world.runs.caughtUp(homePartition(SYNC), { signal: never })
    expect(waits()).toEqual([])
    turn?.[Symbol.dispose]()
    expect(detections.tryTake()).not.toBeNull()
  })

  it('says nothing if its turn comes soon, or at once', async () => {
    const detections = slots()
    const other = await detections.take({ signal: never })
    const taking = takeTurn(tenureWith(detections), never)
    other[Symbol.dispose]()
    ;(await taking)?.[Symbol.dispose]()
    expect(await takeTurn(tenureWith(undefined), never)).toBeUndefined()
    await world.runs.caughtUp(homePartition(SYNC), { signal: never })
    expect(waits()).toBeUndefined()
  })

  it('gives its place up when it is cancelled', async () => {
    const detections = slots()
    const other = await detections.take({ signal: never })
    const cancel = new AbortController()
    const taking = takeTurn(tenureWith(detections), cancel.signal)
    cancel.abort(new Error('cancelled'))
    await expect(taking).rejects.toThrow('cancelled')
    other[Symbol.dispose]()
    expect(detections.tryTake()).not.toBeNull()
  })
})
