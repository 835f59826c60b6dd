/**
 * The budget of destinations for one process, which counts in memory, and stores it in a SQLite file if one
 * is given.
 */
import { randomUUID } from 'node:crypto'
import { SluiceError } from '@sluice/contracts/errors'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import { Breaker, BROKEN_POLL_MS } from './breaker.ts'
import { checkParts, checkTake, LeaseLife } from './lease-life.ts'
import { OWNERS_KEPT, LimitsFile, type Granted } from './limits-file.ts'
import { SlidingWindow, type GrantEntry } from './sliding-window.ts'
import {
  MAX_PAUSE_MS,
  mostSlots,
  type Evidence,
  type Grant,
  type LimitScope,
  type LimitUsage,
  type RateLimit,
  type ReturnedParts,
  type TakeRequest,
} from '../port.ts'

export interface LocalRateLimitOptions {
  /**
   * The file in which limits outlive the process. Absent: they are in memory only. One process at a time may
   * have the file.
   */
  readonly file?: string
  /**
   * The longest time for which a permit may stay unused, see LeaseLife. Default 25 ms.
   */
  readonly leaseLifeMs?: number
  /**
   * Milliseconds since 1970, with fractions. Default: a clock that never steps back while the process lives.
   */
  readonly now?: () => number
}

/** The state of one named budget. */
interface ScopeState {
  readonly name: string
  readonly windows: Map<number, SlidingWindow>
  slotsTaken: number
  /** The slots of the destination, by the line that has them. */
  readonly held: Map<string, number>
  pausedUntilMs: number
}

interface Lease {
  readonly line: string
  readonly scopes: readonly ScopeState[]
  readonly entries: readonly { readonly window: SlidingWindow; readonly entry: GrantEntry }[]
  /** The slots that are not given back. */
  slots: number
  readonly slotsExpireMs: number
}

/** The shortest life of a permit. It is enough for a process that is not busy. */
const LEAST_LIFE_MS = 8
/** A superseded owner never gets anything again, and should stop asking. */
const SUPERSEDED_WAIT_MS = 60_000

const steadyNow = () => performance.timeOrigin + performance.now()

/**
 * Opens the budget. Slots live in memory only: when a process has died, the system has closed its
 * connections, and only the next process has the file. Rates, pauses and markers outlive the process. Throws
 * `conflict` if another process has the file, `corrupt`, `unreachable`.
 */
export function createLocalRateLimit(options: LocalRateLimitOptions = {}): RateLimit & LimitUsage {
  return new LocalRateLimit(options)
}

class LocalRateLimit implements RateLimit, LimitUsage {
  readonly trouble = null
  readonly #now: () => number
  readonly #life: LeaseLife
  readonly #file: LimitsFile | null
  readonly #scopes = new Map<string, ScopeState>()
  readonly #owners = new Map<string, number>()
  readonly #breakers = new Map<string, Breaker>()
  readonly #leases = new Map<string, Lease>()
  readonly #leasePrefix = randomUUID().slice(0, 8)
  #lastLease = 0
  #closed = false
  /** The time before which no slot expires. */
  #nextSlotExpiryMs = Infinity

