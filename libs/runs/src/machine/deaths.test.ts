import { sampleCounts, sampleReport } from '@sluice/testkit/sample-records'
import { ENDED, FOUND, HELD, QUEUED, TO } from '@sluice/testkit/sample-lives'
import type { PartitionReport, RunEvent } from '@sluice/contracts/records'
import { SluiceError } from '@sluice/contracts/errors'
import { describe, expect, it } from 'vitest'
import { findRuns } from './find-runs.ts'
import { isSuspendedByDeaths, schedulePause, withoutDeath } from './deaths.ts'
import type { RunState } from './run-events.ts'
import { step } from './step.ts'
import type { Fact, PartitionTail, SyncLife } from './sync-life.ts'

const NOWHERE: readonly PartitionTail[] = [
  { ...ENDED, run: 0 },
  { ...ENDED, run: 0 },
]
const PART: readonly PartitionTail[] = [
  { ...ENDED, run: 1 },
  { ...ENDED, run: 1, ended: false },
]
const BEGUN: Fact = { kind: 'begun', definition: 'd' }
const DETECTED: Fact = { kind: 'detected', found: FOUND, records: 2, toApprove: null, to: TO }
const TO_PUBLISHING: readonly Fact[] = [
  BEGUN,
  DETECTED,
  { kind: 'prepared', at: 20 },
  { kind: 'publishing', at: 20 },
]

/** A row ended three processes, and was given up. */
const GIVEN_UP = { deaths: 3, counts: { added: sampleCounts({ delivered: 1, unknown: 1 }) } }

/** A sync as its owners and the topic of the runs see it. */
class Sync {
  readonly events = new Map<string, RunState>()
  life: SyncLife
  at = 1_000

