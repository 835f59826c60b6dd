/**
 * A lane of the lease queue has the waiters for leases of the same scopes, in the order in which they came.
 */
import type { Broken, Grant, LimitScope, TakeRequest } from './port.ts'

type LimitWaitReason = Extract<Grant, { kind: 'wait' }>['reason']

/** Runs jobs in the order in which they come, a fixed number at a time. Jobs do not reject. */
export interface Admission {
  schedule(job: () => Promise<void>): void
}

/** The front of a lane has room for this many waiters. */
export const FRONT_PLACES = 16
/** The longest delay that a timer of Node can hold. */
const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * A request for a lease. States: waiting → done, by a lease or an error. `done` resolves then, and never
 * rejects.
 */
export class Waiter {
  readonly want: LeaseWant
  readonly signal: AbortSignal
  readonly lease: Promise<Lease>
  readonly done: Promise<void>
  isDone = false
  readonly #end = Promise.withResolvers<Lease>()
  readonly #onAbort = () => this.reject(this.signal.reason)

  constructor(want: LeaseWant, signal: AbortSignal) {
    this.want = want
    this.signal = signal
    this.lease = this.#end.promise
    const ignore = () => {}
    this.done = this.lease.then(ignore, ignore)
    if (signal.aborted) this.reject(signal.reason)
    else signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  resolve(lease: Lease): void {
    this.#finish()
    this.#end.resolve(lease)
  }

  reject(reason: unknown): void {
    this.#finish()
    this.#end.reject(reason)
  }

  #finish(): void {
    this.isDone = true
    this.signal.removeEventListener('abort', this.#onAbort)
  }
}

/**
 * The first waiters are in the front. Bottleneck queues the others, and admits them as slots of the front
 * become free. Bottleneck spends two timer turns on each job, which allows about 415 jobs a second. So a
 * waiter in the front gets a free slot without it. Behind a full front, the delay does not matter. The head
 * is the waiter in the front whose turn it is. It is either due, and asks the limit at the next occasion, or
 * asleep until a time.
 */
export class Lane {
  /** The head's order among the heads of all lanes. The waiter that became head first has the lowest. */
  order = 0
  /** True if the head is to ask the limit. */
  isDue = false
  /** The time at which the head stops sleeping (performance.now()). */
  sleepsUntilMs = 0
  /** The reason for which the head sleeps; null if it does not. */
  sleepsFor: string | null = null
  /**
   * The reason why the last head that asked got nothing, and the latest end of the wait (performance.now());
   * null if it got a lease.
   */
  refused: {
    readonly reason: LimitWaitReason
    readonly untilMs: number
    readonly broken: Broken | null
  } | null = null
  readonly #front: Waiter[] = []
  readonly #onHead: () => void
  readonly #admit: (maxConcurrent: number) => Admission
  #overflow: Admission | null = null
  #overflowing = 0
  #timer: NodeJS.Timeout | undefined

  /** Calls `onHead` when another waiter has become head, or none is left. */
  constructor(admit: (maxConcurrent: number) => Admission, onHead: () => void) {
    this.#admit = admit
    this.#onHead = onHead
  }

  get head(): Waiter | undefined {
    return this.#front[0]
  }

  get isEmpty(): boolean {
    return this.#front.length === 0 && this.#overflowing === 0
  }

  enter(waiter: Waiter): void {
    if (this.#overflowing === 0 && this.#front.length < FRONT_PLACES) {
      this.#stepForward(waiter)
      return
    }
    this.#overflow ??= this.#admit(FRONT_PLACES)
    this.#overflowing += 1
    this.#overflow.schedule(async () => {
      this.#overflowing -= 1
      this.#stepForward(waiter)
      await waiter.done
    })
  }

  /**
   * Puts the head to sleep. It is due once the time is over, which calls `onDue`, or once `wake` is called.
   */
  sleep(ms: number, reason: string, onDue: () => void): void {
    this.sleepsFor = reason
    this.sleepsUntilMs = performance.now() + ms
    this.#timer = setTimeout(
      () => {
        this.wake()
        onDue()
      },
      Math.min(ms, MAX_TIMER_MS),
    )
  }

  wake(): void {
    clearTimeout(this.#timer)
    this.sleepsFor = null
    this.isDue = true
  }

  #stepForward(waiter: Waiter): void {
    this.#front.push(waiter)
    void waiter.done.then(() => this.#leave(waiter))
    if (this.#front.length === 1) this.#becomesHead()
  }

  #leave(waiter: Waiter): void {
    const at = this.#front.indexOf(waiter)
    this.#front.splice(at, 1)
    if (at === 0) this.#becomesHead()
  }

  #becomesHead(): void {
    this.wake()
    this.#onHead()
  }
}

export interface LeaseWant extends Omit<TakeRequest, 'signal'> {
  /** Called whenever the breaker of the destination is found open. */
  readonly onBroken?: (broken: Broken) => void
}

/**
 * Permits for `permits` requests, which may go to sockets until `useBeforeMs` (`elapsedMs`). The caller gives
 * back all permits, used or not.
 */
export interface Lease {
  readonly lease: string
  readonly permits: number
  readonly useBeforeMs: number
  readonly scopes: readonly LimitScope[]
  /** True for the one request that finds out whether a dead destination is back. */
  readonly isProbe: boolean
}