  constructor(options: LocalRateLimitOptions) {
    this.#now = options.now ?? steadyNow
    this.#life = new LeaseLife({ leastMs: LEAST_LIFE_MS, mostMs: options.leaseLifeMs ?? 25 })
    this.#file = options.file === undefined ? null : new LimitsFile(options.file, this.#life.mostMs)
    if (this.#file !== null) this.#load(this.#file)
  }

  async take(request: TakeRequest): Promise<Grant> {
    request.signal.throwIfAborted()
    checkTake(request)
    const nowMs = this.#now()
    if (this.#isSuperseded(request)) {
      return waiting('superseded', SUPERSEDED_WAIT_MS)
    }
    const scopes = request.scopes.map(scope => this.#scope(scope, nowMs))
    const room = this.#room(request.scopes, scopes, nowMs)
    if (room < 1) return this.#wait(request.scopes, scopes, nowMs)
    const slots = slotsFor(request, scopes[0])
    if (slots < 1) return waiting('concurrency', this.#nextSlotExpiryMs - nowMs)
    const name = request.scopes[0]?.name ?? ''
    const breaker = request.breaker === undefined ? undefined : this.#breakers.get(name)
    const asked = request.breaker === undefined ? undefined : breaker?.ask(request.breaker, nowMs)
    if (asked?.kind === 'open') {
      const { leftMs, broken } = asked
      return { kind: 'wait', waitMs: Math.min(leftMs, BROKEN_POLL_MS), leftMs, reason: 'broken', broken }
    }
    const isProbe = asked?.kind === 'probe'
    const permits = isProbe ? 1 : Math.min(request.want, room, slots)
    const grant = this.#grant(request, scopes, { permits, nowMs, isProbe })
    if (isProbe) {
      const untilMs = nowMs + this.#life.ms + request.slotLifeMs
      breaker?.probes(grant.lease, { nowMs, untilMs })
    }
    return grant
  }

  async report(name: string, evidence: Evidence): Promise<void> {
    let breaker = this.#breakers.get(name)
    // A destination without failures has no breaker.
    if (breaker === undefined && evidence.failures === 0) return
    if (breaker === undefined) {
      breaker = new Breaker()
      this.#breakers.set(name, breaker)
    }
    const hasChanged = breaker.report(evidence, this.#now())
    if (hasChanged) this.#file?.storeBreaker(name, breaker.stored)
    if (evidence.served && evidence.failures === 0) this.#breakers.delete(name)
  }

  async giveBack(id: string, parts: ReturnedParts): Promise<void> {
    const { unused, finished } = parts
    checkParts(parts)
    this.#life.cameBack(parts)
    const lease = this.#leases.get(id)
    if (lease === undefined) return
    const returned = unused + finished
    if (returned > lease.slots) {
      throw new SluiceError(
        'internal',
        `lease ${id} has ${lease.slots} requests left, not ${returned} to give back`,
      )
    }
    this.#freeSlots(id, lease, returned)
    if (unused === 0) return
    for (const { window, entry } of lease.entries) {
      window.giveBack(entry, unused)
      this.#file?.overstates(entry)
    }
  }

  async pause(name: string, forMs: number): Promise<void> {
    if (Number.isNaN(forMs)) throw new SluiceError('internal', 'a pause wants a time')
    const untilMs = this.#now() + Math.min(forMs, MAX_PAUSE_MS)
    const scope = this.#scopeNamed(name)
    if (untilMs <= scope.pausedUntilMs) return
    this.#file?.storePause(name, untilMs)
    scope.pausedUntilMs = untilMs
  }

  async slotsTaken(destination: string): Promise<number> {
    const nowMs = this.#now()
    if (this.#nextSlotExpiryMs <= nowMs) this.#expireSlots(nowMs)
    return this.#scopes.get(destination)?.slotsTaken ?? 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const nowMs = this.#now()
    const entries = [...this.#scopes.values()].flatMap(scope =>
      [...scope.windows.values()].flatMap(window => window.entries(nowMs)),
    )
    this.#file?.close(entries)
  }

  #load(file: LimitsFile): void {
    const nowMs = this.#now()
    const stored = file.load(nowMs)
    for (const [name, untilMs] of stored.pauses)
      this.#scopeNamed(name).pausedUntilMs = Math.min(untilMs, nowMs + MAX_PAUSE_MS)
    for (const [partition, marker] of stored.owners) this.#owners.set(partition, marker)
    for (const [name, breaker] of stored.breakers) this.#breakers.set(name, Breaker.of(breaker, nowMs))
    for (const { scope, windowMs, entries } of stored.windows) {
      const window = new SlidingWindow(windowMs)
      window.wantedMs = this.#now()
      window.seed(entries)
      this.#scopeNamed(scope).windows.set(windowMs, window)
    }
  }

  #isSuperseded({ owner }: TakeRequest): boolean {
    const known = this.#owners.get(owner.partition)
    if (known !== undefined && owner.marker <= known) return owner.marker < known
    this.#file?.storeOwner(owner.partition, owner.marker)
    this.#owners.delete(owner.partition)
    this.#owners.set(owner.partition, owner.marker)
    const [oldest] = this.#owners.keys()
    if (this.#owners.size > OWNERS_KEPT && oldest !== undefined) this.#owners.delete(oldest)
    return false
  }

  #scopeNamed(name: string): ScopeState {
    let scope = this.#scopes.get(name)
    if (scope === undefined) {
      scope = { name, windows: new Map(), slotsTaken: 0, held: new Map(), pausedUntilMs: -Infinity }
      this.#scopes.set(name, scope)
    }
    return scope
  }

  /**
   * Returns the state of a scope, with a window for each of its rates. Runs that pinned different limits
   * share it, so a grant counts in every window that any of them had lately.
   */
  #scope(limits: LimitScope, nowMs: number): ScopeState {
    const scope = this.#scopeNamed(limits.name)
    for (const { windowMs, requests } of limits.rates) {
      const window = scope.windows.get(windowMs) ?? this.#newWindow(scope, windowMs, nowMs)
      window.wantedMs = nowMs
      window.limit = requests
    }
    if (scope.windows.size > limits.rates.length) {
      for (const window of scope.windows.values()) {
        if (window.wantedMs + window.windowMs + this.#life.mostMs < nowMs)
          scope.windows.delete(window.windowMs)
      }
    }
    return scope
  }

  /**
   * Starts a window with the grants that the longest of the other windows remembers. They are stored for this
   * window, too, since the next process reads each window from its own rows alone.
   */
  #newWindow(scope: ScopeState, windowMs: number, nowMs: number): SlidingWindow {
    const window = new SlidingWindow(windowMs)
    const others = [...scope.windows.values()].sort((a, b) => b.windowMs - a.windowMs)
    const seeds = (others[0]?.entries(nowMs) ?? []).map(entry => ({ ...entry, stored: null }))
    const granted = seeds.map(entry => ({ scope: scope.name, window, entry }))
    this.#file?.storeGrant(granted, nowMs)
    window.seed(seeds)
    scope.windows.set(windowMs, window)
    return window
  }

  /** Returns how many permits all scopes together have room for. */
  #room(limits: readonly LimitScope[], scopes: readonly ScopeState[], nowMs: number): number {
    let room = Infinity
    for (const [at, scope] of scopes.entries()) {
      const { rates = [], concurrency = 0 } = limits[at] ?? {}
      if (scope.pausedUntilMs > nowMs) return 0
      if (scope.slotsTaken >= concurrency && this.#nextSlotExpiryMs <= nowMs) this.#expireSlots(nowMs)
      room = Math.min(room, concurrency - scope.slotsTaken)
      for (const { requests, windowMs } of rates) {
        room = Math.min(room, requests - (scope.windows.get(windowMs)?.total(nowMs) ?? 0))
      }
    }
    return room
  }

  #wait(limits: readonly LimitScope[], scopes: readonly ScopeState[], nowMs: number): Grant {
    let waitMs = 1
    let reason: 'rate' | 'concurrency' | 'paused' = 'rate'
    const blocked = (by: typeof reason, forMs: number) => {
      waitMs = Math.max(waitMs, Math.ceil(forMs))
      if (reason === 'rate' || by === 'paused') reason = by
    }
    for (const [at, scope] of scopes.entries()) {
      const { rates = [], concurrency = 0 } = limits[at] ?? {}
      if (scope.pausedUntilMs > nowMs) blocked('paused', scope.pausedUntilMs - nowMs)
      if (scope.slotsTaken >= concurrency) blocked('concurrency', this.#nextSlotExpiryMs - nowMs)
      for (const { requests, windowMs } of rates) {
        const forMs = scope.windows.get(windowMs)?.waitMs(nowMs, requests) ?? 0
        if (forMs > 0) blocked('rate', forMs)
      }
    }
    return waiting(reason, waitMs)
  }

  #grant(
    request: TakeRequest,
    scopes: readonly ScopeState[],
    grant: { readonly permits: number; readonly nowMs: number; readonly isProbe: boolean },
  ): Extract<Grant, { kind: 'granted' }> {
    const { permits, nowMs, isProbe } = grant
    const usableUntilMs = nowMs + this.#life.ms
    const granted: Granted[] = []
    for (const scope of scopes) {
      for (const window of scope.windows.values()) {
        granted.push({ scope: scope.name, window, entry: window.grant(permits, { nowMs, usableUntilMs }) })
      }
    }
    try {
      this.#file?.storeGrant(granted, nowMs)
    } catch (error) {
      for (const { window, entry } of granted) window.giveBack(entry, permits)
      throw error
    }
    for (const scope of scopes) scope.slotsTaken += permits
    const { line = '' } = request
    addSlots(scopes, line, permits)
    const slotsExpireMs = usableUntilMs + request.slotLifeMs
    this.#nextSlotExpiryMs = Math.min(this.#nextSlotExpiryMs, slotsExpireMs)
    this.#lastLease += 1
    const lease = `${this.#leasePrefix}-${this.#lastLease}`
    this.#leases.set(lease, { line, scopes, entries: granted, slots: permits, slotsExpireMs })
    // Windows count time that has certainly passed, and leases time that may have passed. So leases age while
    // the machine is suspended, and windows do not.
    const sleptMs = elapsedMs() - performance.now()
    const useBeforeMs = usableUntilMs - performance.timeOrigin + sleptMs
    return { kind: 'granted', lease, permits, useBeforeMs, isProbe }
  }

  #freeSlots(id: string, lease: Lease, slots: number): void {
    lease.slots -= slots
    for (const scope of lease.scopes) scope.slotsTaken -= slots
    addSlots(lease.scopes, lease.line, -slots)
    if (lease.slots === 0) this.#leases.delete(id)
  }

