/**
 * The queue of requests for leases. A rate limit never waits: it grants or refuses at once. This queue asks
 * it again for the requests that wait.
 *
 * Requests of one sync, with the same scopes, share a lane. A lane serves its waiters first come, first
 * served. The lanes of a destination take turns, and none takes more at once than its share of the limits. So
 * a sync that waits for its own limit, or has a million requests, delays no other sync of its destination. If
 * no request of its destination waits, a new request asks for its lease at once and enters no lane.
 */
import { SluiceError } from '@sluice/contracts/errors'
import { Lane, Waiter, type Admission, type Lease, type LeaseWant } from './lease-lane.ts'
import type { Broken, Evidence, Grant, LimitScope, RateLimit, ReturnedParts } from './port.ts'

interface Turn {
  readonly parts: Map<string, { unused: number; finished: number; late: boolean }>
  readonly sent: PromiseWithResolvers<void>
}

/**
 * Joins the returned parts of leases within a turn of the event loop, so that the limit gets them once for
 * each lease, and before the next take.
 */
class JoinedReturns {
  readonly #limit: Pick<RateLimit, 'giveBack'>
  #turn: Turn | null = null

  constructor(limit: Pick<RateLimit, 'giveBack'>) {
    this.#limit = limit
  }

  /**
   * Does the same as RateLimit.giveBack. All returns of a turn share a promise, so that a bug in one rejects
   * all.
   */
  add(lease: string, { unused, finished, late = false }: ReturnedParts): Promise<void> {
    const turn = this.#turn ?? this.#begin()
    const known = turn.parts.get(lease)
    if (known === undefined) turn.parts.set(lease, { unused, finished, late })
    else {
      known.unused += unused
      known.finished += finished
      known.late ||= late
    }
    return turn.sent.promise
  }

  /** Gives the returned parts so far to the limit. */
  send(): void {
    const turn = this.#turn
    if (turn === null) return
    this.#turn = null
    const returns = [...turn.parts].map(([lease, parts]) => this.#limit.giveBack(lease, parts))
    Promise.all(returns).then(() => turn.sent.resolve(), turn.sent.reject)
  }

  #begin(): Turn {
    const turn = { parts: new Map(), sent: Promise.withResolvers<void>() }
    this.#turn = turn
    setImmediate(() => this.send())
    return turn
  }
}

export type { Lease, LeaseWant } from './lease-lane.ts'

/** Each partition has one waiter, so more than this in all lanes are a bug. */
const MAX_WAITING = 10_000
/**
 * Heads whose sleeps end within this time ask in the order in which they became heads, not in the order of
 * their timers.
 */
const SAME_MOMENT_MS = 2

export interface LimitWait {
  readonly reason: Extract<Grant, { kind: 'wait' }>['reason']
  /** The known maximum of the wait. */
  readonly leftMs: number
  /** Set while the breaker of the destination is open. */
  readonly broken: Broken | null
}

/** Called when the breaker of a destination is found open, and with null when it is found closed again. */
export type OnBreaker = (destination: string, broken: Broken | null) => void

export interface LeaseQueue extends AsyncDisposable {
  /** The number of requests that wait now. */
  readonly waiting: number
  /**
   * Waits for a lease of 1 to `want` permits: as many as there is room for when it is this request's turn. It
   * does not wait longer to get more. Any number of requests may wait at once. Rejects with the signal's
   * reason; with `fenced` if a newer owner has the partition; with `unreachable` (retryable) if the limit
   * does not answer; with `aborted` once the queue is disposed.
   */
  acquire(want: LeaseWant, options: { readonly signal: AbortSignal }): Promise<Lease>
  /**
   * Does the same as RateLimit.giveBack, within the turn of the event loop. Wakes requests that wait for the
   * returned permits.
   */
  giveBack(lease: Lease, parts: ReturnedParts): Promise<void>
  /** Says why a request of that lane was last refused. Null if no request waits, or none was refused. */
  waitOf(want: Pick<LeaseWant, 'scopes' | 'line'>): LimitWait | null
  /** Does the same as RateLimit.pause. */
  pause(scope: string, forMs: number): Promise<void>
  /** Does the same as RateLimit.report. Wakes requests that wait for a dead destination. */
  report(destination: string, evidence: Evidence): Promise<void>
}

