/**
 * Plays a random history of a stream: a table changes, a detector and the delivery of each partition work on
 * it step by step in any order, and each of them may die between any two steps. People ask for things, and
 * change the definition.
 */
import { isDeepStrictEqual } from 'node:util'
import { randomFrom, type Random } from '@sluice/testkit/random'
import { API_KINDS, KEYS, type ApiKind, type Row } from '../plan.ts'
import type { Command, Rules } from './decide-key.ts'
import { StreamDelivery } from './delivery.ts'
import { StreamDetector } from './detector.ts'
import { StreamJudge } from './judge.ts'
import type { Mistake } from './mistakes.ts'
import { Source } from './source.ts'
import { feed, makePartitions, rebuilt, type Partition, type States } from './topics.ts'

const STEPS = 500
/** Steps after which a history without further failures must be at its end. */
const MAX_STEPS_TO_END = 20_000
/** Steps for which a marker may wait for the requests before it. */
const MAX_WAITING = 200

/** Throws an error that names the seed if a promise is broken. Returns the number of requests. */
export function playStream(seed: number, mistake: Mistake | null = null): number {
  try {
    return new StreamHistory(seed, mistake).play()
  } catch (error) {
    throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : ''}`, { cause: error })
  }
}

/** The state as a detector has left it on its disk: what it has heard of. */
interface Cache {
  readonly states: States
  readonly from: readonly number[]
}

class StreamHistory {
  readonly #seed: number
  readonly #random: Random
  readonly #mistake: Mistake | null
  readonly #source: Source
  readonly #judge: StreamJudge
  readonly #partitions: readonly Partition[]
  #deliveries: readonly StreamDelivery[]
  readonly #api: ApiKind
  readonly #foldsKeys: boolean
  readonly #batchSize: number
  readonly #waits: boolean
  readonly #giveUpAfter: number | null
  readonly #hasPartials: boolean
  /** A key whose requests the API refuses. */
  readonly #sick: string | null
  /** How often people ask for something, and how often the log breaks. */
  readonly #asks: number
  readonly #breaks: number
  /** Rows whose last change is of a run up to this one have to be sent again. */
  #resynced = 0
  #compare: readonly (keyof Row)[]
  #detector: StreamDetector | null = null
  #cache: Cache = { states: new Map(), from: [] }
  /** The command of a person, until it is done. */
  #command: Command | null = null
  /** Nobody goes on before this many takeovers were tried. */
  #paused = 0
  #resets = false
  #run = 0

  constructor(seed: number, mistake: Mistake | null) {
    this.#seed = seed
    const random = randomFrom(seed)
    this.#random = random
    this.#mistake = mistake
    this.#api = random.pick(API_KINDS)
    this.#foldsKeys = this.#api !== 'makes-ids' && random.chance(0.3)
    this.#batchSize = this.#api === 'upserts' ? random.pick([1, 2, 3]) : 1
    this.#waits = random.chance(0.5)
    this.#giveUpAfter = random.chance(0.2) ? 3 : null
    this.#hasPartials = random.chance(0.4)
    this.#asks = random.pick([0, 0.004, 0.03])
    this.#breaks = random.pick([0, 0.004, 0.015])
    this.#compare = this.#hasPartials || random.chance(0.7) ? ['v', 'w'] : ['v']
    this.#sick = random.chance(0.3) ? random.pick(KEYS) : null
    this.#source = new Source(random, mistake, {
      orders: random.chance(0.6) ? 'log' : 'offset',
      partitions: 1 + random.below(2),
      hasTwins: this.#foldsKeys,
      hasPartials: this.#hasPartials,
      // A row from a later time cannot be put together with an entry that is not whole.
      isExact: this.#hasPartials || random.chance(0.6),
    })
    const onBroken = (what: string): never => this.#broken(what)
    this.#judge = new StreamJudge({
      api: this.#api,
      foldsKeys: this.#foldsKeys,
      givesUp: this.#giveUpAfter !== null,
      onBroken,
    })
    this.#partitions = makePartitions(1 + random.below(3))
    this.#deliveries = this.#newDeliveries()
  }

  #newDeliveries(): readonly StreamDelivery[] {
    return this.#partitions.map(
      partition =>
        new StreamDelivery({
          partition,
          batchSize: this.#batchSize,
          waits: this.#waits,
          random: this.#random,
          mistake: this.#mistake,
          send: rows => this.#judge.send(rows),
          isSick: ({ key }) => key === this.#sick,
          onDoubt: rows => this.#judge.doubt(rows),
          onFinished: (row, outcome, id) => this.#judge.finished(row, outcome, id),
        }),
    )
  }

  play(): number {
    for (let step = 0; step < STEPS; step += 1) this.#step(true)
    this.#comeToEnd()
    this.#assertEnd()
    // What was passed over comes to light.
    this.#compare = ['v', 'w']
    if (this.#random.chance(0.5)) this.#ask('resync')
    this.#leave()
    this.#comeToEnd()
    this.#assertEnd()
    return this.#judge.requests
  }

  #comeToEnd(): void {
    for (let step = 0; step < MAX_STEPS_TO_END && !this.#isAtEnd(); step += 1) this.#step(false)
    if (!this.#isAtEnd()) this.#broken('it comes to no end')
  }

  #assertEnd(): void {
    const states: States = this.#detector?.states ?? new Map()
    const expected = rebuilt(this.#partitions, this.#random, this.#mistake)
    this.#assertSame(states, expected, 'at the end')
    for (const [key, { kind, run, wanted }] of expected) {
      const isMeant = kind !== 'absent' || wanted.row !== null
      if (isMeant && run <= this.#resynced) this.#broken(`${key} was not sent again`)
    }
    this.#judge.assertEqual(this.#source.table, expected, {
      compare: this.#compare,
      idOf: key => this.#partitions[expected.get(key)?.partition ?? -1]?.captured.get(key) ?? null,
    })
  }

  #isAtEnd(): boolean {
    return this.#detector?.isIdle === true && this.#deliveries.every(({ isQuiet }) => isQuiet)
  }

  /** `breaks`: the table changes, requests fail and processes die. */
  #step(breaks: boolean): void {
    const random = this.#random
    if (breaks) this.#happen()
    const delivery = random.pick(this.#deliveries)
    if (breaks && random.chance(0.02)) delivery.die()
    if (this.#detector === null) this.#takeOver(breaks)
    else if (random.chance(0.5)) this.#detector.step(breaks ? random.chance(0.1) : true)
    else this.#detector.hear(random.below(this.#partitions.length))
    for (const each of this.#deliveries) {
      each.step(breaks)
      if (each.waiting > MAX_WAITING) this.#broken('a marker waits too long')
    }
    if (this.#command !== null && this.#detector?.hasWork === false) this.#command = null
  }

  #happen(): void {
    const random = this.#random
    if (random.chance(0.25)) this.#source.edit()
    if (random.chance(0.02)) this.#source.repeat()
    if (random.chance(this.#breaks / 2)) this.#source.forget()
    if (random.chance(this.#breaks / 2)) this.#source.grow()
    if (random.chance(this.#breaks)) this.#source.breakOff()
    if (random.chance(0.02)) this.#leave()
    if (random.chance(this.#asks)) this.#ask(random.pick(['resync', 'retry', 'discard']))
    if (random.chance(this.#asks) && !this.#hasPartials) {
      this.#compare = this.#compare.length === 1 ? ['v', 'w'] : ['v']
      this.#leave()
    }
    if (random.chance(0.003)) {
      this.#paused = random.below(30)
      this.#leave()
    }
    if (random.chance(0.001)) {
      this.#resets = true
      this.#leave()
    }
  }

  /** The run ends where it is. Its detector has left on its disk what it has heard of. */
  #leave(): void {
    const detector = this.#detector
    if (detector === null) return
    const from = detector.heard.map(({ offset }) => offset)
    const ends = this.#partitions.map(({ changes }) => changes.length)
    this.#cache = {
      states: new Map(detector.states),
      from: this.#mistake === 'caches-in-flight' ? ends : from,
    }
    this.#detector = null
  }

  /** A run knows one command. It ends for the next one. */
  #ask(kind: Command['kind']): void {
    if (this.#command !== null || this.#detector === null) return
    const slices = this.#detector.heard.map(({ slice }) => slice)
    this.#command = { kind, run: this.#run, slices }
    this.#judge.asked(this.#command, this.#partitions)
    if (kind === 'resync') this.#resynced = this.#run
    this.#leave()
  }

  /** A successor closes the run, and begins the next one once delivery has finished it. */
  #takeOver(breaks: boolean): void {
    const random = this.#random
    for (const { changes } of this.#partitions) {
      // It may die in between, too.
      if (breaks && random.chance(0.05)) return
      const isClosed = changes.some(item => item.kind === 'run-end' && item.run === this.#run)
      if (!isClosed) changes.push({ kind: 'run-end', run: this.#run })
    }
    if (this.#partitions.some(({ finishedRun }) => finishedRun < this.#run)) return
    if (breaks && this.#paused > 0) {
      this.#paused -= 1
      return
    }
    if (this.#resets) this.#reset()
    const states = this.#statesFromTopics()
    this.#run += 1
    if (this.#mistake === 'asks-again' && this.#command !== null)
      this.#command = { ...this.#command, run: this.#run - 1 }
    const rules = this.#rules()
    if (this.#mistake === 'drops-commands') this.#command = null
    this.#detector = new StreamDetector({
      source: this.#source,
      partitions: this.#partitions,
      run: this.#run,
      random,
      rules,
      foldsKeys: this.#foldsKeys,
      isStrict: this.#api === 'strict',
      states,
      onPublish: (change, isRepeated) =>
        this.#judge.published(change, {
          partitions: this.#partitions,
          known: this.#detector?.states ?? states,
          command: rules.command,
          isRepeated,
        }),
      onTable: table => this.#judge.tableRead(table),
    })
  }

  #rules(): Rules {
    return {
      compare: this.#compare,
      command: this.#command,
      giveUpAfter: this.#giveUpAfter,
      needsId: this.#api === 'makes-ids',
      resyncAs: this.#api === 'makes-ids' || this.#seed % 2 === 0 ? 'changed' : 'added',
      mistake: this.#mistake,
    }
  }

  /** The state that lived on, brought up to date, is the one that follows from the topics alone. */
  #statesFromTopics(): States {
    const { states, from } = this.#cache
    const lived = feed(states, this.#partitions, { from, mistake: this.#mistake })
    const fromTopics = rebuilt(this.#partitions, this.#random, this.#mistake)
    this.#assertSame(lived, fromTopics, 'at a takeover')
    return this.#random.chance(0.5) ? lived : fromTopics
  }

  #assertSame(lived: States, expected: States, when: string): void {
    for (const key of new Set([...lived.keys(), ...expected.keys()])) {
      const [a, b] = [lived.get(key), expected.get(key)]
      if (!isDeepStrictEqual(a, b))
        this.#broken(`${when}, ${key} is ${JSON.stringify(a)}, and follows as ${JSON.stringify(b)}`)
    }
  }

  /** Everything of the sync goes, and another incarnation begins. */
  #reset(): void {
    this.#resets = false
    this.#resynced = 0
    this.#command = null
    this.#judge.reset()
    for (const partition of this.#partitions) {
      partition.changes = []
      partition.retry.clear()
      partition.captured.clear()
      partition.finishedSlice = 0
      partition.finishedRun = this.#run
    }
    this.#deliveries = this.#newDeliveries()
    this.#cache = { states: new Map(), from: [] }
  }

  #broken(what: string): never {
    throw new Error(`in run ${this.#run}, ${what}`)
  }
}
