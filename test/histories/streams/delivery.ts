/**
 * The delivery of one partition of a stream. It finishes requests in any order, and passes a marker on once
 * all requests before it are finished. A request that failed may be tried again for a time.
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
  /** A request that failed waits to be tried again. */
  readonly waits: boolean
  readonly random: Random
  readonly mistake: Mistake | null
  readonly send: (rows: readonly SentChange[]) => ApiAnswer
  /** True while the API refuses a row, whenever it comes. */
  readonly isSick: (row: SentChange) => boolean
  /** Rows that may have been sent without a record, and are sent again. */
  readonly onDoubt: (rows: readonly SentChange[]) => void
  readonly onFinished: (row: SentChange, outcome: Outcome, id: string | null) => void
}

/** The outcome of an attempt. */
interface Attempt {
  readonly outcome: Outcome
  readonly id: string | null
}

interface Request {
  readonly rows: readonly SentChange[]
  /** It may have been sent without a record, or an attempt was unknown. */
  isTainted: boolean
  /** The outcome of its last attempt, once that is acknowledged. */
  recorded: Attempt | null
  /** Its last attempt is recorded and says that another one follows, at the latest until then. */
  waitsUntil: number | null
  isFinished: boolean
}

const UNKNOWN: Outcome = 'unknown'

/** How many requests are in work at a time. */
const MAX_IN_WORK = 4

/** The steps for which a request that failed holds up the marker behind it. */
const PATIENCE = 20

/** The steps after which a request of a dead process can arrive no more. */
const LATE = 25

export class StreamDelivery {
  readonly #options: DeliveryOptions
  readonly #ledger: Request[] = []
  /** What was read of `changes`, and the requests before each marker that is not passed on yet. */
  #read = 0
  readonly #markers: { readonly item: Item; readonly before: number; readonly since: number }[] = []
  #open: SentChange[] = []
  /** Answers that only the process knows, by request. */
  readonly #answers = new Map<Request, Attempt>()
  #clock = 0
  /** Requests of dead processes, which arrive at some step. */
  #late: { readonly at: number; readonly rows: readonly SentChange[] }[] = []
  /** Before this step, such a request may arrive. */
  #lateUntil = 0

  constructor(options: DeliveryOptions) {
    this.#options = options
  }

  /** How many steps the oldest marker has waited for requests. */
  get waiting(): number {
    const [marker] = this.#markers
    return marker === undefined ? 0 : this.#clock - marker.since
  }

  /** True once nothing of a dead process can arrive any more. */
  get isQuiet(): boolean {
    return this.#late.length === 0 && this.#clock >= this.#lateUntil
  }

  /** Does one thing, if there is something to do. `fails`: a request may fail. */
  step(fails: boolean): void {
    this.#clock += 1
    this.#arriveLate()
    this.#render()
    const { random } = this.#options
    const inWork = this.#ledger.filter(({ isFinished }) => !isFinished).slice(0, MAX_IN_WORK)
    if (inWork.length > 0 && random.chance(0.8)) this.#advance(random.pick(inWork), fails)
    else this.#passOn()
  }

  /** Another process goes on. It knows the topics alone. */
  die(): void {
    const { random, onDoubt } = this.#options
    const underWay = this.#ledger.filter(({ isFinished }) => !isFinished).slice(0, MAX_IN_WORK)
    for (const request of underWay) {
      const mayBeSent = request.recorded === null || request.waitsUntil !== null
      if (!mayBeSent || this.#answers.has(request) || random.chance(0.5)) continue
      this.#late.push({ at: this.#clock + random.below(LATE), rows: request.rows })
    }
    this.#lateUntil = this.#clock + LATE
    this.#answers.clear()
    const first = this.#ledger.findIndex(({ isFinished }) => !isFinished)
    if (first < 0) return
    for (const request of this.#ledger.slice(first)) {
      // Its effects are written again, also if it is finished: requests below it are not.
      if (request.recorded !== null && request.waitsUntil === null)
        this.#writeEffects(request, request.recorded)
      else {
        request.isTainted = true
        onDoubt(request.rows)
      }
    }
  }

  #arriveLate(): void {
    const due = this.#late.filter(({ at }) => at <= this.#clock)
    this.#late = this.#late.filter(each => !due.includes(each))
    for (const { rows } of due) this.#options.send(rows)
  }

