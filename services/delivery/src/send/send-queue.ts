/**
 * Sends the requests of one partition and run, in order, as the destination's limits allow. A request that
 * failed may wait for a retry, while those behind it go on. So that a run never hangs, the queue gives up if
 * the run is cancelled or takes too long, or if its destination throttles for an hour without one success. A
 * run over a stream waits for its destination instead, as its lag shows. Queued requests then become unsent,
 * and waiting ones get the outcome of their last attempt (PROTOCOL.md §8, §11).
 *
 * States: sending → giving up (all that is queued or waits is recorded). Both → stopped (nothing more is
 * taken; requests under way are finished, and waiting ones are left to a successor).
 */
import { type RetryPolicy, retryPauseMs } from '@sluice/domain/answers/retry-policy'
import type { ByteShare } from '@sluice/flow/byte-budget'
import { type Ends, endingOf } from '@sluice/flow/ends'
import type { HttpSender } from '@sluice/http-sender/port'
import type { StageMetrics } from '@sluice/partition/stage-metrics'
import { type Precautions, givenUpAfter } from '@sluice/partition/deaths/count-deaths'
import type { Traces } from '@sluice/runtime/traces/span'
import type { Target } from '../destination/target.ts'
import type { AttemptLedger } from '../ledger/attempt-ledger.ts'
import { type DestinationGate, isDead } from './destination-gate.ts'
import type { UnrecordedRequests } from './unrecorded-requests.ts'
import type { PartRenderer } from './render-part.ts'
import { type Throttles, hasArrived, ThrottleWindow } from './throttles.ts'
import { type WaitingOptions, WaitingRequests, type DuePart } from './waiting-requests.ts'
import type { Request } from '@sluice/contracts/records'
import type { SluiceError } from '@sluice/contracts/errors'
import { Notifier } from '@sluice/flow/notifier'
import type { Broken } from '@sluice/rate-limit/port'
import { RequestMemory, maxActive } from '../delivery-memory.ts'
import type { AllowedRetries } from '../outcome/settle-rows.ts'
import { leftOfWaitMs, type PartHistory, type UnownedAttempt } from '../ledger/request-history.ts'
import { retriedRows } from '../ledger/failed-rows.ts'
import { DIED_SENDING, NOT_SENT } from '../run/maybe-sent.ts'
import { type OpenRequest, type TakenAttempt, makeReady, type Ready } from './open-request.ts'
import type { Permit } from './permit.ts'
import { failedAttemptsTrace, SentMetrics } from './sent-metrics.ts'
import {
  closingAttempt,
  dividedAttempt,
  hashed,
  intentOf,
  sendRequest,
  type Late,
  type SendJob,
  type Sent,
} from './send-request.ts'
import { TOO_LONG } from '../run/early-end.ts'
import type { RecentCounts } from '../run/recent-attempts.ts'
import { queueWait } from '../run/reported-waits.ts'

export interface SendQueueOptions extends Ends {
  readonly target: Target
  readonly ledger: AttemptLedger
  readonly sender: HttpSender
  readonly gate: DestinationGate
  readonly throttles: Throttles
  readonly unrecorded: UnrecordedRequests
  readonly stageMetrics: StageMetrics
  /** Counts how the destination answers, for its health. */
  readonly recent: Pick<RecentCounts, 'take' | 'stop'>
  /** Absent or null where runs are not traced. */
  readonly traces?: Traces | null | undefined
  /** The retries that the sync allows within a run; null if none. */
  readonly retryPolicy: RetryPolicy | null
  /**
   * True if rows are removed before any is added or changed. No removal then gets a retry, since the other
   * rows would wait for it.
   */
  readonly removalsFirst: boolean
  /**
   * True in a run over a stream. No request waits there for longer than 10 s after its first attempt, since
   * the slice behind it waits as well. And nothing but people ends it early: it waits for its destination.
   */
  readonly isStream: boolean
  /** Reads waiting requests again when they are due. */
  readonly read: WaitingOptions['read']
  /** Renders rows of a request again, as smaller requests. */
  readonly parts: Pick<PartRenderer, 'render' | 'forget'>
  /** Returns the share for the memory of requests that are sent again. The first call opens it. */
  readonly share: () => ByteShare
  readonly partition: number
  readonly runId: string
  /** The time at which the run started, in ms since 1970. */
  readonly startedAt: number
  /** Returns numbers from 0 to below 1. */
  readonly random: () => number
  /**
   * While requests are sent one by one, each attempt gets an intent. The intent shows at which request a
   * process died.
   */
  readonly precautions: Precautions
  /** Aborts, with the reason as a text, when nothing more may be sent. */
  readonly early: AbortSignal
}

