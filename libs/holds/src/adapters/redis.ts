/**
 * Holds shared by processes, in Redis: a key with the holder's token, which expires unless it is renewed (the
 * lock of https://redis.io/docs/latest/commands/set/#patterns). If Redis has forgotten everything, a holder
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
import type { Hold, Holds } from '../port.ts'

export interface RedisHoldsOptions extends RedisConnectionOptions {
  /** The prefix of all keys; default `sluice`. */
  readonly prefix?: string
  /** How long a hold outlives its holder; default 5 s. It is renewed five times in that time. */
  readonly lifeMs?: number
}

const RENEWALS_PER_LIFE = 5
/** How soon to look again whether a name is free. */
const POLL_MS = 100

/**
 * KEYS: the name. ARGV: token, life (ms). Gives 1 if the token has the name from now on, 0 if another has it.
 * It takes and renews. A holder whose answer was lost takes again the name that is its own already.
 */
const HOLD = redisScript(`
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`)

/** KEYS: the name. ARGV: token. */
const RELEASE = redisScript(
  `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`,
)

/**
 * Opens the holds. The connection comes up by itself, and calls wait for it as long as a command may take.
 * Throws `config` for a wrong URL.
 */
export function createRedisHolds(options: RedisHoldsOptions): Holds {
  return new RedisHolds(options)
}

class RedisHolds implements Holds {
  readonly #redis: RedisConnection
  readonly #prefix: string
  readonly #lifeMs: number
  readonly #holds = new Set<RedisHold>()
  readonly #closing = new AbortController()
  readonly #renewals: NodeJS.Timeout

  constructor(options: RedisHoldsOptions) {
    this.#prefix = options.prefix ?? 'sluice'
    this.#lifeMs = options.lifeMs ?? 5_000
    this.#redis = connectRedis(options)
    this.#renewals = setInterval(() => {
      for (const hold of this.#holds) void this.#renew(hold)
    }, this.#lifeMs / RENEWALS_PER_LIFE)
  }

  get trouble(): SluiceError | null {
    return this.#redis.trouble
  }

  async acquire(name: string, options: { signal: AbortSignal }): Promise<Hold> {
    const key = `${this.#prefix}:hold:${name}`
    const token = randomUUID()
    const signal = AbortSignal.any([options.signal, this.#closing.signal])
    for (;;) {
      signal.throwIfAborted()
      const sentMs = elapsedMs()
      const taking = this.#redis.run(HOLD, key, [token, this.#lifeMs])
      const reply = await abortable(taking, { signal }).catch((error: unknown) => {
        // Redis may have given it meanwhile, and others must not wait until it expires.
        void this.#release(key, token)
        throw error
      })
      if (reply === 1) {
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
    await this.#redis[Symbol.asyncDispose]()
  }

  async #renew(hold: RedisHold): Promise<void> {
    const { key, token } = hold.of
    const sentMs = elapsedMs()
    try {
      const reply = await this.#redis.run(HOLD, key, [token, this.#lifeMs])
      if (reply !== 1) hold.lost()
      else if (this.#holds.has(hold)) hold.renewed(sentMs + this.#lifeMs)
      // Released while the renewal was under way, and carried out before it.
      else await this.#release(key, token)
    } catch {
      // It stays doubtful until a renewal succeeds.
    }
    if (hold.isLost) this.#holds.delete(hold)
  }

  async #end(hold: RedisHold): Promise<void> {
    this.#holds.delete(hold)
    if (!hold.isLost) await this.#release(hold.of.key, hold.of.token)
  }

  /** A hold that cannot be released expires by itself. */
  async #release(key: string, token: string): Promise<void> {
    await this.#redis.run(RELEASE, key, [token]).catch(() => undefined)
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
