/**
 * Sends the requests of one partition and run, in order, as the destination's limits allow. A request whose
 * try failed may wait for its next try; those behind it go on meanwhile. A run may be cancelled, or take too
 * long, or its destination may throttle for an hour without one success. The rest then becomes unsent, and
 * what waits comes to what it had last, so that a run never hangs (PROTOCOL.md §8, §11).
 *
 * States: sending → giving up (what is queued or waits is recorded as it is) and either → stopped (nothing
 * more is taken; what is under way is finished, and what waits is left to a successor).
 */
import type { Op } from '@sluice/contracts/state'
import type { SluiceError } from '@sluice/contracts/errors'
import { nextTryMs } from '@sluice/domain/answers/next-try'
import { endingOf } from '@sluice/flow/ends'
import { Notifier } from '@sluice/flow/notifier'
import { nextTurn } from '@sluice/flow/sleep'
import type { Broken } from '@sluice/rate-limit/port'
import { RequestMemory, activeLimit } from '../delivery-memory.ts'
import { givenUpAfter } from '@sluice/partition/deaths/count-deaths'
import { brokenText, isDead, type Permits } from './destination-gate.ts'
import type { AnotherTry } from '../outcome/settle-rows.ts'
import { leftOfWaitMs, type PartHistory, type UnownedAttempt } from '../ledger/request-history.ts'
import { ANNOUNCED, NOT_SENT } from '../run/doubt.ts'
import { OpenRequest, type TakenAttempt, readyOf, type NewRequest, type Ready } from './open-request.ts'
import { Burst, Permit } from './permit.ts'
import { hasArrived, ThrottleWindow } from './throttles.ts'
import type { SendQueueOptions } from './send-queue-options.ts'
import { failedAttempts, SentMetrics } from './sent-metrics.ts'
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
import { queueWait } from '../run/wait-teller.ts'
import { WaitingRequests, type DuePart } from './waiting-requests.ts'

/** With so few places left, as a share of the concurrency, what is answered is written down at once. */
const HURRIED_BELOW = 0.5

const NO_OTHER_TRY: AnotherTry = { nextTryMs: () => null, splits: false }

/** The least that a try which came too late counts for. So tries that cost no time come to an end as well. */
const LEAST_LATENESS_MS = 5

export class SendQueue {
  readonly #options: SendQueueOptions
  readonly #changes = new Notifier()
  readonly #stopping = new AbortController()
  readonly #givingUp = new AbortController()
  readonly #metrics: SentMetrics
  #underWay = 0
  /** Is called when nothing is under way any more. */
  #onAllEnded: (() => void) | null = null
  /** Ends the wait for a lease. */
  readonly #interrupted: AbortSignal
  readonly #pump: Promise<unknown>
  readonly #waiting: WaitingRequests
  /** Requests of which every open part waits. */
  #waitingRequests = 0
  readonly #sinceMs = performance.now()
  #queue: Ready[] = []
  readonly #window: ThrottleWindow
  readonly #burst = new Burst()
  #unsendable: SluiceError | null = null

