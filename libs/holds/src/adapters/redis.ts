/**
 * Holds shared by processes, in Redis: a key with the holder's token, which expires unless it is renewed (the
 * lock of https://redis.io/docs/latest/commands/set/#patterns). After a Redis that forgot everything, a
 * holder takes its name back if nobody else was faster.
 */
import { randomUUID } from 'node:crypto'
import { Redis, ReplyError } from 'ioredis'
import { SluiceError } from '@sluice/contracts/errors'
import { abortable } from '@sluice/flow/abortable'
import { sleep } from '@sluice/flow/sleep'
import type { Hold, Holds } from '../port.ts'

export interface RedisHoldsOptions {
  /** `redis://` or `rediss://`, with user, password and database as usual. */
  readonly url: string
  /** PEM text of the authority that signed the server's certificate. */
  readonly ca?: string
  /** Of all keys; default `sluice`. */
  readonly prefix?: string
  /** How long a hold outlives its holder; default 5 s. It is renewed five times in that time. */
  readonly lifeMs?: number
  /** How long a command may take, reconnecting included, before it is `unreachable`; default 3 s. */
  readonly commandTimeoutMs?: number
  /** Told of errors of the connection, which is opened again by itself. */
  readonly onConnectionError?: (error: Error) => void
}

const RENEWALS_PER_LIFE = 5
/** How soon to look again whether a name is free. */
const POLL_MS = 100
const MAX_RECONNECT_DELAY_MS = 1_000

/**
 * KEYS: the name. ARGV: token, life (ms). Gives 1 if the token has the name from now on, 0 if another has it.
 */
const RENEW = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`

/** KEYS: the name. ARGV: token. */
const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`

/**
 * Opens the holds; the connection comes up by itself, and calls wait for it as long as a command may take.
 */
export function createRedisHolds(options: RedisHoldsOptions): Holds {
  return new RedisHolds(options)
}

class RedisHolds implements Holds {
  readonly #redis: Redis
  readonly #prefix: string
  readonly #lifeMs: number
  readonly #holds = new Set<RedisHold>()
  readonly #closing = new AbortController()
  readonly #renewals: NodeJS.Timeout

  constructor(options: RedisHoldsOptions) {
    this.#prefix = options.prefix ?? 'sluice'
    this.#lifeMs = options.lifeMs ?? 5_000
    this.#redis = connect(options)
    this.#renewals = setInterval(() => {
      for (const hold of this.#holds) void this.#renew(hold)
    }, this.#lifeMs / RENEWALS_PER_LIFE)
  }

  async acquire(name: string, options: { signal: AbortSignal }): Promise<Hold> {
    const key = `${this.#prefix}:hold:${name}`
    const token = randomUUID()
    const signal = AbortSignal.any([options.signal, this.#closing.signal])
    for (;;) {
      signal.throwIfAborted()
      const sentMs = performance.now()
      const taking = this.#ask(() => this.#redis.set(key, token, 'PX', this.#lifeMs, 'NX'))
      const reply = await abortable(taking, { signal }).catch((error: unknown) => {
        // It may have been given meanwhile; nobody must wait for it to expire.
        if (signal.aborted) void this.#release(key, token)
        throw error
      })
      if (reply === 'OK') {
        const hold = new RedisHold({ key, token, heldUntilMs: sentMs + this.#lifeMs }, ended =>
          this.#end(ended),
        )
        this.#holds.add(hold)
        return hold
      }
      await sleep(POLL_MS, { signal })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort(new SluiceError('aborted', 'the holds are closed'))
    clearInterval(this.#renewals)
    await Promise.all([...this.#holds].map(hold => hold[Symbol.asyncDispose]()))
    await this.#redis.quit().catch(() => this.#redis.disconnect())
  }

  async #renew(hold: RedisHold): Promise<void> {
    const { key, token } = hold.of
    const sentMs = performance.now()
    try {
      const reply = await this.#redis.eval(RENEW, 1, key, token, this.#lifeMs)
      if (reply === 1) hold.renewed(sentMs + this.#lifeMs)
      else hold.lost()
    } catch {
      // It stays doubtful until a renewal succeeds.
    }
    if (hold.isLost) this.#holds.delete(hold)
  }

  async #end(hold: RedisHold): Promise<void> {
    this.#holds.delete(hold)
    if (!hold.isLost) await this.#release(hold.of.key, hold.of.token)
  }

  /** What cannot be released expires by itself. */
  async #release(key: string, token: string): Promise<void> {
    await this.#redis.eval(RELEASE, 1, key, token).catch(() => undefined)
  }

  async #ask<T>(command: () => Promise<T>): Promise<T> {
    try {
      return await command()
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause)
      const { host, port } = this.#redis.options
      const where = `${host ?? 'localhost'}:${port ?? 6379}`
      if (cause instanceof ReplyError && /NOAUTH|WRONGPASS|NOPERM/.test(message))
        throw new SluiceError('config', `Redis at ${where} denies access: ${message}`, { cause })
      throw new SluiceError('unreachable', `Redis at ${where} does not answer: ${message}`, {
        cause,
        retryable: true,
      })
    }
  }
}

class RedisHold implements Hold {
  readonly of: { readonly key: string; readonly token: string }
  readonly #onEnd: (hold: RedisHold) => Promise<void>
  #heldUntilMs: number
  #state: 'held' | 'lost' | 'released' = 'held'

  constructor(
    of: { readonly key: string; readonly token: string; readonly heldUntilMs: number },
    onEnd: (hold: RedisHold) => Promise<void>,
  ) {
    this.of = of
    this.#heldUntilMs = of.heldUntilMs
    this.#onEnd = onEnd
  }

  get held(): boolean {
    return this.#state === 'held' && performance.now() < this.#heldUntilMs
  }

  get isLost(): boolean {
    return this.#state === 'lost'
  }

  renewed(untilMs: number): void {
    this.#heldUntilMs = untilMs
  }

  lost(): void {
    if (this.#state === 'held') this.#state = 'lost'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'released') return
    const ending = this.#onEnd(this)
    this.#state = 'released'
    await ending
  }
}

function connect(options: RedisHoldsOptions): Redis {
  if (!/^rediss?:\/\//.test(options.url))
    throw new SluiceError('config', 'SLUICE_REDIS_URL has to start with redis:// or rediss://')
  const { commandTimeoutMs = 3_000 } = options
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
