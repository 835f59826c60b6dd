/**
 * The budget of destinations shared by processes, in Redis. Every step is one Lua script on the server's
 * clock (redis-scripts.ts), so instances need no clocks that agree. It forgets nothing that matters when
 * Redis does: after a restart, a failover or a flush it grants nothing until all that may have been forgotten
 * has run out.
 */
import { createHash, randomUUID } from 'node:crypto'
import { Redis, ReplyError } from 'ioredis'
import { SluiceError } from '@sluice/contracts/errors'
import { abortable } from '@sluice/flow/abortable'
import { checkParts, checkTake } from './checks.ts'
import { GIVE_BACK, PAUSE, TAKE } from './redis-scripts.ts'
import { LONGEST_PAUSE_MS } from '../port.ts'
import type { Grant, RateLimit, TakeRequest } from '../port.ts'

export interface RedisRateLimitOptions {
  /** `redis://` or `rediss://`, with user, password and database as usual. */
  readonly url: string
  /** PEM text of the authority that signed the server's certificate. */
  readonly ca?: string
  /** Of all keys; default `sluice`. */
  readonly prefix?: string
  /** How long a permit may lie unused, the way to Redis and back included. Default 50 ms. */
  readonly leaseLifeMs?: number
  /** How long a command may take, reconnecting included, before it is `unreachable`. Default 3 s. */
  readonly commandTimeoutMs?: number
  /** Told of errors of the connection, which is opened again by itself. */
  readonly onConnectionError?: (error: Error) => void
  /** How far the limits' clock is ahead of the server's, in ms: for tests that do not want to wait. */
  readonly clockOffsetMs?: () => number
}

const MAX_RECONNECT_DELAY_MS = 1000
/** How soon to look again for slots that other processes may give back. */
const SLOT_POLL_MS = 25
/** Between a lease's own id and the destination whose keys it is under. */
const LEASE_SEPARATOR = '@'

interface Script {
  readonly text: string
  readonly sha: string
}
const scriptOf = (text: string): Script => ({ text, sha: createHash('sha1').update(text).digest('hex') })
const SCRIPTS = { take: scriptOf(TAKE), giveBack: scriptOf(GIVE_BACK), pause: scriptOf(PAUSE) }

interface PendingReturn {
  unused: number
  finished: number
  readonly done: Promise<void>
}

/**
 * Opens the budget; the connection comes up by itself, and calls wait for it as long as a command may take.
 */
export function createRedisRateLimit(options: RedisRateLimitOptions): RateLimit {
  return new RedisRateLimit(options)
}

class RedisRateLimit implements RateLimit {
  readonly #redis: Redis
  readonly #prefix: string
  readonly #leaseLifeMs: number
  readonly #clockOffsetMs: () => number
  readonly #leasePrefix = randomUUID().slice(0, 8)
  #lastLease = 0
  /** The mark of each destination's keys as they were last seen: of which server, and since when. */
  readonly #seen = new Map<string, string>()
  readonly #returns = new Map<string, PendingReturn>()
  #closed = false

  constructor(options: RedisRateLimitOptions) {
    this.#prefix = options.prefix ?? 'sluice'
    this.#leaseLifeMs = options.leaseLifeMs ?? 50
    this.#clockOffsetMs = options.clockOffsetMs ?? (() => 0)
    this.#redis = connect(options)
  }

  async take(request: TakeRequest): Promise<Grant> {
    request.signal.throwIfAborted()
    checkTake(request)
    const destination = request.scopes[0]?.name ?? ''
    this.#lastLease += 1
    const lease = `${this.#leasePrefix}-${this.#lastLease}${LEASE_SEPARATOR}${destination}`
    // From before the question, so that it is never later than the server's own reckoning.
    const useBeforeMs = performance.now() + this.#leaseLifeMs
    const taking = this.#run(SCRIPTS.take, destination, [this.#takeArgument(request, destination, lease)])
    try {
      const [mark, what, value] = takeReply(await abortable(taking, request))
      this.#seen.set(destination, mark)
      if (what === 'granted') return { kind: 'granted', lease, permits: value, useBeforeMs }
      return { kind: 'wait', waitMs: value, reason: what }
    } catch (error) {
      if (request.signal.aborted) void this.#returnWhenGranted(taking, lease)
      throw error
    }
  }

