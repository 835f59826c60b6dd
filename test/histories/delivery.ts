/** The work of delivery on one partition of a run. It dies where the plan says so (PROTOCOL.md §8). */
import type { CountsByOp, Op, Outcome } from '@sluice/contracts/state'
import { effectsOf } from '@sluice/delivery/outcome/effects'
import { MaybeSent } from '@sluice/delivery/run/maybe-sent'
import {
  NO_HISTORY,
  withAttempt,
  type PartHistory,
  type RequestHistory,
  type UnownedAttempt,
  rowsAt,
  samePositions,
} from '@sluice/delivery/ledger/request-history'
import type { AllowedRetries } from '@sluice/delivery/outcome/settle-rows'
import { retryPauseMs, type RetryPolicy } from '@sluice/domain/answers/retry-policy'
import { addCounts } from '@sluice/domain/counts'
import { verdictOfFailure, type Verdict } from '@sluice/domain/answers/outcome'
import {
  areTooMany,
  Precautions,
  NO_PRECAUTIONS,
  countedBeforehand,
  deathsIn,
  givenUpAfter,
  type LastOwner,
  NO_DEATHS,
} from '@sluice/partition/deaths/count-deaths'
import { sampleAttempt } from '@sluice/testkit/sample-records'
import type { Api, ApiAnswer } from './apis.ts'
import { EVERY_KEY, type ApiKind, type Death, type Fate, type RowFate } from './plan.ts'
import type { Change, Topics } from './topics.ts'
import { attemptOf, placeOf, rowOf } from './attempts.ts'
import {
  answered,
  isUnrenderable,
  rowByRow,
  sentRow,
  UNRENDERABLE,
  type Sent,
  type SentOnce,
} from './sent-once.ts'

export interface DeliveryOptions {
  readonly api: Api
  readonly kind: ApiKind
  /** True if a rule of the sync says what a 404 means. */
  readonly tellsMissing: boolean
  /** True if nothing is added or changed before all partitions have finished their removals. */
  readonly removalsFirst: boolean
  readonly topics: Topics
  readonly changes: readonly Change[]
  readonly batchSize: number
  readonly nextFate: (key: string) => Fate
  /** The fate of the next send of a row. Null: answers do not tell of rows. */
  readonly nextRowFate: ((key: string) => RowFate) | null
  readonly splitsBatches: boolean
  readonly death: Death | null
  /** The share of the requests after which delivery hands over in good order. Null: it does not. */
  readonly handsOver: number | null
  /** The key whose request ends each process that sends it, so often that it is given up. Null: none. */
  readonly deadly: string | null
  readonly retryPolicy: RetryPolicy
  /** Each try is announced before it is sent, and what may have arrived is not sent again. */
  readonly atMostOnce: boolean
  /** True if each attempt has a token. */
  readonly hasTokens: boolean
  /** The share of the requests, from 0 to 1, after which a stage cannot go on. 1: it can go on to the end. */
  readonly stopsAt: number
  /** True once the remaining requests become unsent. */
  readonly isCancelled: () => boolean
  /** Called with each request that goes to the API. */
  readonly onSend: (rows: readonly Sent[]) => void
  /** Called with rows of which an attempt says what became of them when they were sent last. */
  readonly onKnown: (rows: readonly Sent[]) => void
  /** Called with the final outcome of each row. */
  readonly onFinished: (row: Sent, outcome: Outcome) => void
  /** Called with each promise that is broken. */
  readonly onBroken: (what: string) => never
}

interface Request {
  readonly trigger: Op
  readonly rows: readonly Sent[]
}

/** The status of an answer that refuses a token. */
const REFUSED = 401

/** Once this many requests wait, the one that has waited longest is tried again. */
const WAIT_REQUESTS = 2

interface Ledger {
  readonly history: RequestHistory
  readonly finished: boolean
  /**
   * Records, counted apart from the history: failed attempts of rows, and the parts that were sent.
   */
  readonly failures: Map<Sent, number>
  /** Rows of which a token was refused before. */
  readonly refused: Set<Sent>
  readonly sent: Set<string>
}

export interface Delivered {
  readonly counts: CountsByOp
  /** The rows of requests that a stage which cannot go on has left. */
  readonly left: readonly Sent[]
}

/**
 * Delivers the changes that a run published to a partition, as far as the stages can go on. If removals go
 * first, it yields once those of the partition are finished, and goes on once those of all are.
 */
