/**
 * Plays a random history of a stream: a table changes, a detector and the delivery of each partition work on
 * it step by step in any order, and each of them may die between any two steps. The API judges: it must have
 * what the table has in the end, no row may go back to an older one, and no request may be needless.
 */
import { isDeepStrictEqual } from 'node:util'
import { randomFrom, type Random } from '@sluice/testkit/random'
import { makeApi, type Api } from '../apis.ts'
import { KEYS, type Row } from '../plan.ts'
import { StreamDelivery, type SentChange } from './delivery.ts'
import { StreamDetector } from './detector.ts'
import type { Mistake } from './mistakes.ts'
import { Source } from './source.ts'
import { lastPosition, makePartitions, stateOf, type Partition, type StreamChange } from './topics.ts'

const STEPS = 400
/** Steps after which a history without further failures must be at its end. */
const MAX_STEPS_TO_END = 20_000

/** Throws an error that names the seed if a promise is broken. Returns the number of requests. */
export function playStream(seed: number, mistake: Mistake | null = null): number {
  return new StreamHistory(seed, mistake).play()
}

class StreamHistory {
  readonly #seed: number
  readonly #random: Random
  readonly #mistake: Mistake | null
  readonly #source: Source
  readonly #api: Api
  readonly #partitions: readonly Partition[]
  readonly #deliveries: readonly StreamDelivery[]
  #detector: StreamDetector | null = null
  #run = 0
  #requests = 0
  /** The row that the API surely has of a key; null: none. */
  readonly #certain = new Map<string, Row | null>(KEYS.map(key => [key, null]))
  /** The order of the last change of each key that the API has taken. */
  readonly #arrived = new Map<string, number>()

  constructor(seed: number, mistake: Mistake | null) {
    this.#seed = seed
    this.#random = randomFrom(seed)
    this.#mistake = mistake
    this.#source = new Source(this.#random, mistake)
    const isStrict = this.#random.chance(0.4)
    this.#api = makeApi({ api: isStrict ? 'strict' : 'upserts', foldsKeys: false })
    this.#partitions = makePartitions(1 + this.#random.below(3))
    this.#deliveries = this.#partitions.map(partition => {
      const batchSize = isStrict ? 1 : this.#random.pick([1, 2, 3])
      const onDoubt = (rows: readonly SentChange[]): void =>
        rows.forEach(({ key }) => this.#certain.delete(key))
      const send = (rows: readonly SentChange[]) => this.#send(rows)
      const onFinished: ConstructorParameters<typeof StreamDelivery>[0]['onFinished'] = (row, outcome) => {
        const { op, key, after } = row
        if (outcome === 'delivered') this.#certain.set(key, op === 'removed' ? null : after)
        // A request that may have been sent before a death counts as sent.
        else if (outcome !== 'rejected') this.#certain.delete(key)
      }
      const random = this.#random
      return new StreamDelivery({ partition, batchSize, random, mistake, send, onDoubt, onFinished })
    })
  }

  play(): number {
    for (let step = 0; step < STEPS; step += 1) this.#step(true)
    for (let step = 0; step < MAX_STEPS_TO_END && !this.#isAtEnd(); step += 1) this.#step(false)
    if (!this.#isAtEnd()) this.#broken('it comes to no end')
    const expected = stateOf(this.#partitions, this.#mistake)
    for (const key of KEYS) {
      const row = this.#source.table.get(key) ?? null
      const there = this.#api.objects().find(object => object.key === key)?.row ?? null
      if (!isDeepStrictEqual(there, row))
        this.#broken(`${key} is ${JSON.stringify(there)}, not ${JSON.stringify(row)}`)
      if (!isDeepStrictEqual(expected.get(key)?.row ?? null, row))
        this.#broken(`the state has ${JSON.stringify(expected.get(key))} of ${key}`)
    }
    return this.#requests
  }

  #isAtEnd(): boolean {
    return this.#detector?.isIdle === true && !this.#detector.hasFailed
  }

  /** `breaks`: the table changes, requests fail and processes die. */
  #step(breaks: boolean): void {
    const random = this.#random
    if (breaks && random.chance(0.25)) this.#source.edit()
    if (breaks && random.chance(0.02)) this.#source.repeat()
    if (breaks && random.chance(0.003)) this.#source.forget()
    if (breaks && random.chance(0.02)) this.#detector = null
    const delivery = random.pick(this.#deliveries)
    if (breaks && random.chance(0.02)) delivery.die()
    if (this.#detector === null) this.#takeOver(breaks)
    else if (random.chance(0.5)) this.#detector.step(breaks ? random.chance(0.1) : true)
    else this.#detector.hear(random.below(this.#partitions.length))
    for (const each of this.#deliveries) each.step(breaks)
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
    this.#run += 1
    this.#detector = new StreamDetector({
      source: this.#source,
      partitions: this.#partitions,
      run: this.#run,
      random,
      mistake: this.#mistake,
      onPublish: change => this.#assertNeeded(change),
    })
  }

  #assertNeeded({ key, op, after, order, retried }: StreamChange): void {
    // The topics say that all entries up to this one were dealt with.
    const { highest } = lastPosition(this.#partitions)
    if (retried === null && order <= highest)
      this.#broken(`${key} was published for an entry that came twice`)
    const certain = this.#certain.get(key)
    if (op === 'settled' || certain === undefined) return
    if (isDeepStrictEqual(certain, op === 'removed' ? null : after))
      this.#broken(`${key} was published, and the API has ${JSON.stringify(certain)}`)
  }

  #send(rows: readonly SentChange[]): ReturnType<Api['take']> {
    this.#requests += 1
    for (const { key, order } of rows) {
      this.#certain.delete(key)
      const before = this.#arrived.get(key) ?? 0
      if (order < before) this.#broken(`${key} went back from change ${before} to ${order}`)
      this.#arrived.set(key, order)
    }
    return this.#api.take(rows.map(({ op, key, after }) => ({ op, key, row: after, id: null })))
  }

  #broken(what: string): never {
    throw new Error(`seed ${this.#seed}, run ${this.#run}: ${what}`)
  }
}