/**
 * If there is room for fewer unrecorded requests than this share of the concurrency, answers are recorded at
 * once.
 */
const HURRIED_BELOW = 0.5

/** The longest time from the first attempt of a request to its last one, in a run over a stream. */
const MAX_TRYING_MS = 10_000

const NO_RETRIES: AllowedRetries = { pauseMs: () => null, splits: false }

/**
 * A request that was late for its lease counts as late by at least this time. So a series of instant failures
 * also ends.
 */
const MIN_LATENESS_MS = 5

export class SendQueue {
  readonly #options: SendQueueOptions
  readonly #changes = new Notifier()
  readonly #stopping = new AbortController()
  readonly #givingUp = new AbortController()
  readonly #metrics: SentMetrics
  #underWay = 0
  /** Called when no request is under way any more. */
  #onAllEnded: (() => void) | null = null
  /** Ends waits for leases. */
  readonly #interrupted: AbortSignal
  readonly #pump: Promise<unknown>
  readonly #waiting: WaitingRequests
  /** The number of requests whose open parts all wait. */
  #waitingRequests = 0
  readonly #sinceMs = performance.now()
  #queue: Ready[] = []
  readonly #window: ThrottleWindow
  #unsendable: SluiceError | null = null

  constructor(options: SendQueueOptions) {
    this.#options = options
    this.#window = new ThrottleWindow(options.target.concurrency)
    this.#metrics = new SentMetrics(options.stageMetrics, options.target.sync, failedAttemptsTrace(options))
    const { early } = options
    const ending = endingOf(options, this.#stopping.signal)
    this.#interrupted = AbortSignal.any([ending, this.#givingUp.signal])
    ending.addEventListener('abort', () => this.#changes.notify(), { once: true })
    const giveUp = (): void => this.#giveUp(this.#withWait(String(early.reason)))
    early.addEventListener('abort', giveUp, { once: true, signal: this.#stopping.signal })
    if (early.aborted) this.#giveUp(String(early.reason))
    const onDue = (due: DuePart): Promise<void> => this.#takeDue(due, ending)
    this.#waiting = new WaitingRequests({ read: options.read, onDue, atOnce: this.#givingUp.signal })
    this.#pump = Promise.all(
      [this.#send(ending), this.#waiting.handOut(ending)].map(work =>
        work.catch((error: unknown) => options.ledger.fail(error)),
      ),
    )
  }

  /** The error because of which nothing more of the run can be sent; null while requests can be sent. */
  get unsendable(): SluiceError | null {
    return this.#unsendable
  }

  /** The wait that keeps the queue from sending; null while it sends. */
  get waitsFor(): ReturnType<typeof queueWait> {
    const { gate, target } = this.#options
    return queueWait({
      ...{ queued: this.#queue.length, underWay: this.#underWay, window: this.#window },
      ...{ gate, credentials: target.credentials, waiting: this.#waiting },
    })
  }

  /** The number of requests whose open parts all wait to be sent again. */
  get waiting(): number {
    return this.#waitingRequests
  }

  /**
   * Takes a request, or the open parts of one that a predecessor began. With `why`, nothing of it is sent,
   * and it is recorded at once with that reason.
   */
  take(open: OpenRequest, whole: Request, why: string | null): void {
    const { partition, runId } = this.#options
    const { parts, memory } = open
    open.inWork = parts.length
    for (const part of parts) {
      const leftMs = leftOfWaitMs(part)
      const ready = makeReady(open, part, { whole, memory, partition, runId })
      const reason = why ?? this.#whyGivenUp(part)
      if (reason !== null) this.#close(ready, reason)
      else if (part.positions === null && leftMs <= 0) this.#push(ready)
      else {
        open.giveBackMemory(whole)
        this.#waiting.add({ open, part, dueAtMs: performance.now() + leftMs })
        this.#partRests(open)
      }
    }
  }

  /** Returns why a part with an intent of a dead process is not sent again; null if it is sent. */
  #whyGivenUp({ intent, intents }: PartHistory): string | null {
    if (this.#options.target.atMostOnce) return intent === null ? null : DIED_SENDING
    return givenUpAfter(intents, 'attempts')
  }

  #push(ready: Ready): void {
    const { precautions, target } = this.#options
    precautions.goesOn()
    this.#queue.push(hashed(ready, target))
    this.#changes.notify()
  }

  /** Notes that a part of the request is not in work any more. */
  #partRests(open: OpenRequest): void {
    open.inWork -= 1
    if (open.inWork === 0 && open.parts.length > 0) this.#waitingRequests += 1
  }

  /** Takes nothing more. Resolves once all requests under way are answered and recorded. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#pump
    if (this.#underWay > 0) await new Promise<void>(resolve => (this.#onAllEnded = resolve))
    this.#options.parts.forget()
    if (this.#options.abort.aborted) return
    if (!this.#options.target.atMostOnce) return
    // A successor would take a request with an intent as sent.
    const intended = this.#queue.filter(ready => ready.hasIntent === true)
    this.#queue = this.#queue.filter(ready => ready.hasIntent !== true)
    for (const ready of intended) this.#close(ready, NOT_SENT)
  }

  /**
   * Adds the present wait to the reason of a run that takes too long, since people want to know the cause.
   */
  #withWait(why: string): string {
    const wait = why === TOO_LONG ? this.waitsFor : null
    return wait === null ? why : `${why}: ${wait.detail}`
  }

  #giveUp(why: string): void {
    this.#givingUp.abort(why)
    this.#changes.notify()
  }

  async #send(ending: AbortSignal): Promise<void> {
    while (!ending.aborted) {
      const seen = this.#changes.version
      if (this.#givingUp.signal.aborted) this.#recordUnsent(String(this.#givingUp.signal.reason))
      const want = this.#wanted()
      if (want === 0) {
        await this.#untilWanted(seen, ending).catch(() => undefined)
        continue
      }
      if (await this.#hasCredentials()) this.#sendAll(await this.#permits(want))
    }
  }

  /** Waits for the access token. If there is none in time, the run gives up, and this resolves with false. */
  async #hasCredentials(): Promise<boolean> {
    const { credentials } = this.#options.target
    const isPatient = this.#options.isStream
    const failure = (await credentials?.ready({ signal: this.#interrupted, isPatient })) ?? null
    if (failure === null) return !this.#interrupted.aborted
    this.#unsendable = failure
    this.#options.recent.stop('unusable', failure.message)
    this.#giveUp(failure.message)
    return false
  }

  #wanted(): number {
    const { unrecorded, target } = this.#options
    return Math.max(0, Math.min(this.#queue.length, this.#room, unrecorded.room(target.scopes)))
  }

  /** The number of further requests that may be under way, with regard to throttling and deaths. */
  get #room(): number {
    const room = this.#window.room(this.#underWay)
    return this.#isOneByOne ? Math.min(room, 1 - this.#underWay) : room
  }

  /** True if one request has to be finished before the next one is sent, since processes died. */
  get #isOneByOne(): boolean {
    const { precautions, target } = this.#options
    return precautions.isOneByOne(maxActive(target))
  }

  async #untilWanted(seen: number, ending: AbortSignal): Promise<void> {
    const { unrecorded, ledger } = this.#options
    const { version } = unrecorded.changes
    const lacksRoom = this.#queue.length > 0 && this.#room > 0
    if (lacksRoom) ledger.hurry()
    // The room was read in this turn of the event loop, so it cannot have become larger since.
    if (lacksRoom) await unrecorded.changes.after(version, { signal: this.#interrupted })
    else await this.#changes.after(seen, { signal: ending })
  }

  /** Waits for permits. Resolves with none if the queue has stopped or given up meanwhile. */
  async #permits(want: number): Promise<readonly Permit[]> {
    const { gate, stageMetrics, target } = this.#options
    const sinceMs = performance.now()
    try {
      const onBroken = (broken: Broken): void => this.#broken(broken)
      const permits = await gate.acquire(want, { signal: this.#interrupted, onBroken })
      stageMetrics.leaseWaited(target.sync, performance.now() - sinceMs)
      return permits
    } catch (error) {
      if (this.#interrupted.aborted) return []
      throw error
    }
  }

  #sendAll(permits: readonly Permit[]): void {
    // The destination may have throttled during the wait for the permits. The token may have expired, or been
    // refused: the loop then waits for the next one.
    const { credentials, scopes } = this.#options.target
    const allowed = credentials !== null && credentials.current === null ? 0 : this.#wanted()
    const taken = this.#queue.splice(0, Math.min(permits.length, allowed))
    this.#underWay += taken.length
    permits.forEach((permit, index) => {
      const ready = taken[index]
      if (ready === undefined) permit.end('unused')
      else void this.#sendOne(ready, permit, this.#options.unrecorded.add(scopes))
    })
  }

  async #sendOne(ready: Ready, permit: Permit, onRecorded: () => void): Promise<void> {
    try {
      await this.#attempt(ready, permit, onRecorded)
    } catch (error) {
      permit.end('unclear')
      onRecorded()
      this.#options.ledger.fail(error)
    } finally {
      this.#underWay -= 1
      if (!this.#window.isOpen || this.#isOneByOne) this.#changes.notify()
      if (this.#underWay === 0) this.#onAllEnded?.()
    }
  }

  async #attempt(ready: Ready, permit: Permit, onRecorded: () => void): Promise<void> {
    const { lateMs } = ready
    const { target, sender, throttles, abort: signal } = this.#options
    const needsIntent = target.atMostOnce || this.#isOneByOne
    if (needsIntent && ready.hasIntent !== true) await this.#recordIntent(ready)
    const hasIntent = needsIntent || ready.hasIntent === true
    if (hasIntent && signal.aborted) {
      onRecorded()
      return permit.end('unused')
    }
    const credential = target.credentials?.current ?? null
    // The token expired, or was refused, while the intent was recorded.
    if (target.credentials !== null && credential === null) {
      onRecorded()
      permit.end('unused')
      return this.#sendAgain({ ...ready, hasIntent })
    }
    const sentAtMs = performance.now()
    const sending = { target, credential, sender, signal, lateMs, sendBeforeMs: permit.useBeforeMs }
    this.#metrics.inFlight(1)
    let sent: Sent | Late | null = null
    try {
      sent = await sendRequest(ready, { ...sending, retries: this.#retriesOf(ready) })
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      this.#metrics.inFlight(-1)
    }
    if (sent === null || sent.kind === 'late') onRecorded()
    if (sent?.kind === 'late') {
      permit.end('late')
      this.#sendAgain({ ...ready, hasIntent, lateMs: lateMs + Math.max(sent.lateMs, MIN_LATENESS_MS) })
      return
    }
    if (sent?.health === 'failed') throttles.answers.failed(target.destination, sent.attempt)
    // The answer frees the slot. The request is unrecorded until its attempt is acknowledged.
    permit.end(sent?.health ?? 'unclear')
    if (sent === null) return
    const taken = ready.open.take(sent.attempt)
    if (sent.throttles) this.#pause(sent, taken.attempt, sentAtMs)
    else this.#unthrottled(taken.attempt)
    if (taken.attempt.outcome === 'throttled' && taken.attempt.parts === null)
      this.#throttled(ready, taken.attempt, onRecorded)
    else this.#record(ready, taken, onRecorded)
  }

  #retriesOf({ request: { trigger }, history }: Ready): AllowedRetries {
    if (this.#givingUp.signal.aborted) return NO_RETRIES
    const { removalsFirst, target, isStream } = this.#options
    const isOnce = removalsFirst && trigger === 'removed'
    const retries = {
      ...(isOnce ? NO_RETRIES : { pauseMs: this.#retryPauseMs }),
      splits: target.splitsBatches,
    }
    if (!isStream) return retries
    const firstAt = history.firstAt ?? Date.now()
    // Clocks may go back, and those of two processes may differ.
    return { ...retries, mostMs: () => Math.min(MAX_TRYING_MS, firstAt + MAX_TRYING_MS - Date.now()) }
  }

  readonly #retryPauseMs: AllowedRetries['pauseMs'] = failed => {
    const { retryPolicy, random } = this.#options
    return this.#givingUp.signal.aborted ? null : retryPauseMs(retryPolicy, failed, random)
  }

  /** Resolves once the intent to send a request is acknowledged, or the ledger has failed. */
  async #recordIntent(job: SendJob): Promise<void> {
    const { ledger, target } = this.#options
    const { promise, resolve } = Promise.withResolvers<void>()
    const attempt = intentOf(job, target)
    ledger.record({ requestOffset: job.requestOffset, attempt, effects: null, release: resolve })
    ledger.hurry()
    await promise
  }

  #broken(broken: Broken): void {
    // The start of the run is by the clock of another machine, which may differ.
    const ageMs = Math.max(performance.now() - this.#sinceMs, Date.now() - this.#options.startedAt)
    if (this.#options.isStream || !isDead(broken, ageMs)) return
    const why = this.#options.gate.brokenText(broken)
    this.#options.recent.stop('breaker', why)
    this.#giveUp(why)
  }

  /** Puts a request at the head of the queue. */
  #sendAgain(ready: Ready): void {
    this.#queue.unshift(hashed(ready, this.#options.target))
    this.#changes.notify()
  }

  /**
   * Records an attempt. The parts that follow begin to wait once it is acknowledged. The effects of the
   * request are written with the attempt that finishes it.
   */
  #record(
    { open, request, whole, memory }: Ready,
    { attempt, parts, isFinished }: TakenAttempt,
    onRecorded: (() => void) | null,
  ): void {
    const { ledger } = this.#options
    const atMs = performance.now()
    memory.answered(request, attempt)
    this.#attempted(attempt, request)
    let isAcknowledged = false
    const release = (): void => {
      onRecorded?.()
      if (isAcknowledged) return
      isAcknowledged = true
      if (memory !== open.memory) memory.done()
      if (isFinished) open.memory.done()
      else if (open.parts.length > 0) open.giveBackMemory(whole)
      for (const part of parts) this.#waiting.add({ open, part, dueAtMs: atMs + part.waitMs })
      this.#partRests(open)
    }
    const effects = isFinished ? open.effects(whole) : null
    if (isFinished) this.#options.parts.forget(request)
    const retried = isFinished ? null : retriedRows(attempt, parts, { whole: whole.rows, own: request.rows })
    ledger.record({ requestOffset: open.offset, attempt, effects, retried, release })
    this.#hurryIfShort()
  }

  #attempted(attempt: UnownedAttempt, { rows }: Pick<Request, 'rows'>): void {
    this.#metrics.attempted(attempt)
    this.#options.recent.take(attempt, rows.length)
  }

  /** Writes attempts at once if few more may be unrecorded, so that requests seldom wait for that. */
  #hurryIfShort(): void {
    const { unrecorded, target, ledger } = this.#options
    if (unrecorded.room(target.scopes) < target.concurrency * HURRIED_BELOW) ledger.hurry()
  }

  /**
   * Sends a part that is due. It goes before requests that were never sent, since the checkpoint waits for
   * it.
   */
  async #takeDue({ request: whole, bytes, open, part }: DuePart, signal: AbortSignal): Promise<void> {
    if (open.inWork === 0) this.#waitingRequests -= 1
    open.inWork += 1
    const { share, partition, runId, parts } = this.#options
    const record = { record: whole, recordBytes: bytes }
    const free = RequestMemory.tryTake(share(), record)
    // The changes that are kept for parts must not take the memory of the part that needs them.
    if (free === null) parts.forget()
    const memory = free ?? (await RequestMemory.take(share(), { ...record, signal }))
    const ready = makeReady(open, part, { whole, memory, partition, runId })
    // A part that is given up is rendered only for the hash of an attempt that may be under way.
    const isGivenUp = this.#givingUp.signal.aborted
    if (part.positions === null || (isGivenUp && !part.maybeSent)) return this.#sendOrClose(ready)
    const rendered = await parts.render(whole, part.positions).catch((error: unknown) => {
      // The run may have been over for so long that the changes are gone.
      if (!isGivenUp || signal.aborted) throw error
      return []
    })
    const [only] = rendered
    if (rendered.length === 1 && only?.kind === 'request') {
      const { method, path, headers, body } = only
      const request = { ...ready.request, method, path, headers, body }
      return this.#sendOrClose({ ...ready, request })
    }
    if (isGivenUp) return this.#sendOrClose(ready)
    this.#record(ready, open.take(dividedAttempt(ready, this.#options.target, rendered)), null)
  }

  #sendOrClose(ready: Ready): void {
    const { signal } = this.#givingUp
    if (signal.aborted) this.#close(ready, String(signal.reason))
    else this.#sendAgain(ready)
  }

  /** Records that a request, or a part of one, is not sent any more. */
  #close(ready: Ready, why: string): void {
    this.#record(ready, ready.open.take(closingAttempt(ready, this.#options.target, why)), null)
  }

  /** Takes an attempt that was not throttled: the destination may take more requests. */
  #unthrottled(attempt: UnownedAttempt): void {
    const { target, throttles } = this.#options
    if (attempt.answered && attempt.outcome !== 'unknown') throttles.served(target.destination)
    // If the window is gone, nothing else ends a wait for room in it.
    if (this.#window.served(attempt)) this.#changes.notify()
  }

  /** Pauses the whole destination (R10). */
  #pause({ retryAfterMs }: Sent, attempt: UnownedAttempt, sentAtMs: number): void {
    const { gate, target, throttles } = this.#options
    throttles.answers.throttled(target.destination, attempt.status, retryAfterMs)
    const throttled = { sentAtMs, nowMs: performance.now(), askedMs: retryAfterMs }
    if (hasArrived(attempt)) throttles.served(target.destination)
    gate.pause(throttles.pauseMs(target.destination, throttled))
    const isTooLong = this.#window.throttled(attempt, sentAtMs, this.#underWay)
    if (isTooLong && !this.#options.isStream)
      this.#giveUp('the destination has throttled for an hour, and took no request meanwhile')
  }

  /** Records an attempt all of whose rows were throttled. The request goes to the head of the queue. */
  #throttled(ready: Ready, attempt: UnownedAttempt, onRecorded: () => void): void {
    const { ledger } = this.#options
    this.#attempted(attempt, ready.request)
    ledger.record({ requestOffset: ready.open.offset, attempt, effects: null, release: onRecorded })
    this.#hurryIfShort()
    this.#sendAgain({ ...ready, lateMs: 0, hasIntent: false })
  }

  #recordUnsent(why: string): void {
    for (const ready of this.#queue.splice(0)) this.#close(ready, why)
  }
}