/**
 * Makes the queue of one process over its rate limit. The first waiters of a lane are its front. The others
 * wait in the queue that `admit` makes. Disposing rejects the requests that still wait, and leaves the limit
 * open.
 */
export function createLeaseQueue(
  limit: RateLimit,
  admit: (maxConcurrent: number) => Admission,
  onBreaker: OnBreaker = () => undefined,
): LeaseQueue {
  return new FairLeaseQueue(new WatchedLimit(limit, onBreaker), admit)
}

/**
 * A rate limit that joins returns within a turn of the event loop, and reports when breakers are found open,
 * or closed again.
 */
class WatchedLimit {
  readonly #limit: RateLimit
  readonly #returns: JoinedReturns
  readonly #onBreaker: OnBreaker
  readonly #broken = new Set<string>()

  constructor(limit: RateLimit, onBreaker: OnBreaker) {
    this.#limit = limit
    this.#returns = new JoinedReturns(limit)
    this.#onBreaker = onBreaker
  }

  async take(want: LeaseWant, { signal }: { readonly signal: AbortSignal }): Promise<Grant> {
    this.#returns.send()
    const grant = await this.#limit.take({ ...want, signal })
    const destination = want.scopes[0]?.name ?? ''
    if (grant.kind === 'wait' && grant.broken !== null) {
      if (!this.#broken.has(destination)) this.#onBreaker(destination, grant.broken)
      this.#broken.add(destination)
      want.onBroken?.(grant.broken)
    } else if (grant.kind === 'granted' && !grant.isProbe && want.breaker !== undefined) {
      if (this.#broken.delete(destination)) this.#onBreaker(destination, null)
    }
    return grant
  }

  giveBack(lease: string, parts: ReturnedParts): Promise<void> {
    return this.#returns.add(lease, parts)
  }

  async pause(scope: string, forMs: number): Promise<void> {
    await this.#limit.pause(scope, forMs)
  }

  async report(destination: string, evidence: Evidence): Promise<void> {
    await this.#limit.report(destination, evidence)
  }
}

const NOTHING_NEW = Promise.resolve()

class FairLeaseQueue implements LeaseQueue {
  readonly #limit: WatchedLimit
  /** The destinations with waiters, by the name of the destination's scope. */
  readonly #groups = new Map<string, LaneGroup>()
  readonly #admit: (maxConcurrent: number) => Admission
  readonly #waiters = new Set<Waiter>()
  /**
   * Destinations that served a request in this turn of the event loop, and at which none has failed since.
   * Further reports of served requests are nothing new.
   */
  readonly #served = new Set<string>()
  #closed = false

  constructor(limit: WatchedLimit, admit: (maxConcurrent: number) => Admission) {
    this.#limit = limit
    this.#admit = admit
  }

  get waiting(): number {
    return this.#waiters.size
  }

  async acquire(want: LeaseWant, { signal }: { readonly signal: AbortSignal }): Promise<Lease> {
    if (this.#closed) throw closedError()
    const destination = want.scopes[0]?.name ?? ''
    if (!this.#groups.has(destination)) {
      const grant = await this.#limit.take(want, { signal })
      if (grant.kind === 'granted') return leaseOf(grant, want)
      if (grant.reason === 'superseded') throw supersededError(want)
    }
    if (this.#waiters.size >= MAX_WAITING) {
      throw new SluiceError('internal', `more than ${MAX_WAITING} requests wait for leases of ${destination}`)
    }
    const waiter = new Waiter(want, signal)
    this.#waiters.add(waiter)
    void waiter.done.then(() => this.#waiters.delete(waiter))
    this.#group(destination).enter(waiter)
    return waiter.lease
  }

  giveBack(lease: Lease, parts: ReturnedParts): Promise<void> {
    const returned = this.#limit.giveBack(lease.lease, parts)
    // The next take comes after this return. Finished requests free only slots, so waiters for the rate stay
    // asleep.
    this.#groups.get(lease.scopes[0]?.name ?? '')?.wake(parts.unused > 0 ? 'all' : 'concurrency')
    return returned
  }

  waitOf(want: Pick<LeaseWant, 'scopes' | 'line'>): LimitWait | null {
    return this.#groups.get(want.scopes[0]?.name ?? '')?.waitOf(want) ?? null
  }

  pause(scope: string, forMs: number): Promise<void> {
    return this.#limit.pause(scope, forMs)
  }

  report(destination: string, evidence: Evidence): Promise<void> {
    const isPlain = evidence.served && evidence.failures === 0 && evidence.probe === null
    if (isPlain && this.#served.has(destination)) return NOTHING_NEW
    if (isPlain) this.#noteServed(destination)
    else this.#served.delete(destination)
    return this.#report(destination, evidence)
  }

  async #report(destination: string, evidence: Evidence): Promise<void> {
    await this.#limit.report(destination, evidence)
    this.#groups.get(destination)?.wake('broken')
  }

  #noteServed(destination: string): void {
    if (this.#served.size === 0) setImmediate(() => this.#served.clear())
    this.#served.add(destination)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    for (const waiter of [...this.#waiters]) waiter.reject(closedError())
  }

  #group(destination: string): LaneGroup {
    let group = this.#groups.get(destination)
    if (group === undefined) {
      group = new LaneGroup(this.#limit, this.#admit, () => this.#groups.delete(destination))
      this.#groups.set(destination, group)
    }
    return group
  }
}

/**
 * The lanes of one destination. All due heads ask together, in the order in which they became heads, once per
 * turn of the event loop. So permits that came back in that turn go into as few leases as possible, and no
 * waiter overtakes another by asking more often.
 */
class LaneGroup {
  readonly #limit: WatchedLimit
  readonly #admit: (maxConcurrent: number) => Admission
  readonly #onEmpty: () => void
  readonly #lanes = new Map<string, Lane>()
  #heads = 0
  #round: 'none' | 'planned' | 'running' = 'none'
  /** Counts the returns of slots and of permits, and the reports on the destination. */
  readonly #returns = { slots: 0, permits: 0, evidence: 0 }

  constructor(limit: WatchedLimit, admit: (maxConcurrent: number) => Admission, onEmpty: () => void) {
    this.#limit = limit
    this.#admit = admit
    this.#onEmpty = onEmpty
  }

  enter(waiter: Waiter): void {
    const id = laneOf(waiter.want)
    let lane = this.#lanes.get(id)
    if (lane === undefined) {
      const created = new Lane(this.#admit, () => this.#onHead(id, created))
      lane = created
      this.#lanes.set(id, lane)
    }
    lane.enter(waiter)
  }

  waitOf(want: Pick<LeaseWant, 'scopes' | 'line'>): LimitWait | null {
    const refused = this.#lanes.get(laneOf(want))?.refused ?? null
    if (refused === null) return null
    const { reason, untilMs, broken } = refused
    return { reason, broken, leftMs: Math.max(0, untilMs - performance.now()) }
  }

  wake(whom: 'all' | 'concurrency' | 'broken'): void {
    if (whom === 'broken') this.#returns.evidence += 1
    else this.#returns.slots += 1
    if (whom === 'all') this.#returns.permits += 1
    let woken = false
    for (const lane of this.#lanes.values()) {
      if (lane.sleepsFor === null || (whom !== 'all' && lane.sleepsFor !== whom)) continue
      lane.wake()
      woken = true
    }
    if (woken) this.#planRound()
  }

  #onHead(id: string, lane: Lane): void {
    if (lane.head !== undefined) {
      this.#heads += 1
      lane.order = this.#heads
      this.#planRound()
      return
    }
    if (!lane.isEmpty) return
    this.#lanes.delete(id)
    if (this.#lanes.size === 0) this.#onEmpty()
  }

  #planRound(): void {
    if (this.#round !== 'none') return
    this.#round = 'planned'
    setImmediate(() => void this.#runRound())
  }

  async #runRound(): Promise<void> {
    this.#round = 'running'
    const momentMs = performance.now() + SAME_MOMENT_MS
    const heads: [Lane, Waiter][] = []
    for (const lane of this.#lanes.values()) {
      if (lane.sleepsFor !== null && lane.sleepsUntilMs <= momentMs) lane.wake()
      if (lane.isDue && lane.head !== undefined) heads.push([lane, lane.head])
    }
    heads.sort(([a], [b]) => a.order - b.order)
    await Promise.all(heads.map(([lane, head]) => this.#take(lane, head)))
    this.#round = 'none'
    for (const lane of this.#lanes.values()) if (lane.isDue && lane.head !== undefined) this.#planRound()
  }

  /** Takes for the head of a lane, or puts it to sleep. */
  async #take(lane: Lane, head: Waiter): Promise<void> {
    lane.isDue = false
    const want = Math.min(head.want.want, shareOf(head.want.scopes, this.#lanes.size))
    const before = { ...this.#returns }
    let grant: Grant
    try {
      grant = await this.#limit.take({ ...head.want, want }, head)
    } catch (error) {
      if (!head.isDone) head.reject(error)
      return
    }
    lane.refused = grant.kind === 'granted' ? null : refusalOf(grant)
    if (grant.kind === 'granted') {
      if (head.isDone) await this.#returnUnwanted(grant, head.want)
      else head.resolve(leaseOf(grant, head.want))
    } else if (head.isDone || lane.isDue) {
      // While the limit was asked, the head left the queue or was woken. The next round looks at the new
      // head.
    } else if (grant.reason === 'superseded') {
      head.reject(supersededError(head.want))
    } else if (this.#cameBackSince(before, grant.reason)) {
      lane.isDue = true
    } else {
      lane.sleep(grant.waitMs, grant.reason, () => this.#planRound())
    }
  }

  /**
   * True if the permits that a head waits for came back while the limit was asked, so that nothing would wake
   * it.
   */
  #cameBackSince(
    before: { readonly slots: number; readonly permits: number; readonly evidence: number },
    reason: string,
  ): boolean {
    if (this.#returns.permits !== before.permits) return true
    if (reason === 'broken') return this.#returns.evidence !== before.evidence
    return reason === 'concurrency' && this.#returns.slots !== before.slots
  }

  /** Returns a grant that came after its waiter had left. */
  async #returnUnwanted(grant: Granted, { scopes, breaker }: LeaseWant): Promise<void> {
    try {
      await this.#limit.giveBack(grant.lease, { unused: grant.permits, finished: 0 })
      if (grant.isProbe && breaker !== undefined) {
        const probe = { lease: grant.lease, ended: 'released' } as const
        await this.#limit.report(scopes[0]?.name ?? '', { rule: breaker, served: false, failures: 0, probe })
      }
      this.wake('all')
    } catch {
      // A lease that cannot be given back expires by itself.
    }
  }
}

function laneOf({ scopes, line = '' }: Pick<LeaseWant, 'scopes' | 'line'>): string {
  return JSON.stringify([line, ...scopes.map(({ name }) => name)])
}

/** Returns how much a lane may take at once: its share of the strictest limit. */
function shareOf(scopes: readonly LimitScope[], lanes: number): number {
  const limits = scopes.flatMap(({ rates, concurrency }) => [
    concurrency,
    ...rates.map(({ requests }) => requests),
  ])
  return lanes === 1 ? Infinity : Math.ceil(Math.min(...limits) / lanes)
}

type Granted = Extract<Grant, { kind: 'granted' }>

function leaseOf(grant: Granted, want: LeaseWant): Lease {
  const { lease, permits, useBeforeMs, isProbe } = grant
  return { lease, permits, useBeforeMs, scopes: want.scopes, isProbe }
}

function refusalOf({ reason, leftMs, broken }: Extract<Grant, { kind: 'wait' }>): Lane['refused'] {
  return { reason, broken, untilMs: performance.now() + leftMs }
}

function supersededError({ owner }: LeaseWant): SluiceError {
  return new SluiceError(
    'fenced',
    `partition ${owner.partition} has a newer owner than marker ${owner.marker}`,
  )
}

function closedError(): SluiceError {
  return new SluiceError('aborted', 'the lease queue is closed')
}