export function* deliver(options: DeliveryOptions): Generator<void, Delivered> {
  const all = requestsOf(options)
  const requests = all.slice(0, Math.ceil(options.stopsAt * all.length))
  const left = all.slice(requests.length).flatMap(({ rows }) => rows)
  return { counts: yield* deliverRequests(options, requests), left }
}

function* deliverRequests(
  options: DeliveryOptions,
  requests: readonly Request[],
): Generator<void, CountsByOp> {
  const ledgers: Ledger[] = requests.map(() => ({
    history: NO_HISTORY,
    finished: false,
    failures: new Map(),
    refused: new Set(),
    sent: new Set(),
  }))
  const { death, handsOver, removalsFirst } = options
  const leaves = handsOver === null ? requests.length : Math.floor(handsOver * requests.length)
  const dies = death === null ? requests.length : Math.floor(death.at * requests.length)
  const removals = removalsFirst ? requests.filter(({ trigger }) => trigger === 'removed').length : 0
  let delivery = new PartitionDelivery(options, requests, ledgers)
  let mayPass = !removalsFirst
  const deaths = new DeathsOfPartition(requests[0]?.rows[0]?.run ?? 0, options.onBroken)
  /** The successor knows only the topics. Any other request may have been sent too. */
  const takeOver = (precautions = NO_PRECAUTIONS): void => {
    delivery = new PartitionDelivery(options, requests, ledgers, { counts: delivery.counts, precautions })
    const doubt = new MaybeSent(false, () => 0)
    for (const [index, ledger] of ledgers.entries()) {
      if (ledger.finished) continue
      const history = doubt.historyOf(ledger.history, options.atMostOnce ? null : Infinity)
      ledgers[index] = { ...ledger, history }
      delivery.closeAnnounced(index)
    }
  }
  /** Each process that dies at work has a successor, which minds that. */
  const survive = (work: () => void): void => {
    for (;;)
      try {
        return work()
      } catch (error) {
        if (!(error instanceof Died)) throw error
        takeOver(deaths.next(ledgers))
      }
  }
  const finishRemovals = function* (end: number): Generator<void, void> {
    if (mayPass || end <= removals) return
    survive(() => {
      delivery.deliverUpTo(removals)
      delivery.deliverWaiting(removals)
    })
    yield
    mayPass = true
  }
  const deliverUpTo = function* (end: number): Generator<void, void> {
    yield* finishRemovals(end)
    survive(() => delivery.deliverUpTo(end))
  }
  if (leaves < dies) {
    yield* deliverUpTo(leaves)
    // A request that waits for its next try goes on waiting there.
    delivery = new PartitionDelivery(options, requests, ledgers, { counts: delivery.counts })
  }
  yield* deliverUpTo(dies)
  if (death !== null && dies < requests.length) {
    yield* finishRemovals(dies + 1)
    try {
      delivery.dieAt(dies, death, mayPass ? requests.length : removals)
    } catch (error) {
      if (!(error instanceof Died)) throw error
    }
    takeOver()
  }
  yield* deliverUpTo(requests.length)
  survive(() => delivery.deliverWaiting(requests.length))
  return delivery.counts
}

/** A request has ended the process that sent it. */
class Died extends Error {}

/** All requests of a partition may be at work together. */
const MAX_AT_WORK = EVERY_KEY.length
/**
 * The deaths that a deadly request costs, once the requests before it are through: once together with others,
 * and then alone until it is given up. Before that, an owner that gets another request through begins the
 * count anew.
 */
const MAX_DEATHS = 6

/** The deaths that takeover markers count for a partition in one run (PROTOCOL.md §11). */
class DeathsOfPartition {
  readonly #run: number
  readonly #onBroken: (what: string) => never
  #owner: LastOwner
  #died = 0

  constructor(run: number, onBroken: (what: string) => never) {
    this.#run = run
    this.#onBroken = onBroken
    const deaths = countedBeforehand(run, NO_DEATHS, { hasWork: true })
    this.#owner = { deaths, from: 0, position: 0, tookOverAt: 0, lastAt: 0 }
  }

