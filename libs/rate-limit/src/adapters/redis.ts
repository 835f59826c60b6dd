/**
 * The budget of destinations that processes share, in Redis. Every step is one Lua script on the server's
 * clock (redis-scripts.ts), so the clocks of processes need not agree. The limits hold even if Redis forgets:
 * after a restart, a failover or a flush it grants nothing until all grants that it may have forgotten have
 * expired. No slot is lost with an answer: see lease-book.ts.
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
import {
  MAX_PAUSE_MS,
  type Broken,
  type Evidence,
  type Forgotten,
  type Grant,
  type LimitUsage,
  type RateLimit,
  type ReturnedParts,
  type TakeRequest,
} from '../port.ts'
import { COUNT_SLOTS, limitsKey, slotsOf } from './redis-usage.ts'

export interface RedisRateLimitOptions extends RedisConnectionOptions {
  /** The prefix of all keys; default `sluice`. */
  readonly prefix?: string
  /**
   * The longest time for which a permit may stay unused, the way to Redis and back included; see LeaseLife.
   * Default 50 ms.
   */
  readonly leaseLifeMs?: number
  /** Called once each time Redis may have forgotten something, and again when the wait gets shorter. */
  readonly onForgotten?: (forgotten: Forgotten) => void
  /**
   * The time by which the clock of the limits is ahead of the server's, in ms, for tests that do not wait.
   */
  readonly clockOffsetMs?: () => number
}

