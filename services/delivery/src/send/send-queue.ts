/**
 * Sends the requests of one partition and run, in order, as the destination's limits allow. A request whose
 * try failed may wait for its next try; those behind it go on meanwhile. A run may be cancelled, or take too
 * long, or its destination may throttle for an hour without one success. The rest then becomes unsent, and
 * what waits comes to what it had last, so that a run never hangs (PROTOCOL.md §8, §11).
 *
 * States: sending → giving up (what is queued or waits is recorded as it is) and either → stopped (nothing
 * more is taken; what is under way is finished, and what waits is left to a successor).
 */
import type { Health } from '@sluice/domain/answers/health'
import { nextTryMs, type Tries } from '@sluice/domain/answers/next-try'
import type { ByteShare } from '@sluice/flow/byte-budget'
import { endingOf, type Ends } from '@sluice/flow/ends'
import { Notifier } from '@sluice/flow/notifier'
import type { Broken } from '@sluice/rate-limit/port'
import type { HttpSender } from '@sluice/http-sender/port'
import type { Figures } from '@sluice/partition/figures'
import type { AttemptLedger } from '../ledger/attempt-ledger.ts'
import type { RequestMemory } from '../delivery-memory.ts'
import { brokenText, type DestinationGate, type Permits } from './destination-gate.ts'
import { effectsOf } from '../outcome/effects.ts'
import { withAttempt, type UnownedAttempt } from '../ledger/request-history.ts'
import type { Places } from './places.ts'
import { closingAttempt, intentOf, sendRequest, type SendJob, type Sent } from './send-request.ts'
import { WaitingRequests, type DueRequest, type WaitingOptions } from './waiting-requests.ts'
import type { Target } from '../destination/target.ts'
import type { Throttles } from './throttles.ts'

const THROTTLED_LONGEST_MS = 3_600_000
/** After so many probes that failed, one after another, a run ends. */
const FAILED_PROBES_MOST = 3
/** Why a request that was announced is not sent. */
const NOT_SENT = 'the process was asked to end before it could send this'
/** The least that a try which came too late counts for. So tries that cost no time come to an end as well. */
const LEAST_LATENESS_MS = 5

export interface SendQueueOptions extends Ends {
  readonly target: Target
  readonly ledger: AttemptLedger
  readonly sender: HttpSender
  readonly gate: DestinationGate
  readonly throttles: Throttles
  readonly places: Places
  readonly figures: Figures
  /** What the sync allows within a run; null: nothing but the first try. */
  readonly tries: Tries | null
  /** Reads requests again that waited for their next try. */
  readonly read: WaitingOptions['read']
  /** Gives the memory of those. It is opened with the first of them. */
  readonly share: () => ByteShare
  /** Where all of its requests belong. */
  readonly place: Pick<SendJob, 'partition' | 'runId'>
  /** When the run started, in ms since 1970. */
  readonly startedAt: number
  /** Gives numbers from 0 to below 1. */
  readonly random: () => number
  /** Aborts, with a text that says why, when nothing more is to be sent. */
  readonly early: AbortSignal
}

/** People are not told of shorter waits for a next try. */
const TOLD_FROM_MS = 5_000

/** A request that waits for its turn. */
interface Ready {
  readonly job: SendJob
  readonly memory: RequestMemory
  /** For how long it has been tried already without a connection that was open in time. */
  readonly lateMs: number
  /** True once the ledger has its next try announced, and it was not sent yet (`delivery: at-most-once`). */
  readonly isAnnounced?: boolean
}

export class SendQueue {
  readonly #options: SendQueueOptions
  readonly #changes = new Notifier()
  readonly #stopping = new AbortController()
  readonly #givingUp = new AbortController()
  readonly #underWay = new Set<Promise<void>>()
  /** Ends the wait for a lease. */
  readonly #interrupted: AbortSignal
  readonly #pump: Promise<unknown>
  readonly #waiting: WaitingRequests
  readonly #sinceMs = performance.now()
  #queue: Ready[] = []
  #throttledSince: number | null = null
  /**
   * How many requests may be under way since the destination throttled; null while the limits alone decide.
   * On throttling it becomes half of the requests that the destination served since it last throttled, or of
   * those under way, whichever is fewer, and at least one. It grows by one for each request that is served
   * since.
   *
   * So an API that takes some requests goes on with about as many. An API that takes none gets one request at
   * a time.
   */
  #window: number | null = null
  /** When the destination throttled last, by `performance.now()`, and how many requests it served since. */
  #narrowedAtMs = -Infinity
  #servedSince = 0

