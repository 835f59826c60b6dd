/** The work of delivery on one partition of a run. It dies where the plan says so (PROTOCOL.md §8). */
import type { RequestRow } from '@sluice/contracts/records'
import type { CountsByOp, Op, Outcome } from '@sluice/contracts/state'
import { effectsOf, type FinishedRequest } from '@sluice/delivery/outcome/effects'
import { Doubt } from '@sluice/delivery/run/doubt'
import {
  NO_HISTORY,
  withAttempt,
  type RequestHistory,
  type UnownedAttempt,
} from '@sluice/delivery/ledger/request-history'
import { closeRequest } from '@sluice/delivery/outcome/close-request'
import { nextTryMs, type Tries } from '@sluice/domain/answers/next-try'
import { addCounts } from '@sluice/domain/counts'
import {
  confirmsRemoval,
  verdictOfAnswer,
  verdictOfFailure,
  withTaint,
  type Verdict,
} from '@sluice/domain/answers/outcome'
import { sampleAttempt } from '@sluice/testkit/sample-records'
import type { Api, ApiAnswer } from './apis.ts'
import type { ApiKind, Death, Fate } from './plan.ts'
import type { Change, Topics } from './topics.ts'

type Sent = Change & { readonly op: Op }

export interface DeliveryOptions {
  readonly api: Api
  readonly kind: ApiKind
  readonly topics: Topics
  readonly changes: readonly Change[]
  readonly batchSize: number
  readonly nextFate: (key: string) => Fate
  readonly death: Death | null
  /** The share of the requests after which delivery hands over in good order. Null: it does not. */
  readonly handsOver: number | null
  readonly tries: Tries
  /** Each try is announced before it is sent, and what may have arrived is not sent again. */
  readonly atMostOnce: boolean
  /** The share of the requests, from 0 to 1, after which a stage cannot go on. 1: it can go on to the end. */
  readonly stopsAt: number
  /** True once the remaining requests become unsent. */
  readonly isCancelled: () => boolean
  /** Called with each request that goes to the API. */
  readonly onSend: (rows: readonly Sent[]) => void
  /** Called once an attempt says what became of the request that was sent last with these rows. */
  readonly onKnown: (rows: readonly Sent[]) => void
  /** Called with the final outcome of each row, and how often its request was tried. */
  readonly onFinished: (row: Sent, outcome: Outcome, attempts: number) => void
}

interface Request {
  readonly trigger: Op
  readonly rows: readonly Sent[]
}

/** So many requests wait before the one that has waited longest is tried again. */
const WAIT_REQUESTS = 2

interface Ledger {
  readonly history: RequestHistory
  readonly finished: boolean
}

export interface Delivered {
  readonly counts: CountsByOp
  /** The rows of requests that a stage which cannot go on has left. */
  readonly left: readonly Sent[]
}

/** Delivers the changes that a run published to a partition, as far as the stages can go on. */
export function deliver(options: DeliveryOptions): Delivered {
  const all = requestsOf(options)
  const requests = all.slice(0, Math.ceil(options.stopsAt * all.length))
  const left = all.slice(requests.length).flatMap(({ rows }) => rows)
  return { counts: deliverRequests(options, requests), left }
}

function deliverRequests(options: DeliveryOptions, requests: readonly Request[]): CountsByOp {
  const ledgers: Ledger[] = requests.map(() => ({ history: NO_HISTORY, finished: false }))
  const { death, handsOver } = options
  const leaves = handsOver === null ? requests.length : Math.floor(handsOver * requests.length)
  const dies = death === null ? requests.length : Math.floor(death.at * requests.length)
  let delivery = new PartitionDelivery(options, requests, ledgers)
  if (leaves < dies) {
    delivery.deliverUpTo(leaves)
    // What waits for its next try goes on waiting there.
    delivery = new PartitionDelivery(options, requests, ledgers, delivery.counts)
  }
  delivery.deliverUpTo(dies)
  if (death !== null && dies < requests.length) {
    delivery.dieAt(dies, death)
    // The successor knows only the topics. Any other request may have been sent too.
    delivery = new PartitionDelivery(options, requests, ledgers, delivery.counts)
    const doubt = new Doubt(false)
    for (const [index, ledger] of ledgers.entries()) {
      if (ledger.finished || ledger.history.final !== null) continue
      const history = doubt.historyOf(ledger.history, options.atMostOnce ? null : Infinity)
      ledgers[index] = { ...ledger, history }
      if (history.intent !== null) delivery.close(index)
    }
  }
  delivery.deliverUpTo(requests.length)
  delivery.deliverWaiting()
  return delivery.counts
}

function requestsOf({ changes, batchSize, kind }: DeliveryOptions): readonly Request[] {
  const requests: { trigger: Op; rows: Sent[] }[] = []
  for (const change of changes) {
    const { op } = change
    if (op === 'settled') continue
    const open = requests.at(-1)
    const isFull = open === undefined || open.trigger !== op || open.rows.length >= batchSize
    // A change that needs an id which the API never gave cannot be rendered.
    if (isFull || isUnrenderable(change, kind)) requests.push({ trigger: op, rows: [{ ...change, op }] })
    else open.rows.push({ ...change, op })
  }
  return requests
}