/** The shortest life of a permit. It is enough for a process that is not busy and near its Redis. */
const LEAST_LIFE_MS = 15
/** After this time a process looks again for slots that others may give back. */
const SLOT_POLL_MS = 25
/** After this time the statement of leases is sent again, if the last one got no answer. */
const RECONCILE_EVERY_MS = 250
/** Two ends of a wait within this time count as the same, since clocks differ a little. */
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
  /** The last seen mark of its keys: their server, and when they were begun. */
  seen: string
  /** The number of the last grant that was seen there. */
  seq: number
  /** True if a window is so long that this process has to vouch after a restart of Redis. */
  isLong: boolean
  readonly book: LeaseBook
  /** The returned parts that the server does not know yet. */
  readonly returns: ReturningLeases
  /** The number of takes under way. */
  taking: number
  readonly evidence: EvidenceBook
  /** The last reported end of the wait for forgotten grants (ms); 0 if there is no wait. */
  reportedUntilMs: number
  /** Set while this process sends its statement of leases, until the server has answered. */
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
  readonly #reports = new Map<string, Promise<void>>()
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
    // The statement reaches the server before the take, on the same connection. So the take sees all returned
    // slots free.
    if (book.isUncertain) void this.#state(destination).catch(() => undefined)
    const number = book.begin()
    const lease = `${this.#instance}-${number}@${destination.name}`
    // The life counts from before the call, so that it never ends later than on the server's clock.
    const lifeMs = Math.ceil(this.#life.ms)
    const useBeforeMs = elapsedMs() + lifeMs
    const argument = this.#takeArgument(request, { destination, number, lease, lifeMs })
    // Evidence reaches the server before the take, and returns go with it.
    if (this.#reports.has(destination.name)) void this.#sendEvidence(destination)
    const returned = destination.returns.leave()
    destination.taking += 1
    try {
      const taking = this.#run(SCRIPTS.take, destination.name, [argument, ...returned.args])
      const { what, value, leftMs, more } = notedReply(destination, await abortable(taking, request))
      returned.arrived()
      if (what === 'granted') {
        book.granted(number, value)
        destination.reportedUntilMs = 0
        const flags = Number(more)
        if (flags >= OTHERS_FAILED) destination.evidence.failuresSeen()
        return { kind: 'granted', lease, permits: value, useBeforeMs, isProbe: flags % OTHERS_FAILED === 1 }
      }
      book.refused(number)
      this.#reportForgotten(destination, { forgotten: what === 'forgotten', waitMs: value, leftMs })
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

  /** Returned parts go with the next take, or alone if none follows soon. */
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

  /**
   * Waits two turns of the event loop. A request that waits for the returned parts takes in the next turn,
   * and its take carries them.
   */
  #planReturns(destination: Destination): void {
    setImmediate(() =>
      setImmediate(() => {
        // While a take waits for its answer, another one mostly follows it, and carries the parts.
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

  /** Evidence of one turn of the event loop goes together. */
  async report(name: string, evidence: Evidence): Promise<void> {
    const destination = this.#destination(name)
    const { evidence: book } = destination
    if (!book.note(evidence)) return
    let done = this.#reports.get(name)
    if (done === undefined) {
      const { promise: turn, resolve } = Promise.withResolvers<void>()
      setImmediate(resolve)
      done = turn.then(() => this.#sendEvidence(destination))
      this.#reports.set(name, done)
    }
    await done
  }

  async #sendEvidence({ name, evidence: book }: Destination): Promise<void> {
    this.#reports.delete(name)
    for (const statement of book.statements()) {
      const said = { ...statement, instance: this.#instance, offset: this.#clockOffsetMs() }
      await this.#run(SCRIPTS.tell, name, [JSON.stringify(said)]).catch(() => book.failuresSeen())
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return
    const returning = [...this.#destinations.values()].map(destination => this.#sendReturns(destination))
    await Promise.allSettled([...returning, ...this.#reports.values()])
    this.#closing.abort(new SluiceError('aborted', 'the limits are closed'))
    clearInterval(this.#standingBy)
    const uncertain = [...this.#destinations.values()].filter(({ book }) => book.isUncertain)
    await Promise.allSettled(uncertain.map(destination => this.#state(destination)))
    const long = [...this.#destinations.values()].filter(({ isLong }) => isLong)
    await Promise.allSettled(long.map(({ name }) => this.#run(SCRIPTS.leave, name, [this.#instance])))
    await this.#redis[Symbol.asyncDispose]()
  }

  #reportForgotten(
    destination: Destination,
    {
      forgotten,
      waitMs,
      leftMs,
    }: { readonly forgotten: boolean; readonly waitMs: number; readonly leftMs: number },
  ): void {
    if (!forgotten) return
    const untilMs = performance.now() + leftMs
    if (Math.abs(untilMs - destination.reportedUntilMs) < SAME_END_MS) return
    destination.reportedUntilMs = untilMs
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
        reportedUntilMs: 0,
        reconciling: null,
      }
      this.#destinations.set(name, known)
    }
    return known
  }

  #takeArgument(
    request: TakeRequest,
    {
      destination,
      number,
      lease,
      lifeMs,
    }: {
      readonly destination: Destination
      readonly number: number
      readonly lease: string
      readonly lifeMs: number
    },
  ): string {
    const { scopes, owner, want, slotLifeMs, breaker, line = '', shared = false } = request
    if (scopes.some(({ rates }) => rates.some(({ windowMs }) => windowMs > LONG_MS)))
      destination.isLong = true
    return JSON.stringify({
      scopes,
      partition: owner.partition,
      marker: owner.marker,
      want,
      line,
      shared,
      breaker,
      slotLife: slotLifeMs,
      leaseLife: lifeMs,
      longestLife: this.#life.mostMs,
      instance: this.#instance,
      number,
      lease,
      seen: destination.seen,
      seq: destination.seq,
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

  /** Sends the statement of leases again and again, until the server has it. */
  #reconcile(destination: Destination): void {
    const { signal } = this.#closing
    if (destination.reconciling !== null || signal.aborted) return
    const reconcile = async (): Promise<void> => {
      while (destination.book.isUncertain && !signal.aborted) {
        await this.#state(destination).catch(() => undefined)
        if (destination.book.isUncertain) await sleep(RECONCILE_EVERY_MS, { signal }).catch(() => undefined)
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
   * Shows that this process exists, even if it takes nothing now. After a restart, others wait until all
   * existing processes have vouched.
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
/** A wait may be over before the answer with it arrives. */
const CLOCKS_DIFFER_MS = 1_000
const REPLIES = [
  ...(['granted', 'rate', 'concurrency', 'paused', 'newcomer'] as const),
  ...(['forgotten', 'superseded', 'broken'] as const),
] as const
/** The flag of a grant for a destination at which some process has seen failures. */
const OTHERS_FAILED = 2

/**
 * True for a plausible number of permits, or of milliseconds of a wait, which is at most the longest window.
 */
function isPlausible(value: unknown): value is number {
  return typeof value === 'number' && value >= -CLOCKS_DIFFER_MS && value <= MAX_PLAUSIBLE
}

/** Reads an answer, and notes the mark and number that it has of the destination. */
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
