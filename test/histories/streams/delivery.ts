/**
 * The delivery of one partition of a stream. It finishes requests in any order, and passes a marker on once
 * all requests before it are finished.
 */
import type { Op, Outcome } from '@sluice/contracts/state'
import { withUncertainty } from '@sluice/domain/answers/outcome'
import { sampleEntry } from '@sluice/testkit/sample-records'
import type { Random } from '@sluice/testkit/random'
import type { ApiAnswer } from '../apis.ts'
import type { Mistake } from './mistakes.ts'
import type { Item, Partition, StreamChange } from './topics.ts'

export type SentChange = StreamChange & { readonly op: Op }

export interface DeliveryOptions {
  readonly partition: Partition
  readonly batchSize: number
  readonly random: Random
  readonly mistake: Mistake | null
  readonly send: (rows: readonly SentChange[]) => ApiAnswer
  /** Rows that may have been sent without a record, and are sent again. */
  readonly onDoubt: (rows: readonly SentChange[]) => void
  readonly onFinished: (row: SentChange, outcome: Outcome) => void
}

interface Request {
  readonly rows: readonly SentChange[]
  /** A predecessor may have sent it without a record. */
  isTainted: boolean
  /** What its attempt says, once that is acknowledged. */
  recorded: Outcome | null
  isFinished: boolean
}

/** How many requests are in work at a time. */
const MAX_IN_WORK = 4

export class StreamDelivery {
  readonly #options: DeliveryOptions
  readonly #ledger: Request[] = []
  /** What was read of `changes`, and the requests before each marker that is not passed on yet. */
  #read = 0
  readonly #markers: { readonly item: Item; readonly before: number }[] = []
  #open: SentChange[] = []
  /** Answers that only the process knows, by request. */
  readonly #answers = new Map<Request, Outcome>()

  constructor(options: DeliveryOptions) {
    this.#options = options
  }

  /** Does one thing, if there is something to do. `fails`: a request may fail. */
  step(fails: boolean): void {
    this.#render()
    const { random } = this.#options
    const inWork = this.#ledger.filter(({ isFinished }) => !isFinished).slice(0, MAX_IN_WORK)
    if (inWork.length > 0 && random.chance(0.8)) this.#advance(random.pick(inWork), fails)
    else this.#passOn()
  }

  /** Another process goes on. It knows the topics alone. */
  die(): void {
    this.#answers.clear()
    const first = this.#ledger.findIndex(({ isFinished }) => !isFinished)
    if (first < 0) return
    for (const request of this.#ledger.slice(first)) {
      // Its effects are written again, also if it is finished: requests below it are not.
      if (request.recorded !== null) this.#writeEffects(request, request.recorded)
      else {
        request.isTainted = true
        this.#options.onDoubt(request.rows)
      }
    }
  }

  /** Turns changes into requests. A batch ends by its size, by the op, and by a marker. */
  #render(): void {
    const { partition, batchSize } = this.#options
    for (; this.#read < partition.changes.length; this.#read += 1) {
      const item = partition.changes[this.#read]
      if (item === undefined) return
      if (item.kind !== 'change') {
        this.#close()
        this.#markers.push({ item, before: this.#ledger.length })
        continue
      }
      const { change } = item
      const { op } = change
      if (op === 'settled') continue
      if (this.#open.some(row => row.op !== op)) this.#close()
      this.#open.push({ ...change, op })
      if (this.#open.length >= batchSize) this.#close()
    }
  }

  #close(): void {
    if (this.#open.length === 0) return
    this.#ledger.push({ rows: this.#open, isTainted: false, recorded: null, isFinished: false })
    this.#open = []
  }

  #advance(request: Request, fails: boolean): void {
    const answer = this.#answers.get(request)
    if (request.recorded !== null) this.#finish(request)
    else if (answer === undefined) this.#answers.set(request, this.#send(request, fails))
    else request.recorded = answer
  }

  #send({ rows, isTainted }: Request, fails: boolean): Outcome {
    const { random, send } = this.#options
    const trigger = rows[0]?.op ?? 'added'
    const fate = fails ? random.below(8) : 7
    if (fate === 0) return withUncertainty('rejected', isTainted, trigger)
    if (fate === 1) return 'unknown'
    const { status } = send(rows)
    if (fate === 2) return 'unknown'
    if (status === 409) return withUncertainty('exists', isTainted, trigger)
    if (status === 404) return withUncertainty('missing', isTainted, trigger)
    return 'delivered'
  }

  #finish(request: Request): void {
    const { recorded, rows } = request
    if (recorded === null) return
    if (this.#options.mistake === 'finishes-before-effects' && !request.isFinished) request.isFinished = true
    else {
      this.#writeEffects(request, recorded)
      request.isFinished = true
    }
    for (const row of rows) this.#options.onFinished(row, recorded)
  }

  #writeEffects({ rows }: Request, outcome: Outcome): void {
    const { retry } = this.#options.partition
    for (const { key, run, seq, op, retried } of rows) {
      const isThere = outcome === 'delivered' || (outcome === 'missing' && op !== 'added')
      if (!isThere) retry.set(key, sampleEntry({ run, seq, op, outcome, runs: (retried?.runs ?? 0) + 1 }))
      else if (retried !== null) retry.delete(key)
    }
  }

  #passOn(): void {
    const [marker] = this.#markers
    if (marker === undefined) return
    if (this.#ledger.slice(0, marker.before).some(({ isFinished }) => !isFinished)) return
    this.#markers.shift()
    const { item } = marker
    const { partition } = this.#options
    if (item.kind === 'slice') partition.finishedSlice = item.slice
    if (item.kind === 'run-end') {
      partition.finishedRun = item.run
      partition.finishedSlice = 0
    }
  }
}
