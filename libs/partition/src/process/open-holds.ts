/**
 * Opens the holds that the processes of one service share. It waits for Redis, since processes start in any
 * order.
 */
import { randomUUID } from 'node:crypto'
import type { SluiceError } from '@sluice/contracts/errors'
import type { Holds } from '@sluice/holds/port'
import type { Forgotten } from '@sluice/rate-limit/port'
import { parseRedisAddress } from '@sluice/redis/redis-address'
import type { Logger } from '@sluice/runtime/logger'
import type { RedisSettings } from '@sluice/runtime/service-config'
import { waitUntilReachable } from '@sluice/runtime/wait-until-reachable'

export interface HoldsOptions {
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

/** Rejects with `unreachable` and the address if Redis did not answer in time. */
export async function openHolds(
  config: RedisSettings,
  createHolds: (options: HoldsOptions) => Holds,
  context: { readonly logger: Logger; readonly signal: AbortSignal },
): Promise<Holds> {
  const { redis, prefix, startupTimeoutMs: timeoutMs } = config
  const { logger, signal } = context
  const holds = createHolds({ ...redis, prefix, onTrouble: logTrouble(logger, 'holds on partitions') })
  const attempt = async (ending: AbortSignal): Promise<void> => {
    await using _free = await holds.acquire(`start/${randomUUID()}`, { signal: ending })
  }
  try {
    await waitUntilReachable(
      { what: 'Redis', address: parseRedisAddress(redis.url).shown, attempt },
      { timeoutMs, logger, signal },
    )
    return holds
  } catch (error) {
    await holds[Symbol.asyncDispose]()
    throw error
  }
}
