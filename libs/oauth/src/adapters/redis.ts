/**
 * Tokens that processes share, in Redis: the sealed token, and beside it the lease to ask for the next one.
 * Each step is one script, and expires by the server's clock. A lease has an id, so that a process that stood
 * still does not replace its successor's token. The lease has a key that ends with `:leave`.
 */
import { randomUUID } from 'node:crypto'
import {
  connectRedis,
  redisScript,
  type RedisConnection,
  type RedisConnectionOptions,
  type RedisScript,
} from '@sluice/redis/redis-connection'
import type { LeaseAnswer, StoredToken, TokenLease, TokenStore } from '../port.ts'

export interface RedisTokenStoreOptions extends RedisConnectionOptions {
  /** The prefix of all keys; default `sluice`. */
  readonly prefix?: string
}

/** A token endpoint answers with less, so somebody else wrote a longer text. */
const MAX_TOKEN_CHARACTERS = 1_000_000
/** The reason of a failure is shortened to this, since others may have written it. */
const MAX_WHY_CHARACTERS = 2_000

/** KEYS: the name. Returns the token and the time for which it is still stored (ms). */
const READ = redisScript(`
if redis.call('STRLEN', KEYS[1]..':token') > ${MAX_TOKEN_CHARACTERS} then return {'', 0} end
local sealed = redis.call('GET', KEYS[1]..':token')
if not sealed then return {'', 0} end
return {sealed, redis.call('PTTL', KEYS[1]..':token')}
`)

/**
 * KEYS: the name. ARGV: id, life (ms). Returns 1 with the lease. Otherwise returns 0, the time until the
 * lease is free (ms), and the reason. A process whose answer was lost gets its own lease again. A lease that
 * never expires is ignored, since processes would wait for it for ever.
 */
const LEASE = redisScript(`
local held = redis.call('GETRANGE', KEYS[1]..':leave', 0, ${MAX_WHY_CHARACTERS - 1})
local left = redis.call('PTTL', KEYS[1]..':leave')
if left > 0 and held ~= 'by '..ARGV[1] then return {0, left, held} end
redis.call('SET', KEYS[1]..':leave', 'by '..ARGV[1], 'PX', ARGV[2])
return {1, 0, ''}
`)

/**
 * KEYS: the name. ARGV: id, token, life (ms). Returns 1 if the token is stored, also if the call is repeated.
 */
const STORE = redisScript(`
local held = redis.call('GET', KEYS[1]..':leave')
if held ~= 'by '..ARGV[1] then
  if redis.call('GET', KEYS[1]..':token') == ARGV[2] then return 1 end
  return 0
end
redis.call('SET', KEYS[1]..':token', ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[1]..':leave')
return 1
`)

/** KEYS: the name. ARGV: id, pause (ms), why. */
const END = redisScript(`
if redis.call('GET', KEYS[1]..':leave') ~= 'by '..ARGV[1] then return 0 end
if tonumber(ARGV[2]) > 0 then
  redis.call('SET', KEYS[1]..':leave', 'no '..ARGV[3], 'PX', ARGV[2])
else
  redis.call('DEL', KEYS[1]..':leave')
end
return 1
`)

/** Opens the connection in the background. Throws `config` for a wrong URL. */
export function createRedisTokenStore(options: RedisTokenStoreOptions): TokenStore {
  return new RedisTokenStore(options)
}

class RedisTokenStore implements TokenStore {
  readonly #redis: RedisConnection
  readonly #prefix: string

  constructor(options: RedisTokenStoreOptions) {
    this.#prefix = options.prefix ?? 'sluice'
    this.#redis = connectRedis(options)
  }

  async read(name: string): Promise<StoredToken | null> {
    const [sealed, leftMs] = partsOf(await this.#run(READ, name, []))
    return sealed === '' || Number(leftMs) <= 0 ? null : { sealed: String(sealed), leftMs: Number(leftMs) }
  }

  async lease(name: string, lifeMs: number): Promise<LeaseAnswer> {
    const id = randomUUID()
    const [has, leftMs, held] = partsOf(await this.#run(LEASE, name, [id, Math.ceil(lifeMs)]))
    if (Number(has) === 1) return { kind: 'leased', lease: { name, id } }
    const text = String(held)
    const why = text.startsWith('no ') ? text.slice(3) : null
    return { kind: 'taken', leftMs: Math.max(1, Number(leftMs)), why }
  }

  async store({ name, id }: TokenLease, sealed: string, lifeMs: number): Promise<boolean> {
    return Number(await this.#run(STORE, name, [id, sealed, Math.max(1, Math.ceil(lifeMs))])) === 1
  }

  async end(
    { name, id }: TokenLease,
    { pauseMs, why }: { readonly pauseMs: number; readonly why: string },
  ): Promise<void> {
    await this.#run(END, name, [id, Math.max(0, Math.ceil(pauseMs)), why])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#redis[Symbol.asyncDispose]()
  }

  #run(script: RedisScript, name: string, args: readonly (string | number)[]): Promise<unknown> {
    return this.#redis.run(script, `${this.#prefix}:tokens:{${name}}`, args)
  }
}

function partsOf(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : []
}
