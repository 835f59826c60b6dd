/**
 * Opens the locks that the processes of one service share. Processes start in any order, so it waits for
 * Redis.
 */
import { randomUUID } from 'node:crypto'
import type { SluiceError } from '@sluice/contracts/errors'
import type { Forgotten } from '@sluice/rate-limit/port'
import { parseRedisAddress } from '@sluice/redis/redis-address'
import type { Logger } from '@sluice/runtime/logger'
import type { RedisSettings } from '@sluice/runtime/service-config'
import { waitUntilReachable } from '@sluice/runtime/wait-until-reachable'
import type { Locks } from '../port.ts'

export interface LocksOptions {
  readonly url: string
  readonly ca?: string
  readonly prefix: string
  readonly onTrouble: (trouble: SluiceError | null) => void
}

/** Logs once that Redis does not answer or refuses something, and once that Redis is back. */
export function logTrouble(logger: Logger, what: string): (trouble: SluiceError | null) => void {
  return trouble => {
    if (trouble === null) logger.info(`Redis answers: ${what} go on`)
    else logger.warn({ err: trouble }, `${what} wait for Redis: ${trouble.message}`)
  }
}

/** Logs why nothing is sent to a destination for a while, and until when. */
export function forgottenLogger(logger: Logger): (forgotten: Forgotten) => void {
  return ({ destination, leftMs, mayBeLess }) => {
    const until = new Date(Date.now() + leftMs).toISOString()
    const less = mayBeLess ? ', less if those who were there vouch for what it kept' : ''
    const why = 'Redis was restarted, emptied or replaced, and what it may have forgotten has to run out'
    logger.warn({ destination, until }, `nothing is sent to ${destination} until ${until}${less}: ${why}`)
  }
}

/**
 * Says for `/readyz` whether Redis answers, without asking it anything. Without locks no process takes a
 * partition over, and delivery sends nothing.
 */
export function locksReadiness({ trouble }: Pick<Locks, 'trouble'>): {
  readonly ok: boolean
  readonly detail?: string
} {
  return trouble === null ? { ok: true } : { ok: false, detail: trouble.message }
}

/** Rejects with `unreachable` and the address if Redis did not answer in time. */
export async function openLocks(
  config: RedisSettings,
  createLocks: (options: LocksOptions) => Locks,
  context: { readonly logger: Logger; readonly signal: AbortSignal },
): Promise<Locks> {
  const { redis, prefix, startupTimeoutMs: timeoutMs } = config
  const { logger, signal } = context
  const locks = createLocks({ ...redis, prefix, onTrouble: logTrouble(logger, 'locks of partitions') })
  const attempt = async (ending: AbortSignal): Promise<void> => {
    await using _free = await locks.acquire(`start/${randomUUID()}`, { signal: ending })
  }
  try {
    await waitUntilReachable(
      { what: 'Redis', address: parseRedisAddress(redis.url).shown, attempt },
      { timeoutMs, logger, signal },
    )
    return locks
  } catch (error) {
    await locks[Symbol.asyncDispose]()
    throw error
  }
}