  /** Turns changes into requests. A batch ends by its size, by the op, and by a marker. */
  #render(): void {
    const { partition, batchSize } = this.#options
    for (; this.#read < partition.changes.length; this.#read += 1) {
      const item = partition.changes[this.#read]
      if (item === undefined) return
      if (item.kind !== 'change') {
        this.#close()
        this.#markers.push({ item, before: this.#ledger.length, since: this.#clock })
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
    const [...rows] = this.#open
    this.#open = []
    if (rows.length === 0) return
    this.#ledger.push({ rows, isTainted: false, recorded: null, waitsUntil: null, isFinished: false })
  }

  #advance(request: Request, fails: boolean): void {
    const answer = this.#answers.get(request)
    const { recorded, waitsUntil } = request
    if (answer !== undefined) this.#record(request, answer)
    else if (recorded !== null && (waitsUntil === null || this.#isOver(waitsUntil))) this.#finish(request)
    else this.#answers.set(request, this.#send(request, fails))
  }

  /** A run that ends early ends the waiting, too. */
  #isOver(waitsUntil: number): boolean {
    const { random, mistake } = this.#options
    const isOver = this.#clock >= waitsUntil || random.chance(0.15)
    return isOver && mistake !== 'waits-for-ever'
  }

  #record(request: Request, attempt: Attempt): void {
    const { waits, random, mistake } = this.#options
    this.#answers.delete(request)
    const { outcome } = attempt
    const isFailed = outcome === 'rejected' || outcome === 'unknown'
    if (outcome === 'unknown') request.isTainted = true
    request.recorded = attempt
    // All retries are used up.
    const isLast = random.chance(0.2) && mistake !== 'waits-for-ever'
    if (!isFailed || !waits || isLast) request.waitsUntil = null
    else request.waitsUntil ??= this.#clock + PATIENCE
  }

  #send({ rows, isTainted }: Request, fails: boolean): Attempt {
    const { random, send, isSick } = this.#options
    const trigger = rows[0]?.op ?? 'added'
    const without = (outcome: Outcome): Attempt => ({ outcome, id: null })
    const fate = fails ? random.below(8) : 7
    if (fate === 0 || (fails && rows.some(isSick)))
      return without(withUncertainty('rejected', isTainted, trigger))
    if (fate === 1) return without('unknown')
    const { status, id } = send(rows)
    if (fate === 2) return without('unknown')
    if (status === 409) return without(withUncertainty('exists', isTainted, trigger))
    if (status === 404) return without(withUncertainty('missing', isTainted, trigger))
    return { outcome: 'delivered', id }
  }

  #finish(request: Request): void {
    const { recorded, rows, isTainted } = request
    if (recorded === null) return
    const { mistake, onFinished } = this.#options
    // A predecessor may have sent it once more, after the attempt that is recorded.
    const doubts = isTainted && request.waitsUntil !== null && mistake !== 'forgets-taint'
    const last = doubts ? { ...recorded, outcome: UNKNOWN } : recorded
    request.recorded = last
    request.waitsUntil = null
    const isEarly = mistake === 'finishes-before-effects' && !request.isFinished
    if (!isEarly) this.#writeEffects(request, last)
    request.isFinished = true
    for (const row of rows) onFinished(row, last.outcome, last.id)
  }

  #writeEffects({ rows }: Request, { outcome, id }: Attempt): void {
    const { retry, captured } = this.#options.partition
    for (const row of rows) {
      const { key, run, seq, op, retried } = row
      const isThere = outcome === 'delivered' || (outcome === 'missing' && op === 'removed')
      if (!isThere) retry.set(key, sampleEntry({ run, seq, op, outcome, runs: (retried?.runs ?? 0) + 1 }))
      else if (retried !== null) retry.delete(key)
      const isGone = op === 'removed' ? isThere : op === 'changed' && outcome === 'missing'
      if (isGone && this.#options.mistake !== 'forgets-captured') captured.delete(key)
      else if (id !== null && !isGone) captured.set(key, id)
    }
  }

  #passOn(): void {
    const [marker] = this.#markers
    if (marker === undefined) return
    const { partition, mistake } = this.#options
    // A later change of a key must not be overtaken by an earlier one.
    if (!this.isQuiet && mistake !== 'passes-before-late') return
    const isOpen = ({ isFinished, waitsUntil }: Request): boolean =>
      !isFinished && (waitsUntil === null || mistake !== 'passes-waiting')
    if (this.#ledger.slice(0, marker.before).some(isOpen)) return
    this.#markers.shift()
    const { item } = marker
    if (item.kind === 'slice') partition.finishedSlice = item.slice
    if (item.kind === 'run-end') {
      partition.finishedRun = item.run
      partition.finishedSlice = 0
    }
  }
}