  #expireSlots(nowMs: number): void {
    this.#nextSlotExpiryMs = Infinity
    for (const [id, lease] of this.#leases) {
      if (lease.slotsExpireMs <= nowMs) this.#freeSlots(id, lease, lease.slots)
      else this.#nextSlotExpiryMs = Math.min(this.#nextSlotExpiryMs, lease.slotsExpireMs)
    }
  }
}

/** Returns how many slots of the destination a request may take, since lines share them. */
function slotsFor(
  { scopes: limits, line, shared }: TakeRequest,
  destination: ScopeState | undefined,
): number {
  const [{ concurrency } = { concurrency: 0 }] = limits
  if (line === undefined || destination === undefined) return Infinity
  const held = destination.held.get(line) ?? 0
  if (shared !== true && destination.slotsTaken === held) return Infinity
  const lines = destination.held.size + (held === 0 ? 1 : 0)
  return mostSlots({ all: concurrency, free: concurrency - destination.slotsTaken, held, lines })
}

/** Adds to the slots of the destination that a line has. */
function addSlots([destination]: readonly ScopeState[], line: string, slots: number): void {
  const held = (destination?.held.get(line) ?? 0) + slots
  if (held === 0) destination?.held.delete(line)
  else destination?.held.set(line, held)
}

function waiting(reason: 'rate' | 'concurrency' | 'paused' | 'superseded', waitMs: number): Grant {
  return { kind: 'wait', waitMs, leftMs: waitMs, reason, broken: null }
}