  constructor(options: SendQueueOptions) {
    this.#options = options
    const { early } = options
    const ending = endingOf(options, this.#stopping.signal)
    this.#interrupted = AbortSignal.any([ending, this.#givingUp.signal])
    ending.addEventListener('abort', () => this.#changes.notify(), { once: true })
    const giveUp = (): void => this.#giveUp(String(early.reason))
    early.addEventListener('abort', giveUp, { once: true, signal: this.#stopping.signal })
    if (early.aborted) giveUp()
    const onDue = (due: DueRequest): Promise<void> => this.#takeDue(due, ending)
    this.#waiting = new WaitingRequests({ read: options.read, onDue, atOnce: this.#givingUp.signal })
    this.#pump = Promise.all(
      [this.#send(ending), this.#waiting.handOut(ending)].map(work =>
        work.catch((error: unknown) => options.ledger.fail(error)),
      ),
    )
  }

  /** What it waits for while it has something to send, in a sentence; null while it sends. */
  get waitsFor(): string | null {
    if (this.#queue.length > 0) return this.#options.gate.waitsFor
    const leftMs = this.#waiting.nextAtMs - performance.now()
    if (this.#underWay.size > 0 || leftMs < TOLD_FROM_MS || leftMs === Infinity) return null
    // The time is rounded to the minute, so that people who watch are told once, and not with each look.
    const until = new Date(Math.ceil((Date.now() + leftMs) / 60_000) * 60_000)
    return `requests that failed are tried again, the next by ${until.toISOString().slice(0, 16)}Z`
  }

  /** How many requests wait for their next try. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Takes a request that waited for its next try at a predecessor. `leftMs` is how long it waits still. */
  wait(job: SendJob, memory: RequestMemory, leftMs: number): void {
    if (leftMs <= 0) this.push(job, memory)
    else this.#addWaiting(job, memory, performance.now() + leftMs)
  }

  push(job: SendJob, memory: RequestMemory): void {
    this.#queue.push({ job, memory, lateMs: 0 })
    this.#changes.notify()
  }

  /** Records at once that a request is tried no more, whatever becomes of the others. */
  leave(job: SendJob, memory: RequestMemory, why: string): void {
    this.#finish({ job, memory, lateMs: 0 }, closingAttempt(job, this.#options.target, why), null)
  }

  /** Takes nothing more and resolves once what is under way is answered and recorded. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#pump
    await Promise.all(this.#underWay)
    if (this.#options.abort.aborted) return
    // A successor would take it for sent.
    const announced = this.#queue.filter(ready => ready.isAnnounced === true)
    this.#queue = this.#queue.filter(ready => ready.isAnnounced !== true)
    for (const { job, memory } of announced) this.leave(job, memory, NOT_SENT)
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
      const lease = await this.#lease(want)
      if (lease !== null) this.#sendAll(lease)
    }
  }

  #wanted(): number {
    const { places, target } = this.#options
    return Math.max(0, Math.min(this.#queue.length, this.#room, places.left(target.scopes)))
  }

  /** How many more requests may be under way while the destination throttles. */
  get #room(): number {
    return this.#window === null ? Infinity : this.#window - this.#underWay.size
  }

  async #untilWanted(seen: number, ending: AbortSignal): Promise<void> {
    const { places } = this.#options
    const { version } = places.changes
    const lacksPlace = this.#queue.length > 0 && this.#room > 0
    // All of this is in one turn with the look at the places: none can become free unnoticed.
    if (lacksPlace) await places.changes.after(version, { signal: this.#interrupted })
    else await this.#changes.after(seen, { signal: ending })
  }

  async #lease(want: number): Promise<Permits | null> {
    const { gate, figures, target } = this.#options
    const sinceMs = performance.now()
    try {
      const onBroken = (broken: Broken): void => this.#broken(broken)
      const lease = await gate.acquire(want, { signal: this.#interrupted, onBroken })
      figures.leaseWaited(target.sync, performance.now() - sinceMs)
      return lease
    } catch (error) {
      if (this.#interrupted.aborted) return null
      throw error
    }
  }

  #sendAll(lease: Permits): void {
    // The destination may have throttled while this process waited for the lease.
    const taken = this.#queue.splice(0, Math.min(lease.permits, this.#wanted()))
    if (taken.length < lease.permits) lease.unused(lease.permits - taken.length)
    const { places, target } = this.#options
    for (const ready of taken) {
      const permit = onePermit(lease)
      const freePlace = places.take(target.scopes)
      const sent = this.#sendOne(ready, permit, freePlace)
        .catch((error: unknown) => {
          permit.finish('untold')
          freePlace()
          this.#options.ledger.fail(error)
        })
        .finally(() => {
          this.#underWay.delete(sent)
          if (this.#window !== null) this.#changes.notify()
        })
      this.#underWay.add(sent)
    }
  }

  async #sendOne(ready: Ready, permit: Permit, freePlace: () => void): Promise<void> {
    const { job, lateMs } = ready
    const { target, sender, figures, abort: signal } = this.#options
    const isAnnounced = ready.isAnnounced === true || (target.atMostOnce && (await this.#announce(job)))
    if (isAnnounced && signal.aborted) {
      freePlace()
      return permit.giveBack()
    }
    figures.inFlight(target.sync, 1)
    const sentAtMs = performance.now()
    const sending = { target, sender, signal, lateMs, sendBeforeMs: permit.useBeforeMs }
    const sent = await sendRequest(job, { ...sending, nextTryMs: failed => this.#nextTryMs(failed) })
      .catch((error: unknown) => {
        if (signal.aborted) return null
        throw error
      })
      .finally(() => figures.inFlight(target.sync, -1))
    if (sent === null || sent.kind === 'late') freePlace()
    if (sent?.kind === 'late') {
      permit.late()
      this.#sendAgain({ ...ready, isAnnounced, lateMs: lateMs + Math.max(sent.lateMs, LEAST_LATENESS_MS) })
      return
    }
    // The slot is free with the answer. The place is, once that is acknowledged.
    permit.finish(sent?.health ?? 'untold')
    if (sent === null) return
    if (sent.attempt.outcome === 'throttled') {
      this.#throttled(ready, sent, { sentAtMs, freePlace })
      return
    }
    this.#unthrottled(sent.attempt)
    if (sent.waitMs === null) this.#finish(ready, sent.attempt, freePlace)
    else this.#tryLater(ready, sent.attempt, { waitMs: sent.waitMs, freePlace })
  }

  /** Resolves, with true, once the ledger has it that a request is about to be sent, or has failed. */
  async #announce(job: SendJob): Promise<true> {
    const { ledger, target } = this.#options
    const { promise, resolve } = Promise.withResolvers<void>()
    const attempt = intentOf(job, target)
    ledger.record({ requestOffset: job.requestOffset, attempt, effects: null, release: resolve })
    await promise
    return true
  }

  /**
   * The destination is dead if three probes have failed. One of them is after the start of the run, so that a
   * run which finds the breaker open ends only by evidence of its own time.
   */
  #broken(broken: Broken): void {
    const { failedProbes, lastProbeMsAgo } = broken
    if (failedProbes < FAILED_PROBES_MOST || lastProbeMsAgo === null) return
    // The start is by the clock of another machine.
    const ageMs = Math.max(performance.now() - this.#sinceMs, Date.now() - this.#options.startedAt)
    if (lastProbeMsAgo < ageMs) this.#giveUp(brokenText(broken))
  }

  #nextTryMs(failed: Parameters<typeof nextTryMs>[1]): number | null {
    const { tries, random } = this.#options
    return this.#givingUp.signal.aborted ? null : nextTryMs(tries, failed, random)
  }

  #sendAgain(ready: Ready): void {
    this.#queue.unshift(ready)
    this.#changes.notify()
  }

  /** A try failed, and another follows. The request waits once the ledger says so. */
  #tryLater(
    { job, memory }: Ready,
    attempt: UnownedAttempt,
    { waitMs, freePlace }: { readonly waitMs: number; readonly freePlace: () => void },
  ): void {
    const { figures, target, ledger } = this.#options
    const dueAtMs = performance.now() + waitMs
    memory.answered(job.request, attempt)
    figures.attempted(target.sync, attempt.outcome)
    const history = withAttempt(job.history, attempt)
    let isAcknowledged = false
    const release = (): void => {
      freePlace()
      if (!isAcknowledged) this.#addWaiting({ ...job, history }, memory, dueAtMs)
      isAcknowledged = true
    }
    ledger.record({ requestOffset: job.requestOffset, attempt, effects: null, release })
  }

  #addWaiting({ requestOffset, history }: SendJob, memory: RequestMemory, dueAtMs: number): void {
    memory.waits()
    this.#waiting.add({ offset: requestOffset, dueAtMs, history, memory })
  }

  /** It goes before those that were never tried, since it holds up the checkpoint. */
  async #takeDue(
    { request, bytes, offset, history, memory }: DueRequest,
    signal: AbortSignal,
  ): Promise<void> {
    const { share, place } = this.#options
    await memory.takeAgain(share(), { record: request, recordBytes: bytes, signal })
    const job = { ...place, request, requestOffset: offset, history }
    if (this.#givingUp.signal.aborted) this.leave(job, memory, String(this.#givingUp.signal.reason))
    else this.#sendAgain({ job, memory, lateMs: 0 })
  }

  /** A request was not throttled, so the destination may take more of them. */
  #unthrottled({ outcome, answered }: UnownedAttempt): void {
    const { target, throttles } = this.#options
    if (outcome === 'delivered') this.#throttledSince = null
    if (answered && outcome !== 'unknown') throttles.served(target.destination)
    this.#servedSince += 1
    if (this.#window === null) return
    this.#window += 1
    if (this.#window <= target.concurrency) return
    this.#window = null
    // The window is gone. A wait for room in it would last for ever.
    this.#changes.notify()
  }

  #finish({ job, memory }: Ready, attempt: UnownedAttempt, free: (() => void) | null): void {
    const { figures, target } = this.#options
    memory.answered(job.request, attempt)
    const release = (): void => {
      free?.()
      memory.done()
    }
    figures.attempted(target.sync, attempt.outcome)
    const { attempts } = withAttempt(job.history, attempt)
    const effects = effectsOf({ ...job.request, attempts, requests: 1, final: attempt })
    this.#options.ledger.record({ requestOffset: job.requestOffset, attempt, effects, release })
  }

  /**
   * Pauses the whole destination. The request goes to the head of the queue and has used up no retry (R10).
   */
  #throttled(
    ready: Ready,
    { attempt, retryAfterMs }: Sent,
    { sentAtMs, freePlace }: { readonly sentAtMs: number; readonly freePlace: () => void },
  ): void {
    const { requestOffset } = ready.job
    const { gate, ledger, figures, target, throttles } = this.#options
    figures.attempted(target.sync, attempt.outcome)
    ledger.record({ requestOffset, attempt, effects: null, release: freePlace })
    const nowMs = performance.now()
    // A request that was under way when the destination throttled tells nothing new.
    if (sentAtMs > this.#narrowedAtMs) {
      this.#narrowedAtMs = nowMs
      this.#window = Math.max(1, Math.floor(Math.min(this.#servedSince, this.#underWay.size) / 2))
      this.#servedSince = 0
    }
    this.#throttledSince ??= nowMs
    const of = { sentAtMs, nowMs, askedMs: retryAfterMs }
    gate.pause(throttles.pauseMs(target.destination, of))
    if (nowMs - this.#throttledSince >= THROTTLED_LONGEST_MS)
      this.#giveUp('the destination has throttled for an hour, and took no request meanwhile')
    this.#sendAgain({ ...ready, lateMs: 0, isAnnounced: false })
  }

  #recordUnsent(why: string): void {
    const left = this.#queue
    this.#queue = []
    for (const { job, memory } of left) this.leave(job, memory, why)
  }
}

/** Leave for one request: it ends as finished, or as given back unused. Only the first of the two counts. */
interface Permit {
  readonly useBeforeMs: number
  readonly finish: (health: Health) => void
  readonly giveBack: () => void
  /** The same, since it could not be used in time. */
  readonly late: () => void
}

function onePermit(lease: Permits): Permit {
  let ended = false
  const end = (how: () => void): void => {
    if (!ended) how()
    ended = true
  }
  return {
    useBeforeMs: lease.useBeforeMs,
    finish: health => end(() => lease.finished(health)),
    giveBack: () => end(() => lease.unused(1)),
    late: () => end(() => lease.late()),
  }
}
