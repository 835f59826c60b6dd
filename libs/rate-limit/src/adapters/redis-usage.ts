/** Reads how much of the limits in Redis is in use, for a process that sends nothing itself. */
import {
  connectRedis,
  redisScript,
  type RedisConnection,
  type RedisConnectionOptions,
} from '@sluice/redis/redis-connection'
import { PRELUDE } from './script-prelude.ts'
import type { LimitUsage } from '../port.ts'

/** With this many expired leases, the script looks no further. */
const MAX_EXPIRED = 1_000

/**
 * KEYS: base. ARGV: scope, offset of the clock (ms). Gives the taken slots of the scope, or -1 if they are
 * unknown, and changes nothing. Expired leases, for example of a process that died, stay until the next take,
 * and do not count.
 */
export const COUNT_SLOTS = redisScript(`${PRELUDE}
local now = clock(tonumber(ARGV[2]))
local taken = tonumber(redis.call('HGET', base .. ':slots', ARGV[1]) or '0')
local expired = redis.call('ZRANGEBYSCORE', base .. ':leases', '-inf', num(now), 'LIMIT', 0, ${MAX_EXPIRED})
if not taken or #expired == ${MAX_EXPIRED} then return -1 end
for _, id in ipairs(expired) do
  local lease = leaseOf(id)
  for _, scope in ipairs(lease and lease.s or {}) do
    if scope == ARGV[1] then taken = taken - lease.n end
  end
end
return taken
`)

/** Reads the answer of `COUNT_SLOTS`; null if the slots are unknown, for example after foreign writes. */
export function slotsOf(reply: unknown): number | null {
  return typeof reply === 'number' && Number.isSafeInteger(reply) && reply >= 0 ? reply : null
}

/** Returns the beginning of the keys of a destination's limits. */
export function limitsKey(prefix: string, destination: string): string {
  return `${prefix}:limits:{${destination}}`
}

export interface RedisLimitUsageOptions extends RedisConnectionOptions {
  /** The prefix of all keys. */
  readonly prefix: string
  /** The offset of the clock, which must be the same as for the limits. */
  readonly clockOffsetMs?: () => number
}

/** Connects at the first call, which rejects with `config` for a wrong URL. */
export function createRedisLimitUsage(options: RedisLimitUsageOptions): LimitUsage & AsyncDisposable {
  return new RedisLimitUsage(options)
}

class RedisLimitUsage implements LimitUsage {
  readonly #options: RedisLimitUsageOptions
  #redis: RedisConnection | null = null

  constructor(options: RedisLimitUsageOptions) {
    this.#options = options
  }

  async slotsTaken(destination: string): Promise<number | null> {
    this.#redis ??= connectRedis(this.#options)
    const { prefix, clockOffsetMs } = this.#options
    const args = [destination, clockOffsetMs?.() ?? 0]
    return slotsOf(await this.#redis.run(COUNT_SLOTS, limitsKey(prefix, destination), args))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#redis?.[Symbol.asyncDispose]()
  }
}
