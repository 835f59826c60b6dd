/**
 * The budget of destinations shared by processes, in Redis. Every step is one Lua script on the server's
 * clock (redis-scripts.ts), so the clocks of instances need not agree. If Redis forgets, the limits still
 * hold: after a restart, a failover or a flush nothing is granted until all that may have been forgotten has
 * run out. If answers are lost, no slot is lost: see lease-book.ts.
 */
import { randomBytes } from 'node:crypto'
import { SluiceError } from '@sluice/contracts/errors'
import { abortable } from '@sluice/flow/abortable'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import { sleep } from '@sluice/flow/sleep'
import {
  connectRedis,
  redisScript,
  type RedisConnection,
  type RedisConnectionOptions,
  type RedisScript,
} from '@sluice/redis/redis-connection'
import { checkParts, checkTake, LeaseLife } from './lease-life.ts'
import { TELL } from './breaker-scripts.ts'
import { EvidenceBook } from './evidence-book.ts'
import { LeaseBook, ReturningLeases } from './lease-book.ts'
import {
  GIVE_BACK,
  LEAVE,
  LONG_MS,
  PAUSE,
  RECONCILE,
  STAND_BY,
  STAND_BY_EVERY_MS,
  TAKE,
} from './redis-scripts.ts'
import { MAX_PAUSE_MS } from '../port.ts'
import { COUNT_SLOTS, limitsKey, slotsOf } from './usage/redis.ts'
import type {
  Broken,
  Evidence,
  Forgotten,
  Grant,
  LimitUsage,
  RateLimit,
  ReturnedParts,
  TakeRequest,
} from '../port.ts'

export interface RedisRateLimitOptions extends RedisConnectionOptions {
  /** The prefix of all keys; default `sluice`. */
  readonly prefix?: string
  /**
   * How long a permit may lie unused at most, the way to Redis and back included; mostly it is less, see
   * LeaseLife. Default 50 ms.
   */
  readonly leaseLifeMs?: number
  /** Called once each time that Redis may have forgotten something, and again when the wait gets shorter. */
  readonly onForgotten?: (forgotten: Forgotten) => void
  /** How far the clock of the limits is ahead of the server's, in ms. For tests that do not want to wait. */
  readonly clockOffsetMs?: () => number
}

/** Enough for a process that is not busy, near its Redis. */
const LEAST_LIFE_MS = 15
/** How soon to look again for slots that other processes may give back. */
const SLOT_POLL_MS = 25
/** How soon to state again what this process holds, if the last statement got no answer. */
const RECONCILE_EVERY_MS = 250
/** Ends of a wait that lie so close together count as the same, since clocks differ a little. */
const SAME_END_MS = 2_000
const LEASE = /^([0-9a-f]+)-(\d+)@(.*)$/s

const SCRIPTS = {
  take: redisScript(TAKE),
  giveBack: redisScript(GIVE_BACK),
  reconcile: redisScript(RECONCILE),
  pause: redisScript(PAUSE),
  standBy: redisScript(STAND_BY),
  leave: redisScript(LEAVE),
  tell: redisScript(TELL),
}

/** One destination, as this process knows it. */
interface Destination {
  readonly name: string
  /** The mark of its keys as they were last seen: which server has them, and since when. */
  seen: string
  /** The number of the last grant that was seen there. */
  seq: number
  /** True if a window is so long that this process has to vouch after a restart of Redis. */
  isLong: boolean
  readonly book: LeaseBook
  /** What came back, and is not told yet. */
  readonly returns: ReturningLeases
  /** Takes under way. */
  taking: number
  readonly evidence: EvidenceBook
  /** The end of the wait for forgotten grants (ms), as it was last reported; 0 if there is no wait. */
  toldUntilMs: number
  /** Set while this process states what it holds, until the server has answered. */
  reconciling: Promise<void> | null
}

/**
 * Opens the budget. The connection comes up by itself, and calls wait for it as long as a command may take.
 * Throws `config` for a wrong URL.
 */
export function createRedisRateLimit(options: RedisRateLimitOptions): RateLimit & LimitUsage {
  return new RedisRateLimit(options)
}

