/**
 * Sends the requests of one partition and run, in order, as the destination's limits allow. A run may be
 * cancelled, or take too long, or its destination may throttle for an hour without one success. The rest then
 * becomes unsent, so that a run never hangs (PROTOCOL.md §11).
 *
 * States: sending → giving up (what is queued is recorded as unsent) and either → stopped (nothing more is
 * taken; what is under way is finished).
 */
import { endingOf, type Ends } from '@sluice/flow/ends'
import { Notifier } from '@sluice/flow/notifier'
import type { HttpSender } from '@sluice/http-sender/port'
import type { Figures } from '@sluice/partition/figures'
import type { AttemptLedger } from '../ledger/attempt-ledger.ts'
import type { RequestMemory } from '../delivery-memory.ts'
import type { DestinationGate, Permits } from './destination-gate.ts'
import { effectsOf } from '../outcome/effects.ts'
import { withAttempt, type UnownedAttempt } from '../ledger/request-history.ts'
import { sendRequest, unsentAttempt, type SendJob, type Sent } from './send-request.ts'
import type { Target } from '../destination/target.ts'
import type { Throttles } from './throttles.ts'

const THROTTLED_LONGEST_MS = 3_600_000
/** The least that a try which came too late counts for. So tries that cost no time come to an end as well. */
const LEAST_LATENESS_MS = 5

export interface SendQueueOptions extends Ends {
  readonly target: Target
  readonly ledger: AttemptLedger
  readonly sender: HttpSender
  readonly gate: DestinationGate
  readonly throttles: Throttles
  readonly figures: Figures
  /** Aborts, with a text that says why, when nothing more is to be sent. */
  readonly early: AbortSignal
}

/** A request that waits for its turn. */
interface Waiting {
  readonly job: SendJob
  readonly memory: RequestMemory
  /** For how long it has been tried already without a connection that was open in time. */
  readonly lateMs: number
}

export class SendQueue {
  readonly #options: SendQueueOptions
  readonly #changes = new Notifier()
  readonly #stopping = new AbortController()
  readonly #givingUp = new AbortController()
  readonly #underWay = new Set<Promise<void>>()
  /** Ends the wait for a lease. */
  readonly #interrupted: AbortSignal
  readonly #pump: Promise<void>
  #queue: Waiting[] = []
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
    this.#pump = this.#send(ending).catch((error: unknown) => options.ledger.fail(error))
  }

  /** What it waits for while it has something to send, in a sentence; null while it sends. */
  get waitsFor(): string | null {
    return this.#queue.length === 0 ? null : this.#options.gate.waitsFor
  }

  push(job: SendJob, memory: RequestMemory): void {
    this.#queue.push({ job, memory, lateMs: 0 })
    this.#changes.notify()
  }

  /** Records a request as unsent at once, whatever becomes of the others. */
  leave(job: SendJob, memory: RequestMemory, why: string): void {
    this.#finish({ job, memory, lateMs: 0 }, unsentAttempt(job, this.#options.target, why), null)
  }

  /** Takes nothing more and resolves once what is under way is answered and recorded. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#pump
    await Promise.all(this.#underWay)
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
        await this.#changes.after(seen, { signal: ending }).catch(() => undefined)
        continue
      }
      const lease = await this.#lease(want)
      if (lease !== null) this.#sendAll(lease)
    }
  }

  #wanted(): number {
    const room = this.#window === null ? Infinity : this.#window - this.#underWay.size
    return Math.max(0, Math.min(this.#queue.length, room))
  }

  async #lease(want: number): Promise<Permits | null> {
    const { gate, figures, target } = this.#options
    const sinceMs = performance.now()
    try {
      const lease = await gate.acquire(want, this.#interrupted)
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
    for (const waiting of taken) {
      const permit = onePermit(lease)
      const sent = this.#sendOne(waiting, permit)
        .catch((error: unknown) => {
          permit.finish()
          this.#options.ledger.fail(error)
        })
        .finally(() => {
          this.#underWay.delete(sent)
          if (this.#window !== null) this.#changes.notify()
        })
      this.#underWay.add(sent)
    }
  }

  async #sendOne(waiting: Waiting, permit: Permit): Promise<void> {
    const { job, lateMs } = waiting
    const { target, sender, figures, abort: signal } = this.#options
    figures.inFlight(target.sync, 1)
    const sentAtMs = performance.now()
    const sent = await sendRequest(job, { target, sender, signal, lateMs, sendBeforeMs: permit.useBeforeMs })
      .catch((error: unknown) => {
        if (signal.aborted) return null
        throw error
      })
      .finally(() => figures.inFlight(target.sync, -1))
    if (sent === null) permit.finish()
    else if (sent.kind === 'late') {
      permit.giveBack()
      this.#sendAgain({ ...waiting, lateMs: lateMs + Math.max(sent.lateMs, LEAST_LATENESS_MS) })
    } else if (sent.attempt.outcome === 'throttled') {
      permit.finish()
      this.#throttled(waiting, sent, sentAtMs)
    } else {
      this.#unthrottled(sent.attempt)
      this.#finish(waiting, sent.attempt, permit.finish)
    }
  }

  #sendAgain(waiting: Waiting): void {
    this.#queue.unshift(waiting)
    this.#changes.notify()
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

  #finish({ job, memory }: Waiting, attempt: UnownedAttempt, free: (() => void) | null): void {
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
  #throttled(waiting: Waiting, { attempt, retryAfterMs }: Sent, sentAtMs: number): void {
    const { requestOffset } = waiting.job
    const { gate, ledger, figures, target, throttles } = this.#options
    figures.attempted(target.sync, attempt.outcome)
    ledger.record({ requestOffset, attempt, effects: null, release: null })
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
      this.#giveUp('the destination has throttled every request for an hour')
    this.#sendAgain({ ...waiting, lateMs: 0 })
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
  readonly finish: () => void
  readonly giveBack: () => void
}

function onePermit(lease: Permits): Permit {
  let ended = false
  const end = (how: () => void): void => {
    if (!ended) how()
    ended = true
  }
  return {
    useBeforeMs: lease.useBeforeMs,
    finish: () => end(() => lease.finished(1)),
    giveBack: () => end(() => lease.unused(1)),
  }
}