  /** Returns of one lease within a turn of the event loop travel together. */
  giveBack(lease: string, parts: { readonly unused: number; readonly finished: number }): Promise<void> {
    try {
      checkParts(parts)
    } catch (error) {
      return Promise.reject(error)
    }
    const pending = this.#returns.get(lease)
    if (pending !== undefined) {
      pending.unused += parts.unused
      pending.finished += parts.finished
      return pending.done
    }
    const { promise: turn, resolve } = Promise.withResolvers<void>()
    setImmediate(resolve)
    const done = turn.then(() => this.#sendReturn(lease))
    this.#returns.set(lease, { ...parts, done })
    return done
  }

  async pause(scope: string, forMs: number): Promise<void> {
    if (Number.isNaN(forMs)) throw new SluiceError('internal', 'a pause wants a time')
    const ms = Math.min(forMs, LONGEST_PAUSE_MS)
    await this.#run(SCRIPTS.pause, scope, [scope, String(ms), String(this.#clockOffsetMs())])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.allSettled([...this.#returns.values()].map(({ done }) => done))
    await this.#redis.quit().catch(() => this.#redis.disconnect())
  }

  #takeArgument(request: TakeRequest, destination: string, lease: string): string {
    const { scopes, holder, want, slotLifeMs } = request
    return JSON.stringify({
      scopes,
      partition: holder.partition,
      marker: holder.marker,
      want,
      slotLife: slotLifeMs,
      leaseLife: this.#leaseLifeMs,
      lease,
      seen: this.#seen.get(destination) ?? '',
      poll: SLOT_POLL_MS,
      offset: this.#clockOffsetMs(),
    })
  }

  /** The answer to a take whose caller has gone. */
  async #returnWhenGranted(taking: Promise<unknown>, lease: string): Promise<void> {
    try {
      const [, what, permits] = takeReply(await taking)
      if (what === 'granted') await this.giveBack(lease, { unused: permits, finished: 0 })
    } catch {
      // A lease that cannot be given back expires by itself.
    }
  }

  async #sendReturn(lease: string): Promise<void> {
    const parts = this.#returns.get(lease)
    this.#returns.delete(lease)
    const separator = lease.indexOf(LEASE_SEPARATOR)
    if (parts === undefined || separator === -1) return
    const { unused, finished } = parts
    const open = Number(
      await this.#run(SCRIPTS.giveBack, lease.slice(separator + 1), [
        lease,
        String(unused),
        String(finished),
      ]),
    )
    if (open === -1 || unused + finished <= open) return
    throw new SluiceError('internal', `lease ${lease} has ${open} requests left, not ${unused + finished}`)
  }

  async #run(script: Script, destination: string, args: readonly string[]): Promise<unknown> {
    const base = `${this.#prefix}:limits:{${destination}}`
    try {
      return await this.#redis.evalsha(script.sha, 1, base, ...args)
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw this.#translated(error)
    }
    try {
      return await this.#redis.eval(script.text, 1, base, ...args)
    } catch (error) {
      throw this.#translated(error)
    }
  }

  #translated(cause: unknown): SluiceError {
    const message = cause instanceof Error ? cause.message : String(cause)
    const isBug = cause instanceof ReplyError && /script|user_script/i.test(message)
    if (isBug) return new SluiceError('internal', `the limits' script failed: ${message}`, { cause })
    const { host, port } = this.#redis.options
    const where = `${host ?? 'localhost'}:${port ?? 6379}`
    return new SluiceError('unreachable', `Redis at ${where} does not answer: ${message}`, {
      cause,
      retryable: true,
    })
  }
}

function connect(options: RedisRateLimitOptions): Redis {
  if (!/^rediss?:\/\//.test(options.url)) {
    throw new SluiceError('config', 'SLUICE_REDIS_URL has to start with redis:// or rediss://')
  }
  const { commandTimeoutMs = 3000 } = options
  const redis = new Redis(options.url, {
    commandTimeout: commandTimeoutMs,
    connectTimeout: commandTimeoutMs,
    maxRetriesPerRequest: null,
    retryStrategy: attempt => Math.min(attempt * 50, MAX_RECONNECT_DELAY_MS),
    ...(options.ca === undefined ? {} : { tls: { ca: options.ca } }),
  })
  redis.on('error', (error: Error) => options.onConnectionError?.(error))
  return redis
}

type TakeReply = [
  mark: string,
  what: 'granted' | 'rate' | 'concurrency' | 'paused' | 'superseded',
  value: number,
]
const REPLIES = ['granted', 'rate', 'concurrency', 'paused', 'superseded'] as const

function takeReply(reply: unknown): TakeReply {
  const [mark, word, value] = Array.isArray(reply) ? (reply as unknown[]) : []
  const what = REPLIES.find(known => known === word)
  if (typeof mark !== 'string' || what === undefined || typeof value !== 'number') {
    throw new SluiceError('internal', `the limits' script gave ${JSON.stringify(reply)}`)
  }
  return [mark, what, value]
}