  constructor(options: SendQueueOptions) {
    this.#options = options
    this.#window = new ThrottleWindow(options.target.concurrency)
    this.#metrics = new SentMetrics(options.stageMetrics, options.target.sync, failedAttempts(options))
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

  /** Why nothing more of the run can be sent; null while it can. */
  get unsendable(): SluiceError | null {
    return this.#unsendable
  }

  /** What it waits for while it has something to send; null while it sends. */
  get waitsFor(): ReturnType<typeof queueWait> {
    const of = { queued: this.#queue.length, underWay: this.#underWay, window: this.#window }
    const { gate, target } = this.#options
    return queueWait(of, { gate, credentials: target.credentials, waiting: this.#waiting })
  }

  /** How many requests wait for their next try, with all that is open of them. */
  get waiting(): number {
    return this.#waitingRequests
  }

  /**
   * Takes a request, or what is left of one that a predecessor began. With `why`, nothing of it is sent: it
   * is recorded at once, whatever becomes of the others.
   */
  take({ request, offset, history, memory }: NewRequest, why: string | null): void {
    const open = new OpenRequest(offset, history, memory)
    const { place } = this.#options
    const { parts } = open
    open.inWork = parts.length
    for (const part of parts) {
      const leftMs = leftOfWaitMs(part)
      const ready = readyOf(open, part, { request, memory, place })
      const gone = why ?? this.#givenUp(part)
      if (gone !== null) this.#close(ready, gone)
      else if (part.positions === null && leftMs <= 0) this.#push(ready)
      else {
        open.waits(request)
        this.#waiting.add({ open, part, dueAtMs: performance.now() + leftMs })
        this.#rests(open)
      }
    }
  }

  /** Why a part is not tried again that a dead process had announced; null if it is. */
  #givenUp({ intent, announced }: PartHistory): string | null {
    if (this.#options.target.atMostOnce) return intent === null ? null : ANNOUNCED
    return givenUpAfter(announced, 'attempts')
  }

  #push(ready: Ready): void {
    const { care, target } = this.#options
    care.goesOn()
    this.#queue.push({ ...ready, job: hashed(ready.job, target) })
    this.#changes.notify()
  }

  /** A part of it is in work no more. */
  #rests(open: OpenRequest): void {
    open.inWork -= 1
    if (open.inWork === 0 && open.parts.length > 0) this.#waitingRequests += 1
  }

  /** Takes nothing more and resolves once what is under way is answered and recorded. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#pump
    if (this.#underWay > 0) await new Promise<void>(resolve => (this.#onAllEnded = resolve))
    this.#options.parts.forget()
    if (this.#options.abort.aborted) return
    if (!this.#options.target.atMostOnce) return
    // A successor would take it for sent.
    const announced = this.#queue.filter(ready => ready.isAnnounced === true)
    this.#queue = this.#queue.filter(ready => ready.isAnnounced !== true)
    for (const ready of announced) this.#close(ready, NOT_SENT)
  }

  /** A run that lasts for too long has waited for something: people want to know what that was. */
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
      const lease = (await this.#credentialed()) ? await this.#lease(want) : null
      if (lease !== null) this.#sendAll(lease)
      // The requests of this lease come to their connections before another one begins to live.
      if (this.#burst.isBounded) await nextTurn()
    }
  }

  /** Waits for what shows who sends. If it does not come, nothing more is sent, and the rest is unsent. */
  async #credentialed(): Promise<boolean> {
    const { credentials } = this.#options.target
    const failure = (await credentials?.ready({ signal: this.#interrupted })) ?? null
    if (failure !== null) this.#unsendable = failure
    if (failure !== null) this.#giveUp(failure.message)
    return failure === null && !this.#interrupted.aborted
  }

  #wanted(): number {
    const { places, target } = this.#options
    return Math.max(0, Math.min(this.#queue.length, this.#room, this.#burst.size, places.left(target.scopes)))
  }

  /** How many more requests may be under way while the destination throttles, or processes died. */
  get #room(): number {
    const room = this.#window.room(this.#underWay)
    return this.#isOneByOne ? Math.min(room, 1 - this.#underWay) : room
  }

  /** True while one request is to be finished before the next one begins, since processes died. */
  get #isOneByOne(): boolean {
    const { care, target } = this.#options
    return care.isOneByOne(activeLimit(target))
  }

  async #untilWanted(seen: number, ending: AbortSignal): Promise<void> {
    const { places, ledger } = this.#options
    const { version } = places.changes
    const lacksPlace = this.#queue.length > 0 && this.#room > 0
    if (lacksPlace) ledger.hurry()
    // All of this is in one turn with the look at the places: none can become free unnoticed.
    if (lacksPlace) await places.changes.after(version, { signal: this.#interrupted })
    else await this.#changes.after(seen, { signal: ending })
  }

  async #lease(want: number): Promise<Permits | null> {
    const { gate, stageMetrics, target } = this.#options
    const sinceMs = performance.now()
    try {
      const onBroken = (broken: Broken): void => this.#broken(broken)
      const lease = await gate.acquire(want, { signal: this.#interrupted, onBroken })
      stageMetrics.leaseWaited(target.sync, performance.now() - sinceMs)
      return lease
    } catch (error) {
      if (this.#interrupted.aborted) return null
      throw error
    }
  }

  #sendAll(lease: Permits): void {
    // The destination may have throttled while this process waited for the lease.
    // A token may have ended, or been refused, meanwhile. The loop then waits for the next one.
    const { credentials } = this.#options.target
    const may = credentials !== null && credentials.current === null ? 0 : this.#wanted()
    const taken = this.#queue.splice(0, Math.min(lease.permits, may))
    if (taken.length < lease.permits) lease.unused(lease.permits - taken.length)
    const { places, target } = this.#options
    const tell = this.#burst.begin(taken.length)
    this.#underWay += taken.length
    for (const ready of taken) void this.#sendOne(ready, new Permit(lease, tell), places.take(target.scopes))
  }

  async #sendOne(ready: Ready, permit: Permit, freePlace: () => void): Promise<void> {
    try {
      await this.#try(ready, permit, freePlace)
    } catch (error) {
      permit.finish('untold')
      freePlace()
      this.#options.ledger.fail(error)
    } finally {
      this.#underWay -= 1
      if (!this.#window.isOpen || this.#isOneByOne) this.#changes.notify()
      if (this.#underWay === 0) this.#onAllEnded?.()
    }
  }

  async #try(ready: Ready, permit: Permit, freePlace: () => void): Promise<void> {
    const { job, lateMs } = ready
    const { target, sender, abort: signal } = this.#options
    const announces = target.atMostOnce || this.#isOneByOne
    const isAnnounced = ready.isAnnounced === true || (announces && (await this.#announce(job)))
    if (isAnnounced && signal.aborted) {
      freePlace()
      return permit.giveBack()
    }
    const credential = target.credentials?.current ?? null
    // Its token ended, or was refused, while it was announced.
    if (target.credentials !== null && credential === null) {
      freePlace()
      permit.giveBack()
      return this.#sendAgain({ ...ready, isAnnounced })
    }
    const sentAtMs = performance.now()
    const sending = { target, credential, sender, signal, lateMs, sendBeforeMs: permit.useBeforeMs }
    this.#metrics.inFlight(1)
    let sent: Sent | Late | null = null
    try {
      sent = await sendRequest(job, { ...sending, another: this.#anotherOf(job.request) })
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      this.#metrics.inFlight(-1)
    }
    if (sent === null || sent.kind === 'late') freePlace()
    if (sent?.kind === 'late') {
      permit.late()
      this.#sendAgain({ ...ready, isAnnounced, lateMs: lateMs + Math.max(sent.lateMs, LEAST_LATENESS_MS) })
      return
    }
    // The slot is free with the answer. The place is, once that is acknowledged.
    permit.finish(sent?.health ?? 'untold')
    if (sent === null) return
    const taken = ready.open.take(sent.attempt)
    if (sent.throttles) this.#pause(sent, taken.attempt, sentAtMs)
    else this.#unthrottled(taken.attempt)
    if (taken.attempt.outcome === 'throttled' && taken.attempt.parts === null)
      this.#throttled(ready, taken.attempt, freePlace)
    else this.#record(ready, taken, freePlace)
  }

  /** What failed rows may get, as long as the run goes on. */
  #anotherOf({ trigger }: { readonly trigger: Op }): AnotherTry {
    if (this.#givingUp.signal.aborted) return NO_OTHER_TRY
    const { removalsFirst, target } = this.#options
    const isOnce = removalsFirst && trigger === 'removed'
    return { ...(isOnce ? NO_OTHER_TRY : { nextTryMs: this.#nextTryMs }), splits: target.splitsBatches }
  }

  readonly #nextTryMs: AnotherTry['nextTryMs'] = failed => {
    const { tries, random } = this.#options
    return this.#givingUp.signal.aborted ? null : nextTryMs(tries, failed, random)
  }

  /** Resolves, with true, once the ledger has it that a request is about to be sent, or has failed. */
  async #announce(job: SendJob): Promise<true> {
    const { ledger, target } = this.#options
    const { promise, resolve } = Promise.withResolvers<void>()
    const attempt = intentOf(job, target)
    ledger.record({ requestOffset: job.requestOffset, attempt, effects: null, release: resolve })
    ledger.hurry()
    await promise
    return true
  }

  #broken(broken: Broken): void {
    // The start is by the clock of another machine.
    const ageMs = Math.max(performance.now() - this.#sinceMs, Date.now() - this.#options.startedAt)
    if (isDead(broken, ageMs)) this.#giveUp(brokenText(broken))
  }

  #sendAgain(ready: Ready): void {
    this.#queue.unshift({ ...ready, job: hashed(ready.job, this.#options.target) })
    this.#changes.notify()
  }

  /**
   * Records an attempt. The parts that follow wait once the ledger has it. What the request writes besides is
   * written once nothing of it is open.
   */
  #record(
    { open, job, whole, memory }: Ready,
    { attempt, parts, isFinished }: TakenAttempt,
    freePlace: (() => void) | null,
  ): void {
    const { ledger } = this.#options
    const atMs = performance.now()
    memory.answered(job.request, attempt)
    this.#metrics.attempted(attempt)
    let isAcknowledged = false
    const release = (): void => {
      freePlace?.()
      if (isAcknowledged) return
      isAcknowledged = true
      if (memory !== open.memory) memory.done()
      if (isFinished) open.memory.done()
      else if (open.parts.length > 0) open.waits(whole)
      for (const part of parts) this.#waiting.add({ open, part, dueAtMs: atMs + part.waitMs })
      this.#rests(open)
    }
    const effects = isFinished ? open.effects(whole) : null
    if (isFinished) this.#options.parts.forget(job.request)
    ledger.record({ requestOffset: open.offset, attempt, effects, release })
    this.#hurryIfShort()
  }

  /** Few places are left, so that requests may soon wait for one. */
  #hurryIfShort(): void {
    const { places, target, ledger } = this.#options
    if (places.left(target.scopes) < target.concurrency * HURRIED_BELOW) ledger.hurry()
  }

  /** It goes before those that were never tried, since it holds up the checkpoint. */
  async #takeDue({ request, bytes, open, part }: DuePart, signal: AbortSignal): Promise<void> {
    if (open.inWork === 0) this.#waitingRequests -= 1
    open.inWork += 1
    const { share, place, parts } = this.#options
    const of = { record: request, recordBytes: bytes }
    const free = RequestMemory.tryTake(share(), of)
    // What is kept for parts must not keep out the part that needs it.
    if (free === null) parts.forget()
    const memory = free ?? (await RequestMemory.take(share(), { ...of, signal }))
    const ready = readyOf(open, part, { request, memory, place })
    // What it would say does not matter if no try of it can be under way.
    const isLeft = this.#givingUp.signal.aborted
    if (part.positions === null || (isLeft && !part.unseen)) return this.#sendOrClose(ready)
    const rendered = await this.#options.parts.render(request, part.positions).catch((error: unknown) => {
      // Its run may have been over for so long that the changes are gone.
      if (!isLeft || signal.aborted) throw error
      return []
    })
    const [only] = rendered
    if (rendered.length === 1 && only?.kind === 'request') {
      const { method, path, headers, body } = only
      const own = { ...ready.job.request, method, path, headers, body }
      return this.#sendOrClose({ ...ready, job: { ...ready.job, request: own } })
    }
    if (isLeft) return this.#sendOrClose(ready)
    this.#record(ready, open.take(dividedAttempt(ready.job, this.#options.target, rendered)), null)
  }

  #sendOrClose(ready: Ready): void {
    const { signal } = this.#givingUp
    if (signal.aborted) this.#close(ready, String(signal.reason))
    else this.#sendAgain(ready)
  }

  /** Records that it is tried no more. */
  #close(ready: Ready, why: string): void {
    this.#record(ready, ready.open.take(closingAttempt(ready.job, this.#options.target, why)), null)
  }

  /** It was not throttled, so the destination may take more requests. */
  #unthrottled(attempt: UnownedAttempt): void {
    const { target, throttles } = this.#options
    if (attempt.answered && attempt.outcome !== 'unknown') throttles.served(target.destination)
    // The window may be gone with it. A wait for room in it would last for ever.
    if (this.#window.served(attempt)) this.#changes.notify()
  }

  /** Pauses the whole destination (R10). */
  #pause({ retryAfterMs }: Sent, attempt: UnownedAttempt, sentAtMs: number): void {
    const { gate, target, throttles } = this.#options
    const of = { sentAtMs, nowMs: performance.now(), askedMs: retryAfterMs }
    if (hasArrived(attempt)) throttles.served(target.destination)
    gate.pause(throttles.pauseMs(target.destination, of))
    if (this.#window.throttled(attempt, sentAtMs, this.#underWay))
      this.#giveUp('the destination has throttled for an hour, and took no request meanwhile')
  }

  /** All of its rows were throttled. It goes to the head of the queue and has used up no retry. */
  #throttled(ready: Ready, attempt: UnownedAttempt, freePlace: () => void): void {
    const { ledger } = this.#options
    this.#metrics.attempted(attempt)
    ledger.record({ requestOffset: ready.open.offset, attempt, effects: null, release: freePlace })
    this.#hurryIfShort()
    this.#sendAgain({ ...ready, lateMs: 0, isAnnounced: false })
  }

  #recordUnsent(why: string): void {
    for (const ready of this.#queue.splice(0)) this.#close(ready, why)
  }
}