class RedisRateLimit implements RateLimit, LimitUsage {
  readonly #redis: RedisConnection
  readonly #prefix: string
  readonly #life: LeaseLife
  readonly #clockOffsetMs: () => number
  readonly #onForgotten: (forgotten: Forgotten) => void
  readonly #instance = randomBytes(8).toString('hex')
  readonly #destinations = new Map<string, Destination>()
  readonly #tellings = new Map<string, Promise<void>>()
  readonly #closing = new AbortController()
  readonly #standingBy: NodeJS.Timeout

  constructor(options: RedisRateLimitOptions) {
    this.#prefix = options.prefix ?? 'sluice'
    this.#life = new LeaseLife({ leastMs: LEAST_LIFE_MS, mostMs: options.leaseLifeMs ?? 50 })
    this.#clockOffsetMs = options.clockOffsetMs ?? (() => 0)
    this.#onForgotten = options.onForgotten ?? (() => {})
    this.#redis = connectRedis(options)
    this.#standingBy = setInterval(() => this.#standBy(), STAND_BY_EVERY_MS)
    this.#standingBy.unref()
  }

  get trouble(): SluiceError | null {
    return this.#redis.trouble
  }

  async take(request: TakeRequest): Promise<Grant> {
    request.signal.throwIfAborted()
    checkTake(request)
    const destination = this.#destination(request.scopes[0]?.name ?? '')
    const { book } = destination
    // On the same connection it comes before the take, which then finds all returned slots free.
    if (book.isInDoubt) void this.#state(destination).catch(() => undefined)
    const number = book.begin()
    const lease = `${this.#instance}-${number}@${destination.name}`
    // Counted from before the call, so that it is never later than the server's own time.
    const lifeMs = Math.ceil(this.#life.ms)
    const useBeforeMs = elapsedMs() + lifeMs
    const argument = this.#takeArgument(request, { destination, number, lease, lifeMs })
    // The server hears of evidence before it is asked, and of returns with the take.
    if (this.#tellings.has(destination.name)) void this.#sendEvidence(destination)
    const returned = destination.returns.leave()
    destination.taking += 1
    try {
      const taking = this.#run(SCRIPTS.take, destination.name, [argument, ...returned.args])
      const { what, value, leftMs, more } = notedReply(destination, await abortable(taking, request))
      returned.arrived()
      if (what === 'granted') {
        book.granted(number, value)
        destination.toldUntilMs = 0
        const flags = Number(more)
        if (flags >= DOUBTED) destination.evidence.doubted()
        return { kind: 'granted', lease, permits: value, useBeforeMs, isProbe: flags % DOUBTED === 1 }
      }
      book.refused(number)
      this.#tellForgotten(destination, { forgotten: what === 'forgotten', waitMs: value, leftMs })
      return {
        kind: 'wait',
        waitMs: value,
        leftMs,
        reason: what,
        broken: what === 'broken' ? brokenOf(more) : null,
      }
    } catch (error) {
      book.lost(number)
      returned.lost()
      this.#reconcile(destination)
      throw error
    } finally {
      destination.taking -= 1
      if (!destination.returns.isEmpty) this.#planReturns(destination)
    }
  }

  /** What comes back travels with the next take, or alone if none follows soon. */
  async giveBack(lease: string, parts: ReturnedParts): Promise<void> {
    checkParts(parts)
    this.#life.cameBack(parts)
    const [, instance, number, name] = LEASE.exec(lease) ?? []
    if (instance !== this.#instance || name === undefined) return
    const destination = this.#destination(name)
    const take = Number(number)
    if (!destination.book.giveBack(take, parts)) return
    if (destination.returns.isEmpty) this.#planReturns(destination)
    await destination.returns.add(take)
  }

  /** Whoever waits for what came back takes in the next turn of the event loop. */
  #planReturns(destination: Destination): void {
    setImmediate(() =>
      setImmediate(() => {
        // A take that waits for its answer is mostly followed by another one.
        if (destination.taking === 0) void this.#sendReturns(destination)
      }),
    )
  }

  async pause(scope: string, forMs: number): Promise<void> {
    if (Number.isNaN(forMs)) throw new SluiceError('internal', 'a pause wants a time')
    const ms = Math.min(forMs, MAX_PAUSE_MS)
    await this.#run(SCRIPTS.pause, scope, [scope, String(ms), String(this.#clockOffsetMs())])
  }

  async slotsTaken(destination: string): Promise<number | null> {
    const args = [destination, String(this.#clockOffsetMs())]
    return slotsOf(await this.#run(COUNT_SLOTS, destination, args))
  }

  /** What comes within a turn of the event loop travels together. */
  async tell(name: string, evidence: Evidence): Promise<void> {
    const destination = this.#destination(name)
    const { evidence: book } = destination
    if (!book.note(evidence)) return
    let done = this.#tellings.get(name)
    if (done === undefined) {
      const { promise: turn, resolve } = Promise.withResolvers<void>()
      setImmediate(resolve)
      done = turn.then(() => this.#sendEvidence(destination))
      this.#tellings.set(name, done)
    }
    await done
  }

  async #sendEvidence({ name, evidence: book }: Destination): Promise<void> {
    this.#tellings.delete(name)
    for (const statement of book.statements()) {
      const said = { ...statement, instance: this.#instance, offset: this.#clockOffsetMs() }
      await this.#run(SCRIPTS.tell, name, [JSON.stringify(said)]).catch(() => book.doubted())
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return
    const returning = [...this.#destinations.values()].map(destination => this.#sendReturns(destination))
    await Promise.allSettled([...returning, ...this.#tellings.values()])
    this.#closing.abort(new SluiceError('aborted', 'the limits are closed'))
    clearInterval(this.#standingBy)
    const inDoubt = [...this.#destinations.values()].filter(({ book }) => book.isInDoubt)
    await Promise.allSettled(inDoubt.map(destination => this.#state(destination)))
    const long = [...this.#destinations.values()].filter(({ isLong }) => isLong)
    await Promise.allSettled(long.map(({ name }) => this.#run(SCRIPTS.leave, name, [this.#instance])))
    await this.#redis[Symbol.asyncDispose]()
  }

  #tellForgotten(
    destination: Destination,
    of: { readonly forgotten: boolean; readonly waitMs: number; readonly leftMs: number },
  ): void {
    const { waitMs, leftMs } = of
    if (!of.forgotten) return
    const untilMs = performance.now() + leftMs
    if (Math.abs(untilMs - destination.toldUntilMs) < SAME_END_MS) return
    destination.toldUntilMs = untilMs
    this.#onForgotten({ destination: destination.name, leftMs, mayBeLess: waitMs < leftMs })
  }

  #destination(name: string): Destination {
    let known = this.#destinations.get(name)
    if (known === undefined) {
      const book = new LeaseBook(this.#instance)
      known = {
        name,
        seen: '',
        seq: 0,
        isLong: false,
        book,
        returns: new ReturningLeases(book, take => `${this.#instance}-${take}@${name}`),
        taking: 0,
        evidence: new EvidenceBook(),
        toldUntilMs: 0,
        reconciling: null,
      }
      this.#destinations.set(name, known)
    }
    return known
  }

  #takeArgument(
    request: TakeRequest,
    of: {
      readonly destination: Destination
      readonly number: number
      readonly lease: string
      readonly lifeMs: number
    },
  ): string {
    const { scopes, owner, want, slotLifeMs, breaker, line = '', shared = false } = request
    if (scopes.some(({ rates }) => rates.some(({ windowMs }) => windowMs > LONG_MS)))
      of.destination.isLong = true
    return JSON.stringify({
      scopes,
      partition: owner.partition,
      marker: owner.marker,
      want,
      line,
      shared,
      breaker,
      slotLife: slotLifeMs,
      leaseLife: of.lifeMs,
      longestLife: this.#life.mostMs,
      instance: this.#instance,
      number: of.number,
      lease: of.lease,
      seen: of.destination.seen,
      seq: of.destination.seq,
      poll: SLOT_POLL_MS,
      offset: this.#clockOffsetMs(),
    })
  }

  async #sendReturns(destination: Destination): Promise<void> {
    if (destination.returns.isEmpty) return
    const returned = destination.returns.leave()
    try {
      await this.#run(SCRIPTS.giveBack, destination.name, returned.args)
      returned.arrived()
    } catch {
      returned.lost()
      this.#reconcile(destination)
    }
  }

  /** States what this process holds, again and again, until the server knows it. */
  #reconcile(destination: Destination): void {
    const { signal } = this.#closing
    if (destination.reconciling !== null || signal.aborted) return
    const reconcile = async (): Promise<void> => {
      while (destination.book.isInDoubt && !signal.aborted) {
        await this.#state(destination).catch(() => undefined)
        if (destination.book.isInDoubt) await sleep(RECONCILE_EVERY_MS, { signal }).catch(() => undefined)
      }
    }
    destination.reconciling = reconcile().finally(() => (destination.reconciling = null))
  }

  async #state({ name, book }: Destination): Promise<void> {
    const { statement, noted } = book.state()
    await this.#run(SCRIPTS.reconcile, name, [JSON.stringify(statement)])
    noted()
  }

  /**
   * Shows this process though it has nothing to take now, so that others know after a restart whom to wait
   * for.
   */
  #standBy(): void {
    for (const destination of this.#destinations.values()) {
      if (!destination.isLong) continue
      const { name, seen, seq } = destination
      const said = { instance: this.#instance, seen, seq, offset: this.#clockOffsetMs() }
      this.#run(SCRIPTS.standBy, name, [JSON.stringify(said)]).then(
        reply => notedReply(destination, reply),
        () => undefined,
      )
    }
  }

  #run(script: RedisScript, destination: string, args: readonly string[]): Promise<unknown> {
    return this.#redis.run(script, limitsKey(this.#prefix, destination), args)
  }
}

/** Some hundred years in milliseconds. */
const MAX_PLAUSIBLE = 4e12
/** A wait may be over by the time at which it is told. */
const CLOCKS_DIFFER_MS = 1_000
const REPLIES = [
  ...(['granted', 'rate', 'concurrency', 'paused', 'newcomer'] as const),
  ...(['forgotten', 'superseded', 'broken'] as const),
] as const
/** The flag of a grant for a destination of which some process has seen failures. */
const DOUBTED = 2

/** Permits, or milliseconds of a wait: none is longer than a window may be. */
function isPlausible(value: unknown): value is number {
  return typeof value === 'number' && value >= -CLOCKS_DIFFER_MS && value <= MAX_PLAUSIBLE
}

/** Reads an answer, and notes in it what this process has seen of the destination. */
function notedReply(
  destination: Destination,
  reply: unknown,
): {
  readonly what: (typeof REPLIES)[number]
  readonly value: number
  readonly leftMs: number
  readonly more: unknown
} {
  const [mark, word, value, seq, leftMs = value, more = 0] = Array.isArray(reply) ? (reply as unknown[]) : []
  const what = REPLIES.find(known => known === word)
  const isWhole = typeof mark === 'string' && typeof value === 'number' && typeof seq === 'number'
  if (!isWhole || what === undefined || !isPlausible(value) || !isPlausible(leftMs)) throw implausible(reply)
  destination.seen = mark
  destination.seq = seq
  return { what, value, leftMs, more }
}

function brokenOf(text: unknown): Broken {
  const [openedAt = NaN, failures = NaN, failedProbes = NaN, ago = NaN] = String(text).split(' ').map(Number)
  if (![openedAt, failures, failedProbes, ago].every(Number.isFinite)) throw implausible(text)
  return { openedAt, failures, failedProbes, lastProbeMsAgo: ago < 0 ? null : ago }
}

function implausible(reply: unknown): SluiceError {
  const message = `The limits in Redis hold what no process of Sluice writes: their script gave ${JSON.stringify(reply)}.`
  return new SluiceError('unreachable', message, { retryable: true })
}
