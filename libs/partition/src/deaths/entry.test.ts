/**
 * Owners of a partition that come one after the other, on a real log. Some die, and a poisoned record ends
 * every owner that works on it.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RunEvent } from '@sluice/contracts/records'
import { randomFrom, type Random } from '@sluice/testkit/random'
import { INCARNATION, sampleAttempt, sampleEvent, sampleSlice, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { watchedLog } from '@sluice/testkit/watched-log'
import { at, homePartition, runKey, sharedTopics, sliceKey, syncTopics, textKey } from '@sluice/topics/topics'
import { concernOf } from '../failures.ts'
import { takeOver } from '../take-over.ts'
import { enter, newSuspects, type Suspects } from './entry.ts'

const never = new AbortController().signal
const TOPICS = syncTopics(PREFIX, SYNC)
const READS = { requests: 'changes', attempts: 'requests' } as const
const ATTEMPTS = at(TOPICS.attempts, 0)
const HISTORIES = 8

describe('a partition whose owners die', () => {
  let world: TestLog
  let run: RunEvent
  /** The deaths in a row after which an owner was a suspect. */
  let suspected: unknown[]
  beforeEach(async () => {
    world = await openTestLog({ partitions: 1 })
    suspected = []
    await tell({})
  })
  afterEach(async () => {
    await world[Symbol.asyncDispose]()
  })

  async function tell(fields: Partial<RunEvent>): Promise<void> {
    const runs = at(sharedTopics(PREFIX).runs, homePartition(SYNC))
    run = sampleEvent(fields)
    await world.append(runs, [{ key: runKey(SYNC, run.runId), value: world.io.encode('RunEvent', run) }])
    await world.runs.caughtUp(homePartition(SYNC), { signal: never })
  }

  const queue = (count: number, topic: 'changes' | 'requests' = 'requests'): Promise<number> =>
    world.append(
      at(TOPICS[topic], 0),
      Array.from({ length: count }, (_, index) => ({ key: textKey(`${index}`), value: new Uint8Array(3) })),
    )

  const entering = (
    suspects: Suspects,
    signal: AbortSignal = never,
    stage: 'requests' | 'attempts' = 'attempts',
  ) => {
    const error = ({ deaths }: { readonly deaths?: unknown }): void => void suspected.push(deaths)
    const deps = { ...world, logger: { error }, suspects }
    return enter(deps, { stage, reads: READS[stage], run, partition: 0 }, { signal })
  }

  /** One owner: it finishes so many requests, and then dies or leaves in good order. */
  async function live(of: {
    readonly finishes: number
    readonly leaves?: boolean
    readonly suspects?: Suspects
    readonly stage?: 'requests' | 'attempts'
  }): Promise<number> {
    const { finishes, leaves = false, suspects = newSuspects(), stage = 'attempts' } = of
    using entry = await entering(suspects, never, stage)
    const { log, io, prefix } = world
    const place = { sync: SYNC, incarnation: INCARNATION, partition: 0, targets: [at(TOPICS[stage], 0)] }
    await using owner = await takeOver({
      ...{ log, io, prefix, stage, signal: never, entry },
      ...place,
    })
    const from = Math.max(0, entry.position)
    for (let done = 1; done <= finishes; done += 1) {
      entry.cameFurther()
      const checkpoint = { offset: from + done, from: 0, run: run.run ?? 0, counts: {} }
      const attempt = sampleAttempt({
        owner: owner.markerOffset(ATTEMPTS),
        incarnation: INCARNATION,
        checkpoint,
      })
      await owner.append(ATTEMPTS, [{ key: textKey('a'), value: io.encode('Attempt', attempt) }], {
        signal: never,
      })
    }
    if (leaves) await owner.leave({ signal: never })
    return from + finishes
  }

  it('is entered with care after two deaths in a row, by one owner of the process at a time', async () => {
    await queue(1)
    await live({ finishes: 0 })
    await live({ finishes: 0 })
    const suspects = newSuspects()
    const another = await suspects.slots.take({ signal: never })
    expect(suspects.slots.tryTake()).toBeNull()
    const gone = new AbortController()
    const waiting = entering(suspects, gone.signal)
    gone.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    another[Symbol.dispose]()
    using entry = await entering(suspects)
    expect([entry.precautionsIn(1).isSuspect, entry.precautionsIn(2).isSuspect, suspected]).toEqual([
      true,
      false,
      [2],
    ])
    expect(suspects.slots.tryTake()).toBeNull()
    entry.cameFurther()
    expect(suspects.slots.tryTake()).not.toBeNull()
  })

  it('gives up what is there after three, and is not entered any more in this run after twenty', async () => {
    await queue(1, 'changes')
    const cares: (string | null)[] = []
    for (let death = 0; death < 20; death += 1) {
      using entry = await entering(newSuspects(), never, 'requests')
      cares.push(entry.precautionsIn(1).rejection())
      await live({ finishes: 0, stage: 'requests' })
    }
    const why = (deaths: number): string => `rendering ended the process ${deaths} times in a row`
    expect(cares.slice(0, 5)).toEqual([null, null, null, why(3), why(4)])
    const another = entering(newSuspects(), never, 'requests')
    await expect(another).rejects.toMatchObject({ code: 'corrupt', deaths: 20 })
    expect(concernOf(await another.catch((error: unknown) => error))).toBe('sync')
    await tell({ status: 'failed', endedAt: 2 })
    await tell({ runId: 'RUN2', run: 2 })
    using entry = await entering(newSuspects(), never, 'requests')
    expect([entry.precautionsIn(2).isSuspect, entry.diedIn(2)]).toEqual([false, 0])
  })

  it('still counts earlier deaths when a process that left in good order returns and dies', async () => {
    await queue(1)
    await live({ finishes: 0 })
    const suspects = newSuspects()
    for (const _ of [1, 2]) await live({ finishes: 0, leaves: true, suspects })
    await live({ finishes: 0, suspects })
    await live({ finishes: 1 })
    expect(suspected).toEqual([2])
  })

  it('suspects nobody of renderers that died behind the end of a slice, where there was nothing to do', async () => {
    const count = 3
    await queue(count, 'changes')
    const { log, io, prefix } = world
    const requests = at(TOPICS.requests, 0)
    for (const _ of [1, 2, 3, 4]) {
      using entry = await entering(newSuspects(), never, 'requests')
      const place = { sync: SYNC, incarnation: INCARNATION, partition: 0, targets: [requests] }
      await using owner = await takeOver({
        ...{ log, io, prefix, stage: 'requests', signal: never, entry },
        ...place,
      })
      if (entry.position >= count) continue
      const slice = sampleSlice({ owner: owner.markerOffset(requests), input: count })
      await owner.append(requests, [{ key: sliceKey(0), value: io.encode('Slice', slice) }], {
        signal: never,
      })
    }
    using entry = await entering(newSuspects(), never, 'requests')
    expect([entry.position, entry.precautionsIn(1).isSuspect, suspected]).toEqual([count, false, []])
  })

  it('counts nothing of an owner that is told to end while it takes over', async () => {
    await queue(1)
    const { io, prefix } = world
    const captured = at(TOPICS.captured, 0)
    for (const _ of [1, 2, 3]) {
      const [drain, abort] = [new AbortController(), new AbortController()]
      const log = watchedLog(world.log, async ({ topic }) => {
        if (topic === captured.topic) drain.abort(new Error('drained'))
      })
      using entry = await entering(newSuspects())
      const targets = [ATTEMPTS, captured, at(TOPICS.retry, 0)]
      const place = { sync: SYNC, incarnation: INCARNATION, partition: 0, targets }
      const ends = { signal: drain.signal, abort: abort.signal }
      const taking = takeOver({ ...{ log, io, prefix, stage: 'attempts', entry }, ...place, ...ends })
      await expect(taking).rejects.toThrow('drained')
    }
    await live({ finishes: 1 })
    expect(suspected).toEqual([])
  })

  it('counts nothing of an earlier run', async () => {
    await queue(1)
    for (const _ of [1, 2]) await live({ finishes: 0 })
    await tell({ status: 'cancelled', endedAt: 2 })
    await tell({ runId: 'RUN2', run: 2 })
    await live({ finishes: 0 })
    expect(suspected).toEqual([])
  })

  it('suspects nobody for failures of a process that lives', async () => {
    await queue(1)
    const suspects = newSuspects()
    for (const _ of [1, 2, 3, 4]) await live({ finishes: 0, suspects })
    await live({ finishes: 0 })
    expect(suspected).toEqual([])
  })

  it.each(Array.from({ length: HISTORIES }, (_, seed) => seed))(
    'suspects a poisoned request alone, whatever else happens (seed %i)',
    async seed => {
      const random: Random = randomFrom(seed)
      const requests = 4 + random.below(4)
      const poison = random.below(requests)
      await queue(requests)
      let position = 0
      // Kills that are nobody's fault, drains, and processes that wait at the end of what is there.
      while (position < poison || random.chance(0.7)) {
        const left = poison - position
        const leaves = random.chance(0.3)
        // A process that dies before it came further has to stand at the poison, or beyond all work.
        if (left === 0 && !leaves) break
        const finishes = left === 0 ? 0 : 1 + random.below(left)
        position = await live({ finishes, leaves: leaves && finishes === 0 })
      }
      expect(suspected).toEqual([])
      await live({ finishes: 0 })
      await live({ finishes: 0 })
      expect(suspected).toEqual([])
      position = await live({ finishes: requests - position })
      expect(suspected).toEqual([2])
      // All is done, so an owner that waits here may be killed any number of times.
      for (let kill = 0; kill < 5; kill += 1) await live({ finishes: 0 })
      expect([position, suspected]).toEqual([requests, [2]])
      // Its deaths do not count for the owner that works on the next request.
      await queue(1)
      await live({ finishes: 1 })
      expect(suspected).toEqual([2])
    },
  )
})