  /** The next owner's count, once the last one has died. */
  next(ledgers: readonly Ledger[]): Precautions {
    const first = ledgers.findIndex(({ finished }) => !finished)
    const position = first < 0 ? ledgers.length : first
    this.#died = position > this.#owner.from ? 1 : this.#died + 1
    if (this.#died > MAX_DEATHS) this.#onBroken(`one deadly row has cost ${this.#died} processes`)
    const before = deathsIn(this.#run, { ...this.#owner, position }, false)
    const precautions = new Precautions(before, 'attempts')
    if (areTooMany(before, 'attempts') || precautions.ends !== null)
      this.#onBroken('one deadly row has ended the work on a partition')
    const deaths = countedBeforehand(this.#run, before, { hasWork: true })
    this.#owner = { ...this.#owner, deaths, from: position }
    return precautions
  }
}

function requestsOf({ changes, batchSize, kind }: DeliveryOptions): readonly Request[] {
  const requests: { trigger: Op; rows: Sent[] }[] = []
  for (const change of changes) {
    const { op } = change
    if (op === 'settled') continue
    const open = requests.at(-1)
    const isFull = open === undefined || open.trigger !== op || open.rows.length >= batchSize
    // A change that needs an id which the API never gave cannot be rendered. It stands alone.
    const standsAlone =
      isUnrenderable(change, kind) || open?.rows.some(row => isUnrenderable(row, kind)) === true
    if (isFull || standsAlone) requests.push({ trigger: op, rows: [{ ...change, op }] })
    else open.rows.push({ ...change, op })
  }
  return requests
}

class PartitionDelivery {
  readonly #options: DeliveryOptions
  readonly #requests: readonly Request[]
  readonly #ledgers: Ledger[]
  /** Rows that are finished, as far as this process knows. */
  readonly #ended = new Set<Sent>()
  readonly #precautions: Precautions
  counts: CountsByOp

  constructor(
    options: DeliveryOptions,
    requests: readonly Request[],
    ledgers: Ledger[],
    {
      counts = {},
      precautions = NO_PRECAUTIONS,
    }: { readonly counts?: CountsByOp; readonly precautions?: Precautions } = {},
  ) {
    this.#precautions = precautions
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
      if (history.parts.length === 0) this.finish(index)
      else if (!this.#waits(index)) this.#deliver(index)
      if (this.#waits(index)) since.push(index)
      const due = since[0]
      if (due === undefined || since.length < WAIT_REQUESTS) continue
      since.shift()
      this.#deliver(due)
      if (this.#waits(due)) since.push(due)
    }
  }

  /** Goes on until none of the requests below that index waits any more. */
  deliverWaiting(end: number): void {
    for (let index = 0; index < end; index += 1) while (!this.#at(index).ledger.finished) this.#deliver(index)
  }

  #waits(index: number): boolean {
    const { finished, history } = this.#at(index).ledger
    return !finished && history.parts.some(({ last }) => last !== null)
  }

  /** Sends each open part once. */
  #deliver(index: number): void {
    for (const part of this.#at(index).ledger.history.parts) this.#attempt(index, part)
    if (this.#at(index).ledger.history.parts.length === 0) this.finish(index)
  }

  /** Writes the entries that follow from a request's attempts; only then is it finished. */
  finish(index: number): void {
    const { rows, trigger, ledger } = this.#at(index)
    const { topics, onFinished, onBroken } = this.#options
    const { attempts, requests, ended } = ledger.history
    const run = rows[0]?.run ?? 0
    if (requests !== ledger.sent.size)
      onBroken(`${ledger.sent.size} requests were sent, and ${requests} count`)
    const finished = { run, trigger, rows: rows.map(rowOf), attempts, requests, ended, replayOf: null }
    const effects = effectsOf(finished)
    for (const { key, entry } of effects.retry) {
      if (entry === null) topics.retry.delete(key)
      else topics.retry.set(key, entry)
    }
    this.counts = addCounts(this.counts, effects.counts)
    this.#ledgers[index] = { ...ledger, finished: true }
    for (const row of rows) {
      const outcome = capture(topics, row, lastOf(row, rows, ended))
      onFinished(row, outcome)
    }
  }

  /** The work up to the death of the process, which sends no request from `end` on. */
  dieAt(index: number, { step, others }: Death, end: number): void {
    if (step === 'before-attempt') this.#sendParts(index)
    else {
      for (const part of this.#at(index).ledger.history.parts) this.#attempt(index, part)
      if (step === 'after-entries' && this.#at(index).ledger.history.parts.length === 0) this.finish(index)
    }
    const due = others === 0 ? undefined : [...this.#ledgers.keys()].find(each => this.#waits(each))
    if (due !== undefined) this.#sendParts(due)
    for (let other = index + 1; other <= index + others && other < end; other += 1) this.#sendParts(other)
  }

  /** Nothing of it is recorded. */
  #sendParts(index: number): void {
    for (const part of this.#at(index).ledger.history.parts) this.#send(index, part)
  }

  /** Finishes what a predecessor announced and did not say more of. */
  closeAnnounced(index: number): void {
    const { splitsBatches } = this.#options
    for (const part of this.#at(index).ledger.history.parts) {
      if (part.intent === null) continue
      const { ledger, rows: all } = this.#at(index)
      const rows = rowsAt(all, part.positions)
      const retries = { pauseMs: () => null, splits: splitsBatches }
      const { hasTokens } = this.#options
      const attempt = attemptOf(rows, { sent: null, part, number: 0, retries, hasTokens })
      this.#ledgers[index] = { ...ledger, history: withAttempt(ledger.history, attempt) }
    }
  }

  /** Sends rows that go together until the answer is not "later" for all of them, and writes the attempts. */
  #attempt(index: number, { positions }: PartHistory): void {
    const { splitsBatches, onBroken } = this.#options
    const policy = this.#retryPolicyOf(this.#at(index).trigger)
    for (;;) {
      const { ledger, rows: all } = this.#at(index)
      const { history } = ledger
      const part = history.parts.find(open => samePositions(open.positions, positions))
      if (part === undefined) return onBroken('a part that was open is not')
      const rows = rowsAt(all, positions)
      const isGivenUp = !this.#options.atMostOnce && givenUpAfter(part.intents, 'attempts') !== null
      if (isGivenUp && !this.#isDeadly(rows)) onBroken('a row was given up that ends no process')
      const isClosed = this.#options.isCancelled() || isGivenUp
      const sent = isClosed ? null : this.#send(index, part)
      const { history: before } = this.#at(index).ledger
      const retries = {
        pauseMs: (failed: Parameters<AllowedRetries['pauseMs']>[0]) => retryPauseMs(policy, failed, () => 0),
        splits: splitsBatches,
        onlyTokenRefused: this.#options.hasTokens && sent?.status === REFUSED && !part.triedNewToken,
      }
      const { hasTokens } = this.#options
      const attempt = attemptOf(rows, { sent, part, number: history.attempts + 1, retries, hasTokens })
      const next = withAttempt(before, attempt)
      this.#ledgers[index] = { ...ledger, history: next }
      const open = rows.filter(row => next.parts.some(of => rowsAt(all, of.positions).includes(row)))
      for (const row of rows) if (!open.includes(row)) this.#ended.add(row)
      if (sent !== null) this.#assertWhole(ledger, { sent, part, rows, open })
      this.#options.onKnown(rows.filter(row => outcomeIn(attempt, row) !== 'unknown'))
      if (attempt.outcome !== 'throttled' || attempt.parts !== null) return
    }
  }

  /** Another try of a removal that goes first would hold all other rows up. */
  #retryPolicyOf(trigger: Op): RetryPolicy {
    const { retryPolicy, removalsFirst } = this.#options
    return removalsFirst && trigger === 'removed' ? { ...retryPolicy, extra: 0 } : retryPolicy
  }

  /**
   * Rows that the API only asked to wait with are still open, and so are those of a batch that is divided.
   */
  #assertWhole(
    { failures, refused, sent: parts }: Ledger,
    of: {
      readonly sent: SentOnce
      readonly part: PartHistory
      readonly rows: readonly Sent[]
      readonly open: readonly Sent[]
    },
  ): void {
    const { sent, part, rows, open } = of
    const { splitsBatches, hasTokens, onBroken } = this.#options
    const policy = this.#retryPolicyOf(rows[0]?.op ?? 'added')
    const isLast = (came: Verdict['outcome']): boolean => came === 'unknown' && !policy.repeatsUnknown
    const divides = splitsBatches && sent.status === 400 && rows.length > 1
    const isRefused = hasTokens && sent.status === REFUSED
    const onlyTokenRefused = isRefused && !rows.some(row => refused.has(row))
    if (onlyTokenRefused && rows.some(row => !open.includes(row))) onBroken('a refused token has ended rows')
    if (isRefused) for (const row of rows) refused.add(row)
    for (const [place, row] of onlyTokenRefused ? [] : rows.entries()) {
      const came = sent.judged.get(place)?.outcome ?? sent.verdict.outcome
      if ((came === 'throttled' || divides) && !open.includes(row))
        onBroken(`${row.key} was given up, and has to be sent again in the run`)
      if (came === 'throttled' || divides) continue
      const failed = (failures.get(row) ?? 0) + 1
      failures.set(row, failed)
      if (open.includes(row) && failed > policy.extra) onBroken(`${row.key} gets more attempts than it has`)
      const isFinal = came === 'delivered' || came === 'exists' || came === 'missing' || isLast(came)
      if (isFinal === open.includes(row) && failed <= policy.extra && sent !== UNRENDERABLE)
        onBroken(`${row.key} came to ${came}, and ${isFinal ? 'goes on' : 'gets no other try'}`)
    }
    const isThrottled = rows.every(
      (_, place) => (sent.judged.get(place)?.outcome ?? sent.verdict.outcome) === 'throttled',
    )
    if (!isThrottled && sent !== UNRENDERABLE) parts.add(JSON.stringify(part.positions))
  }

  #send(index: number, { positions, uncertain }: PartHistory): SentOnce {
    const rows = rowsAt(this.#at(index).rows, positions)
    const { api, kind, tellsMissing, nextFate, nextRowFate, onSend, onBroken } = this.#options
    const of = { kind, tellsMissing, uncertain }
    const [first] = rows
    if (first === undefined || rows.some(row => isUnrenderable(row, kind))) return UNRENDERABLE
    const again = rows.find(row => this.#ended.has(row))
    if (again !== undefined) onBroken(`${again.key} was sent again after it was finished`)
    this.#precautions.goesOn()
    if (this.#options.atMostOnce || this.#precautions.isOneByOne(MAX_AT_WORK))
      this.#recordIntent(index, { positions })
    const fate = nextFate(first.key)
    if (fate.kind === 'not-sent') return { ...UNRENDERABLE, verdict: verdictOfFailure('not-sent') }
    onSend(rows)
    const take = (): ApiAnswer => api.take(rows.map(sentRow))
    if (this.#isDeadly(rows)) {
      if (fate.kind !== 'broken' || fate.applied) take()
      throw new Died()
    }
    switch (fate.kind) {
      case 'answered':
        if (nextRowFate === null) return answered(take(), rows, of)
        return rowByRow(rows, this.#options)
      case 'refused':
        return answered({ status: 400, id: null }, rows, of)
      case 'throttled':
        return answered({ status: 429, id: null }, rows, of)
      case 'token-refused':
        return answered({ status: REFUSED, id: null }, rows, of)
      case 'broken': {
        if (fate.applied && nextRowFate === null) take()
        else if (fate.applied) for (const row of rows) api.take([sentRow(row)])
        if (fate.status === null) return { ...UNRENDERABLE, verdict: verdictOfFailure('timeout') }
        return answered({ status: fate.status, id: null }, rows, of)
      }
      default:
        return fate satisfies never
    }
  }

  #isDeadly(rows: readonly Sent[]): boolean {
    return rows.some(({ key }) => key === this.#options.deadly)
  }

  #recordIntent(index: number, { positions }: Pick<PartHistory, 'positions'>): void {
    const { rows, ledger } = this.#at(index)
    const tried = { final: false, outcome: 'unknown', answered: false, nextTryAt: null } as const
    const attempt = { ...placeOf(rows), ...tried, part: positions, attempt: ledger.history.attempts + 1 }
    const history = withAttempt(ledger.history, sampleAttempt(attempt))
    this.#ledgers[index] = { ...ledger, history }
  }

  #at(index: number): Request & { readonly ledger: Ledger } {
    const [request, ledger] = [this.#requests[index], this.#ledgers[index]]
    if (request === undefined || ledger === undefined) throw new Error(`there is no request ${index}`)
    return { ...request, ledger }
  }
}

/** The last attempt that the row was in. */
function lastOf(
  row: Sent,
  rows: readonly Sent[],
  ended: RequestHistory['ended'],
): UnownedAttempt | undefined {
  return ended.findLast(({ positions }) => rowsAt(rows, positions).includes(row))?.attempt
}

function outcomeIn({ rows, outcome }: UnownedAttempt, { seq }: Sent): Outcome {
  const own = rows.find(row => row.seq === seq)?.outcome
  return own ?? (outcome === 'throttled' ? 'unsent' : outcome)
}

/** Values of an answer are kept until the row is gone. Gives the outcome of the row. */
function capture(topics: Topics, row: Sent, last: UnownedAttempt | undefined): Outcome {
  const own = last?.rows.find(({ seq }) => seq === row.seq)
  const outcome =
    own?.outcome ?? (last === undefined || last.outcome === 'throttled' ? 'unsent' : last.outcome)
  const id = own?.captured ?? null
  if (row.op === 'removed' && (outcome === 'delivered' || outcome === 'missing'))
    topics.captured.delete(row.key)
  else if (outcome === 'delivered' && id !== null) topics.captured.set(row.key, id)
  return outcome
}