function isUnrenderable({ op, captured }: Pick<Change, 'op' | 'captured'>, kind: ApiKind): boolean {
  return kind === 'makes-ids' && op === 'changed' && captured === null
}

class PartitionDelivery {
  readonly #options: DeliveryOptions
  readonly #requests: readonly Request[]
  readonly #ledgers: Ledger[]
  counts: CountsByOp

  constructor(
    options: DeliveryOptions,
    requests: readonly Request[],
    ledgers: Ledger[],
    counts: CountsByOp = {},
  ) {
    this.#options = options
    this.#requests = requests
    this.#ledgers = ledgers
    this.counts = counts
  }

  /**
   * Goes on with the requests below that index. A request that waits for its next try does not hold up those
   * behind it: it is tried again once some of them were.
   */
  deliverUpTo(end: number): void {
    const since: number[] = []
    for (const [index, { finished, history }] of [...this.#ledgers.slice(0, end)].entries()) {
      if (finished) continue
      if (history.final !== null) this.finish(index, history.final)
      else if (history.last === null) this.#deliver(index)
      if (this.#waits(index)) since.push(index)
      const due = since[0]
      if (due === undefined || since.length < WAIT_REQUESTS) continue
      since.shift()
      this.#deliver(due)
      if (this.#waits(due)) since.push(due)
    }
  }

  /** Goes on until no request waits any more. */
  deliverWaiting(): void {
    for (const index of this.#ledgers.keys()) while (this.#waits(index)) this.#deliver(index)
  }

  #waits(index: number): boolean {
    const { finished, history } = this.#at(index).ledger
    return !finished && history.final === null && history.last !== null
  }

  #deliver(index: number): void {
    const attempt = this.#attempt(index)
    if (attempt.final) this.finish(index, attempt)
  }

  /** Writes the entries that follow from a request's last attempt; only then is it finished. */
  finish(index: number, final: UnownedAttempt): void {
    const { rows, trigger, ledger } = this.#at(index)
    const { topics, onFinished, kind } = this.#options
    const requests = rows.some(row => isUnrenderable(row, kind)) ? 0 : 1
    const { attempts } = ledger.history
    const finished: FinishedRequest = {
      run: final.run,
      trigger,
      rows: rows.map(rowOf),
      attempts,
      requests,
      final,
    }
    const effects = effectsOf(finished)
    for (const { key, entry } of effects.retry) {
      if (entry === null) topics.retry.delete(key)
      else topics.retry.set(key, entry)
    }
    capture(topics, rows, final)
    this.counts = addCounts(this.counts, effects.counts)
    this.#ledgers[index] = { ...ledger, finished: true }
    for (const row of rows)
      onFinished(row, final.outcome === 'throttled' ? 'unsent' : final.outcome, attempts)
  }

  /** The work up to the death of the process. A request in flight then may arrive or not. */
  dieAt(index: number, { step, others }: Death): void {
    if (step === 'before-attempt') this.#send(index)
    else {
      const attempt = this.#attempt(index)
      if (step === 'after-entries' && attempt.final) this.finish(index, attempt)
    }
    const due = others === 0 ? undefined : [...this.#ledgers.keys()].find(each => this.#waits(each))
    if (due !== undefined) this.#send(due)
    for (let other = index + 1; other <= index + others && other < this.#requests.length; other += 1)
      this.#send(other)
  }

  /** Finishes a request that is tried no more. */
  close(index: number): void {
    const { rows, ledger } = this.#at(index)
    const attempt = attemptOf(rows, { sent: null, history: ledger.history, tries: this.#options.tries })
    this.#ledgers[index] = { ...ledger, history: withAttempt(ledger.history, attempt) }
    this.finish(index, attempt)
  }

  /** Sends until the answer is not "later", and writes the attempts. */
  #attempt(index: number): UnownedAttempt {
    const { rows } = this.#at(index)
    const { tries } = this.#options
    for (;;) {
      const { ledger } = this.#at(index)
      const sent = this.#options.isCancelled() ? null : this.#send(index)
      const attempt = attemptOf(rows, { sent, history: ledger.history, tries })
      const { history } = this.#at(index).ledger
      this.#ledgers[index] = { ...ledger, history: withAttempt(history, attempt) }
      if (attempt.outcome !== 'unknown') this.#options.onKnown(rows)
      if (attempt.outcome !== 'throttled') return attempt
    }
  }

  #send(index: number): SentOnce {
    const { rows, ledger } = this.#at(index)
    const { tainted } = ledger.history
    const { api, kind, nextFate, onSend } = this.#options
    const [first] = rows
    if (first === undefined || rows.some(row => isUnrenderable(row, kind))) return UNRENDERABLE
    if (this.#options.atMostOnce) this.#announce(index)
    const fate = nextFate(first.key)
    if (fate.kind === 'not-sent') return { verdict: verdictOfFailure('not-sent'), id: null, status: null }
    onSend(rows)
    const take = (): ApiAnswer =>
      api.take(rows.map(({ op, key, after, captured }) => ({ op, key, row: after, id: captured })))
    switch (fate.kind) {
      case 'answered':
        return answered(take(), rows, { kind, tainted })
      case 'refused':
        return answered({ status: 400, id: null }, rows, { kind, tainted })
      case 'throttled':
        return answered({ status: 429, id: null }, rows, { kind, tainted })
      case 'broken': {
        if (fate.applied) take()
        if (fate.status === null) return { verdict: verdictOfFailure('timeout'), id: null, status: null }
        return answered({ status: fate.status, id: null }, rows, { kind, tainted })
      }
      default:
        return fate satisfies never
    }
  }

  #announce(index: number): void {
    const { rows, ledger } = this.#at(index)
    const tried = {
      attempt: ledger.history.attempts + 1,
      final: false,
      outcome: 'unknown',
      answered: false,
    } as const
    const history = withAttempt(
      ledger.history,
      sampleAttempt({ ...placeOf(rows), ...tried, nextTryAt: null }),
    )
    this.#ledgers[index] = { ...ledger, history }
  }

  #at(index: number): Request & { readonly ledger: Ledger } {
    const [request, ledger] = [this.#requests[index], this.#ledgers[index]]
    if (request === undefined || ledger === undefined) throw new Error(`there is no request ${index}`)
    return { ...request, ledger }
  }
}

interface SentOnce {
  readonly verdict: Omit<Verdict, 'retryAfterMs'>
  readonly status: number | null
  readonly id: string | null
}

const UNRENDERABLE: SentOnce = { verdict: { outcome: 'rejected', answered: false }, status: null, id: null }

/**
 * The default meaning of an answer, or that of `answers` for an API that says what exists and what is
 * missing.
 */
function answered(
  { status, id }: ApiAnswer,
  rows: readonly Sent[],
  { kind, tainted }: { readonly kind: ApiKind; readonly tainted: boolean },
): SentOnce {
  const verdict = verdictOfAnswer({ status, retryAfter: null, date: null }, 0)
  const removes = rows.every(
    ({ op, beforeState }) => op === 'removed' && (tainted || beforeState !== 'present'),
  )
  if (removes && confirmsRemoval(status)) return { verdict: { ...verdict, outcome: 'delivered' }, status, id }
  if (kind !== 'upserts' && status === 409) return { verdict: { ...verdict, outcome: 'exists' }, status, id }
  if (kind !== 'upserts' && status === 404) return { verdict: { ...verdict, outcome: 'missing' }, status, id }
  return { verdict, status, id }
}

/** Values of an answer are kept until the row is gone. */
function capture(topics: Topics, rows: readonly Sent[], final: UnownedAttempt): void {
  const [row] = rows
  if (row === undefined || rows.length > 1) return
  const { outcome } = final
  const id = final.rows[0]?.captured ?? null
  if (row.op === 'removed' && (outcome === 'delivered' || outcome === 'missing'))
    topics.captured.delete(row.key)
  else if (outcome === 'delivered' && id !== null) topics.captured.set(row.key, id)
}

function rowOf({ key, seq, op, beforeState, retried }: Sent): RequestRow {
  return { key, seq, op, uncertain: beforeState !== 'present', captured: null, retried }
}

/** `sent` is null for a request that is tried no more, though it is not finished. */
function attemptOf(
  rows: readonly Sent[],
  of: { readonly sent: SentOnce | null; readonly history: RequestHistory; readonly tries: Tries },
): UnownedAttempt {
  const { sent, history, tries } = of
  const [row] = rows
  const place = placeOf(rows)
  const { trigger } = place
  if (sent === null) {
    const closed = closeRequest(history, { trigger, nextKey: null, repeatsEarlier: false, why: 'cancelled' })
    return sampleAttempt({ ...place, ...closed, attempt: 0 })
  }
  const { status, id } = sent
  const verdict = { ...sent.verdict, retryAfterMs: null }
  const { outcome, answered: isAnswered } = verdict
  const made = history.attempts + 1
  const waits = nextTryMs(tries, { verdict, made }, () => 0) !== null
  return sampleAttempt({
    ...place,
    attempt: sent === UNRENDERABLE ? 0 : made,
    outcome: outcome === 'throttled' ? outcome : withTaint(outcome, history.tainted, trigger),
    final: outcome !== 'throttled' && !waits,
    nextTryAt: waits ? 1 : null,
    answered: isAnswered,
    status,
    rows:
      id === null || outcome !== 'delivered' || row === undefined
        ? []
        : [{ seq: row.seq, outcome, error: null, captured: id }],
  })
}

function placeOf([row]: readonly Sent[]) {
  return { run: row?.run ?? 0, seq: row?.seq ?? 0, trigger: row?.op ?? 'added' }
}
