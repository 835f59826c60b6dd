/**
 * Sends the requests of one partition and run, in order, as the destination's limits allow. Once the run is
 * cancelled or too long, or the destination has throttled for an hour without one success, what is left
 * becomes unsent, so that a run never hangs (PROTOCOL.md §11).
 *
 * States: sending → giving up (what is queued is recorded as unsent) and either → stopped (nothing more is
 * taken; what is under way is finished).
 */
import { Notifier } from '@sluice/flow/notifier'
import type { HttpSender } from '@sluice/http-sender/port'
import type { Figures } from '@sluice/stage/figures'
import type { AttemptLedger } from './attempt-ledger.ts'
import type { DestinationGate, Permits } from './destination-gate.ts'
import { effectsOf } from './effects.ts'
import { withAttempt, type UnownedAttempt } from './request-history.ts'
import { sendRequest, unsentAttempt, type SendJob, type Sent } from './send-request.ts'
import type { Target } from './target.ts'

const THROTTLED_LONGEST_MS = 3_600_000
/** The pause after a throttled answer that does not say how long to wait. */
const DEFAULT_PAUSE_MS = 1_000

export interface SendQueueOptions {
  readonly target: Target
  readonly ledger: AttemptLedger
  readonly sender: HttpSender
  readonly gate: DestinationGate
  readonly figures: Figures
  /** Aborts, with a text that says why, when nothing more is to be sent. */
  readonly early: AbortSignal
  readonly drain: AbortSignal
  readonly signal: AbortSignal
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
  #queue: SendJob[] = []
  #throttledSince: number | null = null

  constructor(options: SendQueueOptions) {
    this.#options = options
    const { early, drain, signal } = options
    const stopped = AbortSignal.any([this.#stopping.signal, drain, signal])
    this.#interrupted = AbortSignal.any([stopped, this.#givingUp.signal])
    stopped.addEventListener('abort', () => this.#changes.notify(), { once: true })
    const giveUp = (): void => this.#giveUp(String(early.reason))
    early.addEventListener('abort', giveUp, { once: true, signal: this.#stopping.signal })
    if (early.aborted) giveUp()
    this.#pump = this.#send(stopped).catch((error: unknown) => options.ledger.fail(error))
  }

  /** What it waits for while it has something to send, in a sentence; null while it sends. */
  get waitsFor(): string | null {
    return this.#queue.length === 0 ? null : this.#options.gate.waitsFor
  }

  push(job: SendJob): void {
    this.#queue.push(job)
    this.#changes.notify()
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

  async #send(stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) {
      const seen = this.#changes.version
      if (this.#givingUp.signal.aborted) this.#recordUnsent(String(this.#givingUp.signal.reason))
      if (this.#queue.length === 0) {
        await this.#changes.after(seen, { signal: stopped }).catch(() => undefined)
        continue
      }
      const lease = await this.#lease()
      if (lease !== null) this.#sendAll(lease)
    }
  }

  async #lease(): Promise<Permits | null> {
    const { gate, figures, target } = this.#options
    const sinceMs = performance.now()
    try {
      const lease = await gate.acquire(this.#queue.length, this.#interrupted)
      figures.leaseWaited(target.sync, performance.now() - sinceMs)
      return lease
    } catch (error) {
      if (this.#interrupted.aborted) return null
      throw error
    }
  }

  #sendAll(lease: Permits): void {
    const jobs = this.#queue.splice(0, lease.permits)
    if (jobs.length < lease.permits) lease.unused(lease.permits - jobs.length)
    for (const job of jobs) {
      const permit = onePermit(lease)
      const sent = this.#sendOne(job, permit)
        .catch((error: unknown) => {
          permit.finish()
          this.#options.ledger.fail(error)
        })
        .finally(() => this.#underWay.delete(sent))
      this.#underWay.add(sent)
    }
  }

  async #sendOne(job: SendJob, permit: Permit): Promise<void> {
    const { target, sender, figures, signal } = this.#options
    figures.inFlight(target.sync, 1)
    const sent = await sendRequest(job, { target, sender, signal, sendBeforeMs: permit.useBeforeMs })
      .catch((error: unknown) => {
        if (signal.aborted) return null
        throw error
      })
      .finally(() => figures.inFlight(target.sync, -1))
    if (sent === null) permit.finish()
    else if (sent.kind === 'late') {
      permit.giveBack()
      this.#sendAgain(job)
    } else if (sent.attempt.outcome === 'throttled') {
      permit.finish()
      this.#throttled(job, sent)
    } else {
      if (sent.attempt.outcome === 'delivered') this.#throttledSince = null
      this.#finish(job, sent.attempt, permit.finish)
    }
  }

  #sendAgain(job: SendJob): void {
    this.#queue.unshift(job)
    this.#changes.notify()
  }

  #finish(job: SendJob, attempt: UnownedAttempt, release: (() => void) | null): void {
    const { figures, target } = this.#options
    figures.attempted(target.sync, attempt.outcome)
    const { attempts } = withAttempt(job.history, attempt)
    const effects = effectsOf({ ...job.request, attempts, requests: 1, final: attempt })
    this.#options.ledger.record({ requestOffset: job.requestOffset, attempt, effects, release })
  }

  /**
   * The whole destination pauses, and the request goes to the head of the queue with nothing used up (R10).
   */
  #throttled(job: SendJob, { attempt, retryAfterMs }: Sent): void {
    const { gate, ledger, figures, target } = this.#options
    figures.attempted(target.sync, attempt.outcome)
    ledger.record({ requestOffset: job.requestOffset, attempt, effects: null, release: null })
    const now = performance.now()
    this.#throttledSince ??= now
    if (now - this.#throttledSince >= THROTTLED_LONGEST_MS)
      this.#giveUp('the destination has throttled every request for an hour')
    else gate.pause(retryAfterMs ?? DEFAULT_PAUSE_MS)
    this.#sendAgain(job)
  }

  #recordUnsent(why: string): void {
    const jobs = this.#queue
    this.#queue = []
    for (const job of jobs) this.#finish(job, unsentAttempt(job, this.#options.target, why), null)
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
