/**
 * Random histories of one schedule: detectors die, several in a row, clocks are set, runs take long, people
 * ask for runs. The pieces are those of the detector: what is due, and what the sync's owner makes of it.
 * What a new detector knows is what stands on `runs`.
 */
import { expect, it } from 'vitest'
import type { Fired, RunEvent } from '@sluice/contracts/records'
import { isEnded } from '@sluice/domain/run-status'
import { findRuns } from '@sluice/runs/machine/find-runs'
import { schedulePause } from '@sluice/runs/machine/deaths'
import { laterFired } from '@sluice/runs/machine/run-events'
import { step } from '@sluice/runs/machine/step'
import type { Fact, Next, Step, SyncLife } from '@sluice/runs/machine/sync-life'
import { isFired } from '@sluice/runs/machine/take-due'
import { instantsOf } from '@sluice/runs/schedule/instants'
import { randomOf, seedOf } from '@sluice/testkit/seeded-random'
import { DueSyncs } from './fire-schedules.ts'
import type { InstantSchedule } from './sync-schedules.ts'

const HISTORIES = 1_000
const STEPS = 60
const EVERY_MS = 60_000
const MAX_PAUSE_MS = 3_600_000
const BEGIN = Date.UTC(2026, 5, 15, 12)

function schedule(): InstantSchedule {
  const every = { every: EVERY_MS }
  const instants = instantsOf({ name: 'people', schedule: every })
  if (instants === null) throw new Error('a schedule is wanted')
  return { instants, by: JSON.stringify(every), since: BEGIN }
}

class History {
  /** The topic: the last event of each run, and all that a run was ever the answer to. */
  readonly events = new Map<string, RunEvent>()
  readonly answered: number[] = []
  readonly scheduled = new Set<string>()
  now = BEGIN
  /** The number of times that an instant passed while somebody looked, or before somebody looked again. */
  looks = 0
  readonly #schedule = schedule()
  #dues = new DueSyncs()
  #life: SyncLife = findRuns(undefined, 'people', [])
  #pending: Fired | null = null
  #ids = 0

  look(): void {
    if (schedulePause(this.events.values(), this.now) !== null) return
    const fired = [...this.events.values()].map(event => event.fired).reduce(laterFired, null)
    const due = this.#dues.report('people', this.#schedule, { fired, now: this.now })
    if (due === null) return
    this.looks += 1
    this.#pending = due
  }

  answer(): void {
    if (this.#pending === null) return
    const runId = this.#newId()
    const due = { kind: 'due', fired: this.#pending, runId, partitions: 2, at: this.now } as const
    this.#step(due)
    if (isFired(this.#life, due)) this.#pending = null
  }

  ask(): void {
    const id = this.#newId()
    const command = {
      id,
      kind: 'run',
      sync: 'people',
      cause: 'manual',
      run: null,
      at: 1,
      scope: null,
    } as const
    const offset = this.#life.lastCommand + 1
    this.#step({ kind: 'asked', command, offset, incarnation: 'i', partitions: 2, at: this.now })
  }

  /** Takes the next run up, or ends the one at work. */
  work(): void {
    if (this.#life.atWork === null) this.#step({ kind: 'idle', at: this.now })
    else {
      this.#step({ kind: 'failed', error: new Error('no rows today'), at: this.now })
      this.#step({ kind: 'released' })
    }
  }

  /** The run that is taken up begins. From now on the death of its process counts. */
  begin(): void {
    if (this.#life.atWork?.phase === 'taken') this.#step({ kind: 'begun', definition: 'd' })
  }

  /** Nothing but the topic is left. */
  die(): void {
    this.#dues = new DueSyncs()
    this.#pending = null
    this.#life = findRuns({ events: this.events }, 'people', [])
    if (this.#life.atWork === null) return
    // The run that was begun, or taken and cancelled.
    let { next } = this.#step({ kind: 'inspected', tails: [] })
    while (this.#life.atWork !== null) next = this.#step(this.#endOfLeft(next)).next
  }

  #endOfLeft(next: Next): Fact {
    if (next === 'replace') return { kind: 'replaced', newRunId: this.#newId(), at: this.now }
    return next === 'end' ? { kind: 'ended', endsBefore: [], at: this.now } : { kind: 'released' }
  }

  get isQuiet(): boolean {
    return this.#pending === null && this.#life.queued.length === 0 && this.#life.atWork === null
  }

  get lastInstant(): number | null {
    return this.#schedule.instants.latest(BEGIN, this.now)
  }

  #newId(): string {
    this.#ids += 1
    return `RUN${String(this.#ids).padStart(4, '0')}`
  }

  #step(fact: Fact): Step {
    const told = step(this.#life, fact)
    const { life, events } = told
    this.#life = life
    for (const event of events) {
      const before = this.events.get(event.runId)
      this.events.set(event.runId, { ...event, sync: 'people', incarnation: 'i', marker: 0 })
      // Other events repeat how far the schedule has come.
      if (fact.kind !== 'due') continue
      if (event.cause === 'schedule') this.scheduled.add(event.runId)
      const at = event.fired?.at ?? null
      if (at !== null && at !== (before?.fired?.at ?? null)) this.answered.push(at)
    }
    return told
  }
}

it('no instant is missed, none starts two runs, and what was missed is made up for once', () => {
  const seed = seedOf()
  for (let number = 0; number < HISTORIES; number += 1) {
    const random = randomOf(seed + number)
    const history = new History()
    const past: string[] = []
    const moves: { readonly [move: string]: () => void } = {
      'time passes': () => (history.now += random(EVERY_MS)),
      'much time passes': () => (history.now += random(20 * EVERY_MS)),
      'the clock is set back': () => (history.now = Math.max(BEGIN, history.now - random(2 * EVERY_MS))),
      looks: () => history.look(),
      answers: () => history.answer(),
      asks: () => history.ask(),
      begins: () => history.begin(),
      works: () => history.work(),
      dies: () => history.die(),
    }
    const names = ['time passes', 'looks', 'answers', 'works', ...Object.keys(moves)]
    for (let index = 0; index < STEPS; index += 1) {
      const name = names[random(names.length)] ?? ''
      past.push(name)
      moves[name]?.()
    }
    // However many processes have died, no pause is longer.
    history.now += MAX_PAUSE_MS
    for (let turns = 0; turns < 10; turns += 1) {
      history.look()
      history.answer()
      history.work()
    }
    const what = `SLUICE_TEST_SEED=${seed + number}: ${past.join(', ')}`
    expect(history.isQuiet, what).toBe(true)
    const { answered, lastInstant, scheduled, looks } = history
    // Each answer is to a later instant than the one before, so none is answered twice.
    expect(answered, what).toEqual([...new Set(answered)].toSorted((a, b) => a - b))
    if (lastInstant !== null) expect(answered.at(-1) ?? 0, what).toBeGreaterThanOrEqual(lastInstant)
    expect(scheduled.size, what).toBeLessThanOrEqual(looks)
    for (const event of history.events.values()) expect(isEnded(event.status), what).toBe(true)
  }
})