  constructor() {
    this.life = { ...this.#found(NOWHERE), queued: [QUEUED] }
  }

  /** Until when the schedule of the sync pauses: null while a run is at work, undefined if it does not. */
  get pausedUntil(): number | null | undefined {
    return schedulePause(this.#all().values(), this.at)?.until
  }

  /** Tells facts, and returns what is next after the last. */
  step(...facts: readonly Fact[]): string {
    let next = ''
    for (const fact of facts) {
      const done = step(this.life, fact)
      this.life = done.life
      next = done.next
      for (const event of done.events) this.events.set(event.runId, event)
    }
    return next
  }

  idle(): string {
    return this.step({ kind: 'idle', at: this.at })
  }

  /** Another process takes over, since the one at work has died. */
  dies(tails = NOWHERE): void {
    this.life = this.#found(tails)
  }

  /** Ends the interrupted run, of which nothing is written, and queues another in its place. */
  replaces(tails = NOWHERE): void {
    const newRunId = `RUN${this.events.size}`
    this.step({ kind: 'inspected', tails }, { kind: 'replaced', newRunId, at: this.at })
    this.step({ kind: 'ended', endsBefore: [], at: this.at }, { kind: 'released' })
  }

  /** Somebody asks for a run, unless one is queued. */
  ask(): void {
    const runId = `ASKED${this.events.size}`
    if (this.life.queued.length > 0) return
    const queued = [{ ...QUEUED, runId, command: this.events.size }]
    this.life = { ...this.life, queued }
  }

  /** The process dies so often in the midst of a run. */
  diesInTheMidst(times: number): void {
    for (let death = 0; death < times; death += 1) {
      this.ask()
      this.idle()
      this.step(BEGUN)
      this.dies()
      this.replaces()
    }
  }

  /** The run at work is published, and one partition reports this of it. */
  delivers(report: Partial<PartitionReport>): void {
    this.step(...TO_PUBLISHING, { kind: 'published', at: 20 })
    const reports = [sampleReport({ ended: true, ...report })]
    this.step({ kind: 'reported', reports, at: 20 }, { kind: 'ended', endsBefore: [], at: this.at })
    this.step({ kind: 'released' })
  }

  #found(tails: readonly PartitionTail[]): SyncLife {
    return findRuns({ events: this.#all() }, 's', tails)
  }

  #all(): Map<string, RunEvent> {
    const all = [...this.events].map(
      ([id, event]) => [id, { ...event, sync: 's', incarnation: 'i', marker: 0 }] as const,
    )
    return new Map(all)
  }
}

describe('a sync in the midst of whose runs processes die', () => {
  it('goes on at once after each of two deaths, and is suspended then', () => {
    const sync = new Sync()
    sync.diesInTheMidst(1)
    expect([isSuspendedByDeaths(sync.life), sync.pausedUntil, sync.idle()]).toEqual([
      false,
      undefined,
      'detect',
    ])
    sync.step(BEGUN)
    // The event counts the death beforehand, so no instant is due while such a run is at work.
    expect(sync.pausedUntil).toBeNull()
    sync.dies()
    sync.replaces()
    expect([isSuspendedByDeaths(sync.life), sync.pausedUntil]).toEqual([true, sync.at + 5_000])
    expect(sync.idle()).toBe('detect')
  })

  it('is run by its schedule after pauses of 5 s, 20 s, 80 s and so on, up to an hour', () => {
    const sync = new Sync()
    sync.diesInTheMidst(2)
    const pauses = [1, 2, 3, 4, 5, 6, 7].map(() => {
      const pause = (sync.pausedUntil ?? 0) - sync.at
      sync.at += pause
      expect(sync.pausedUntil).toBeUndefined()
      sync.diesInTheMidst(1)
      return pause / 1_000
    })
    expect(pauses).toEqual([5, 20, 80, 320, 1280, 3600, 3600])
  })

  it('is found so by the next owner, and its run says why the one before ended', () => {
    const sync = new Sync()
    sync.diesInTheMidst(2)
    const { deaths, queued } = sync.life
    sync.dies()
    expect(sync.life).toMatchObject({ deaths, queued: [{ runId: queued[0]?.runId }] })
    expect([...sync.events.values()].at(-2)?.error).toMatch(
      /^interrupted: .*; the schedule of the sync pauses, since 2 processes in a row died at work on it$/,
    )
  })

  it('is not run again by itself after three deaths, and the next run may try again', () => {
    const sync = new Sync()
    sync.diesInTheMidst(3)
    expect([sync.idle(), sync.life.queued]).toEqual(['wait', []])
    expect([...sync.events.values()].at(-1)?.error).toMatch(
      /3 processes in a row died at work on it, and no run takes the place of this one$/,
    )
    sync.ask()
    expect(sync.idle()).toBe('detect')
  })

  it.each([
    ['in vain', [GIVEN_UP, GIVEN_UP], 6],
    ['and nobody dies', [GIVEN_UP, {}], 0],
    ['and fewer die in each partition than cost a row', [GIVEN_UP, { deaths: 2 }], 0],
    [
      'and all rows arrive, whoever dies',
      [GIVEN_UP, { deaths: 4, counts: { added: sampleCounts({ delivered: 2 }) } }],
      0,
    ],
  ])(
    'counts deaths of renderers and delivery that cost a row, until a run is tried again (%s)',
    (_, reported, after) => {
      const sync = new Sync()
      for (const report of reported) {
        sync.ask()
        sync.idle()
        sync.delivers(report)
      }
      expect(sync.life.deaths).toBe(after)
      sync.dies()
      expect(sync.life.deaths).toBe(after)
    },
  )

  it('has an interrupted run replaced by a process that lives, whatever the runs before it cost', () => {
    const sync = new Sync()
    sync.idle()
    sync.delivers(GIVEN_UP)
    sync.ask()
    sync.idle()
    sync.step(...TO_PUBLISHING)
    // An append failed, and the same process takes the run over.
    const tails: readonly PartitionTail[] = PART.map(tail => ({ ...tail, run: 2 }))
    sync.dies(tails)
    sync.life = withoutDeath(sync.life)
    sync.step({ kind: 'inspected', tails }, { kind: 'closed' })
    expect(sync.step({ kind: 'reported', reports: [], at: 20 })).toBe('replace')
  })

  it('pauses for no end that is still to come, as after a clock was set back, or that somebody forged', () => {
    const sync = new Sync()
    sync.diesInTheMidst(3)
    const [id, event] = [...sync.events].at(-1) ?? []
    if (id === undefined || event === undefined) throw new Error('there is no run')
    sync.events.set(id, { ...event, endedAt: 9e15, deaths: 2 ** 31 - 1 })
    expect(sync.pausedUntil).toBeUndefined()
    sync.events.set(id, { ...event, deaths: 2 ** 31 - 1 })
    expect(sync.pausedUntil).toBe(sync.at + 3_600_000)
  })

  it('counts deaths of runs that were published in part', () => {
    const sync = new Sync()
    sync.idle()
    sync.step(...TO_PUBLISHING)
    sync.dies(PART)
    const reports: Fact = { kind: 'reported', reports: [], at: 20 }
    sync.step({ kind: 'inspected', tails: PART })
    // The owner that seals the run dies, too. It was not in the midst of the run.
    sync.dies(PART)
    sync.step({ kind: 'inspected', tails: PART }, { kind: 'closed' }, reports)
    sync.step({ kind: 'replaced', newRunId: 'NEW', at: 5 }, { kind: 'ended', endsBefore: [], at: 5 })
    expect(sync.life.deaths).toBe(1)
  })
})

describe('no death counts', () => {
  const failed: Fact = { kind: 'failed', error: new SluiceError('query', 'no such table'), at: 2_000 }
  const published = [...TO_PUBLISHING, { kind: 'published', at: 20 } as const]

  it.each<readonly [string, readonly Fact[]]>([
    ['before a run that failed by itself', [BEGUN, failed, { kind: 'released' }]],
    [
      'before a run that had nothing to publish',
      [
        BEGUN,
        { kind: 'detected', found: FOUND, records: 0, toApprove: null, to: TO },
        { kind: 'ended', endsBefore: [], at: 2_000 },
      ],
    ],
  ])('%s', (_, facts) => {
    const sync = new Sync()
    sync.diesInTheMidst(1)
    sync.idle()
    sync.step(...facts)
    sync.dies()
    expect(sync.life.deaths).toBe(0)
  })

  it.each<readonly [string, readonly Fact[]]>([
    ['of a process that awaits the reports of a run', published],
    ['of a process that has let go of the run', [BEGUN, { kind: 'let-go' }]],
    ['before a run that awaits approval', [BEGUN, { kind: 'held', toApprove: HELD, at: 20 }]],
    ['of a process that died before the run had begun', []],
  ])('%s, and those before it do', (_, facts) => {
    const sync = new Sync()
    sync.diesInTheMidst(1)
    sync.idle()
    sync.step(...facts)
    sync.dies()
    expect(sync.life.deaths).toBe(1)
  })

  it('of a run that is cancelled, and those before it do', () => {
    const sync = new Sync()
    sync.diesInTheMidst(2)
    sync.idle()
    const run = sync.life.atWork?.run.runId ?? ''
    const command = { id: 'c', kind: 'cancel', sync: 's', cause: 'manual', run, at: 15, scope: null } as const
    sync.step(BEGUN, { kind: 'asked', command, offset: 99, partitions: 2, at: 20 }, failed)
    expect([sync.events.get(run)?.status, sync.life.deaths]).toEqual(['cancelled', 2])
  })

  it('of a process that takes its own run over, since it lives', () => {
    const sync = new Sync()
    sync.idle()
    sync.step(BEGUN)
    sync.dies()
    expect(sync.life.deaths).toBe(1)
    expect(withoutDeath(sync.life)).toMatchObject({ deaths: 0, atWork: { run: { deaths: 0 } } })
  })
})
