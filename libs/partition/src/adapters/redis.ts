/**
 * Locks that processes share, in Redis: a key with the owner's token, which expires unless it is renewed (the
 * lock of https://redis.io/docs/latest/commands/set/#patterns). If Redis has forgotten everything, an owner
 * takes its name back, unless another process was faster.
 */
import { randomUUID } from 'node:crypto'
import { SluiceError } from '@sluice/contracts/errors'
import { abortable } from '@sluice/flow/abortable'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import { sleep } from '@sluice/flow/sleep'
import {
  connectRedis,
  redisScript,
  type RedisConnection,
  type RedisConnectionOptions,
} from '@sluice/redis/redis-connection'
import type { Lock, Locks } from '../port.ts'

export interface RedisLocksOptions extends RedisConnectionOptions {
  /** The prefix of all keys; default `sluice`. */
  readonly prefix?: string
  /** A lock outlives its owner for this time; default 5 s. It is renewed five times in that time. */
  readonly lifeMs?: number
}

const RENEWALS_PER_LIFE = 5
/** After this time the lock looks again whether a name is free. */
const POLL_MS = 100

/**
 * KEYS: the name. ARGV: token, life (ms). Gives 1 if the token has the name from now on, 0 if another has it.
 * It takes a free name and renews the owner's. An owner that got no answer may ask again.
 */
const LOCK = redisScript(`
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`)

/** KEYS: the name. ARGV: token. */
const RELEASE = redisScript(
  `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`,
)

/**
 * Opens the locks without waiting for the connection. Later calls wait for it, at most for the time-out of a
 * command. Throws `config` for a wrong URL.
 */
export function createRedisLocks(options: RedisLocksOptions): Locks {
  return new RedisLocks(options)
}

class RedisLocks implements Locks {
  readonly #redis: RedisConnection
  readonly #prefix: string
  readonly #lifeMs: number
  readonly #locks = new Set<RedisLock>()
  readonly #closing = new AbortController()
  readonly #renewals: NodeJS.Timeout

  constructor(options: RedisLocksOptions) {
    this.#prefix = options.prefix ?? 'sluice'
    this.#lifeMs = options.lifeMs ?? 5_000
    this.#redis = connectRedis(options)
    this.#renewals = setInterval(() => {
      for (const lock of this.#locks) void this.#renew(lock)
    }, this.#lifeMs / RENEWALS_PER_LIFE)
  }

  get trouble(): SluiceError | null {
    return this.#redis.trouble
  }

  async acquire(name: string, options: { signal: AbortSignal }): Promise<Lock> {
    // Processes of all versions share these keys, so the name of the key must not change.
    const key = `${this.#prefix}:hold:${name}`
    const token = randomUUID()
    const signal = AbortSignal.any([options.signal, this.#closing.signal])
    for (;;) {
      signal.throwIfAborted()
      const sentMs = elapsedMs()
      const taking = this.#redis.run(LOCK, key, [token, this.#lifeMs])
      const reply = await abortable(taking, { signal }).catch((error: unknown) => {
        // Redis may have granted the lock meanwhile, and others must not wait until it expires.
        void this.#release({ key, token })
        throw error
      })
      if (reply === 1) {
        const lock = new RedisLock({ key, token }, sentMs + this.#lifeMs, ended => this.#end(ended))
        this.#locks.add(lock)
        return lock
      }
      await sleep(POLL_MS, { signal })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort(new SluiceError('aborted', 'the locks are closed'))
    clearInterval(this.#renewals)
    await Promise.all([...this.#locks].map(lock => lock[Symbol.asyncDispose]()))
    await this.#redis[Symbol.asyncDispose]()
  }

  async #renew(lock: RedisLock): Promise<void> {
    const { key, token } = lock.place
    const sentMs = elapsedMs()
    try {
      const reply = await this.#redis.run(LOCK, key, [token, this.#lifeMs])
      if (reply !== 1) lock.lost()
      else if (this.#locks.has(lock)) lock.renewed(sentMs + this.#lifeMs)
      // The lock was released while the renewal was under way, and the release came first.
      else await this.#release(lock.place)
    } catch {
      // The lock stays overdue until a renewal succeeds.
    }
    if (lock.isLost) this.#locks.delete(lock)
  }

  async #end(lock: RedisLock): Promise<void> {
    this.#locks.delete(lock)
    if (!lock.isLost) await this.#release(lock.place)
  }

  /** A lock that cannot be released expires by itself. */
  async #release({ key, token }: LockPlace): Promise<void> {
    await this.#redis.run(RELEASE, key, [token]).catch(() => undefined)
  }
}

interface LockPlace {
  readonly key: string
  readonly token: string
}

class RedisLock implements Lock {
  readonly place: LockPlace
  readonly #onEnd: (lock: RedisLock) => Promise<void>
  #heldUntilMs: number
  #state: 'held' | 'lost' | 'released' = 'held'

  constructor(place: LockPlace, heldUntilMs: number, onEnd: (lock: RedisLock) => Promise<void>) {
    this.place = place
    this.#heldUntilMs = heldUntilMs
    this.#onEnd = onEnd
  }

  get held(): boolean {
    return this.#state === 'held' && elapsedMs() < this.#heldUntilMs
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
