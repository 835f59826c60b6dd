/**
 * Tokens that processes share, in Redis: the token, sealed, and beside it who has leave to ask for the next
 * one. Every step is one script, and expires by the server's clock. A leave has an id of its own, so that a
 * process that stood still keeps nothing in the place of its successor's token.
 */
import { randomUUID } from 'node:crypto'
import {
  connectRedis,
  redisScript,
  type RedisConnection,
  type RedisConnectionOptions,
  type RedisScript,
} from '@sluice/redis/redis-connection'
import type { Begun, KeptToken, Leave, TokenStore } from '../port.ts'

export interface RedisTokenStoreOptions extends RedisConnectionOptions {
  /** The prefix of all keys; default `sluice`. */
  readonly prefix?: string
}

/** Longer texts are none of ours: a token endpoint answers with less. */
const MAX_TOKEN_CHARACTERS = 1_000_000
/** Of the reason of a failure, which others may have written. */
const MAX_WHY = 2_000

/** KEYS: the name. Gives the token and how long it is kept still (ms). */
const READ = redisScript(`
if redis.call('STRLEN', KEYS[1]..':token') > ${MAX_TOKEN_CHARACTERS} then return {'', 0} end
local sealed = redis.call('GET', KEYS[1]..':token')
if not sealed then return {'', 0} end
return {sealed, redis.call('PTTL', KEYS[1]..':token')}
`)

/**
 * KEYS: the name. ARGV: id, life (ms). Gives 1 with leave, else 0, how long the leave of another lasts (ms),
 * and why nobody is to ask. A process whose answer was lost gets the leave again that is its own already. A
 * leave without an end is none of ours, and would be waited for without end.
 */
const BEGIN = redisScript(`
local held = redis.call('GETRANGE', KEYS[1]..':leave', 0, ${MAX_WHY - 1})
local left = redis.call('PTTL', KEYS[1]..':leave')
if left > 0 and held ~= 'by '..ARGV[1] then return {0, left, held} end
redis.call('SET', KEYS[1]..':leave', 'by '..ARGV[1], 'PX', ARGV[2])
return {1, 0, ''}
`)

/** KEYS: the name. ARGV: id, token, life (ms). Gives 1 if it was kept, also for the second time. */
const KEEP = redisScript(`
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

/** The connection comes up by itself. Throws `config` for a wrong URL. */
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

  async read(name: string): Promise<KeptToken | null> {
    const [sealed, leftMs] = partsOf(await this.#run(READ, name, []))
    return sealed === '' || Number(leftMs) <= 0 ? null : { sealed: String(sealed), leftMs: Number(leftMs) }
  }

  async begin(name: string, lifeMs: number): Promise<Begun> {
    const id = randomUUID()
    const [has, leftMs, held] = partsOf(await this.#run(BEGIN, name, [id, Math.ceil(lifeMs)]))
    if (Number(has) === 1) return { kind: 'leave', leave: { name, id } }
    const text = String(held)
    const why = text.startsWith('no ') ? text.slice(3) : null
    return { kind: 'taken', leftMs: Math.max(1, Number(leftMs)), why }
  }

  async keep({ name, id }: Leave, sealed: string, lifeMs: number): Promise<boolean> {
    return Number(await this.#run(KEEP, name, [id, sealed, Math.max(1, Math.ceil(lifeMs))])) === 1
  }

  async end({ name, id }: Leave, of: { readonly pauseMs: number; readonly why: string }): Promise<void> {
    await this.#run(END, name, [id, Math.max(0, Math.ceil(of.pauseMs)), of.why])
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
