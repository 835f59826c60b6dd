/**
 * Owners of a partition that come one after the other, on a real log. Some die, and a poisoned record ends
 * whoever works on it.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { RunEvent } from '@sluice/contracts/records'
import { randomFrom, type Random } from '@sluice/testkit/random'
import { INCARNATION, sampleAttempt, sampleEvent, sampleReport, SYNC } from '@sluice/testkit/sample-records'
import { openTestLog, PREFIX, type TestLog } from '@sluice/testkit/test-log'
import { watchedLog } from '@sluice/testkit/watched-log'
import {
  at,
  homePartition,
  reportKey,
  runKey,
  sharedTopics,
  syncTopics,
  textKey,
} from '@sluice/topics/topics'
import { NO_FIGURES } from '../figures.ts'
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
  /** What each entry was told to be: the deaths of a parked partition. */
  let parked: number[]
  beforeEach(async () => {
    world = await openTestLog({ partitions: 1 })
    parked = []
    await tell({})
  })
  afterEach(async () => {
    vi.restoreAllMocks()
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
    const figures = { ...NO_FIGURES, parked: (_: string, deaths: number) => void parked.push(deaths) }
    const deps = { ...world, logger: { error: () => undefined }, figures, suspects }
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
      const attempt = sampleAttempt({ owner: owner.owner(ATTEMPTS), incarnation: INCARNATION, checkpoint })
      await owner.append(ATTEMPTS, [{ key: textKey('a'), value: io.encode('Attempt', attempt) }], {
        signal: never,
      })
    }
    if (leaves) await owner.leave({ signal: never })
    return from + finishes
  }

  /** Lets time pass, for all that looks at a clock. */
  function passes(ms: number): void {
    const now = Date.now() + ms
    vi.spyOn(Date, 'now').mockReturnValue(now)
  }

  it('is parked after two deaths in a row, says so, and is entered after a pause', async () => {
    await queue(1)
    await live({ finishes: 0 })
    await live({ finishes: 0 })
    const gone = new AbortController()
    const entered = entering(newSuspects(), gone.signal)
    const report = () => world.runs.of(SYNC)?.reports.get(0)
    await world.runs.until(() => report() !== undefined, { signal: never })
    expect(report()).toMatchObject({
      ended: false,
      faultedFrom: null,
      waits: [
        { kind: 'parked', detail: expect.stringContaining('since 2 processes in a row died') as string },
      ],
    })
    gone.abort(new Error('gone'))
    await expect(entered).rejects.toThrow('gone')
    expect(parked).toEqual([2])

    passes(5_001)
    await live({ finishes: 1 })
    expect(parked).toEqual([2, 2, 0])
    await world.runs.until(() => report()?.waits?.length === 0, { signal: never })
  })

  it('is entered alone among those that are parked', async () => {
    await queue(1)
    await live({ finishes: 0 })
    await live({ finishes: 0 })
    passes(5_001)
    const suspects = newSuspects()
    const another = await suspects.slots.take({ signal: never })
    expect(suspects.slots.tryTake()).toBeNull()
    let isIn = false
    const entered = live({ finishes: 1, suspects }).then(() => (isIn = true))
    const told = () => (world.runs.of(SYNC)?.reports.get(0)?.waits ?? []).length > 0
    await world.runs.until(told, { signal: never })
    expect(isIn).toBe(false)
    another[Symbol.dispose]()
    await entered
  })

  it('ends the run that somebody cancels meanwhile, and touches none of its records', async () => {
    await queue(1)
    await live({ finishes: 0 })
    await live({ finishes: 0 })
    const gone = new AbortController()
    const entered = entering(newSuspects(), gone.signal)
    await tell({ cancelling: true })
    const report = () => world.runs.of(SYNC)?.reports.get(0)
    await world.runs.until(() => report()?.ended === true, { signal: never })
    expect(report()).toMatchObject({ faultedFrom: 0, error: expect.stringContaining('is parked') as string })
    gone.abort(new Error('gone'))
    await expect(entered).rejects.toThrow('gone')
  })

  it('asks again for the end of a cancelled run whose renderer died, if progress hides the question', async () => {
    await queue(1, 'changes')
    await live({ finishes: 0, stage: 'requests' })
    await live({ finishes: 0, stage: 'requests' })
    const gone = new AbortController()
    const entered = entering(newSuspects(), gone.signal, 'requests')
    await tell({ cancelling: true })
    const report = () => world.runs.of(SYNC)?.reports.get(0)
    await world.runs.until(() => report()?.faultedFrom === 0, { signal: never })
    const asked = report()
    const progress = sampleReport({ ...asked, faultedFrom: null, error: null, errorCode: null })
    const runs = at(sharedTopics(PREFIX).runs, homePartition(SYNC))
    await world.append(runs, [
      { key: reportKey(SYNC, 0), value: world.io.encode('PartitionReport', progress) },
    ])
    await world.runs.until(() => report()?.faultedFrom === 0 && report() !== asked, { signal: never })
    expect(report()?.ended).toBe(false)
    gone.abort(new Error('gone'))
    await expect(entered).rejects.toThrow('gone')
  })

  it('counts who died before a process that left in good order, when that process returns and dies', async () => {
    await queue(1)
    await live({ finishes: 0 })
    const suspects = newSuspects()
    for (const _ of [1, 2]) await live({ finishes: 0, leaves: true, suspects })
    await live({ finishes: 0, suspects })
    passes(5_001)
    await live({ finishes: 1 })
    expect(parked).toEqual([2, 0])
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
    expect(parked).toEqual([])
  })

  it('counts nothing of an earlier run', async () => {
    await queue(1)
    for (const _ of [1, 2]) await live({ finishes: 0 })
    await tell({ status: 'cancelled', endedAt: 2 })
    await tell({ runId: 'RUN2', run: 2 })
    await live({ finishes: 0 })
    expect(parked).toEqual([])
  })

  it('is not parked for setbacks of a process that lives', async () => {
    await queue(1)
    const suspects = newSuspects()
    for (const _ of [1, 2, 3, 4]) await live({ finishes: 0, suspects })
    await live({ finishes: 0 })
    expect(parked).toEqual([])
  })

  it.each(Array.from({ length: HISTORIES }, (_, seed) => seed))(
    'is parked for a poisoned request alone, whatever else happens (seed %i)',
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
      expect(parked).toEqual([])
      await live({ finishes: 0 })
      await live({ finishes: 0 })
      expect(parked).toEqual([])
      passes(5_001)
      position = await live({ finishes: requests - position })
      expect(parked).toEqual([2, 0])
      // All is done: whoever waits here may be killed any number of times.
      for (let kill = 0; kill < 5; kill += 1) await live({ finishes: 0 })
      expect([position, parked]).toEqual([requests, [2, 0]])
      // Their deaths are not those of whoever works on what comes next.
      await queue(1)
      await live({ finishes: 1 })
      expect(parked).toEqual([2, 0])
    },
  )
})
