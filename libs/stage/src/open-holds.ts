/**
 * Opens the holds that the processes of one service share, and waits for Redis, since processes start in any
 * order.
 */
import { randomUUID } from 'node:crypto'
import type { SluiceError } from '@sluice/contracts/errors'
import type { Holds } from '@sluice/holds/port'
import { parseRedisAddress } from '@sluice/redis/redis-address'
import type { Logger } from '@sluice/runtime/logger'
import type { ServiceConfig } from '@sluice/runtime/service-config'
import { waitUntilReachable } from '@sluice/runtime/wait-until-reachable'

export interface HoldsOptions {
  readonly url: string
  readonly ca?: string
  readonly prefix: string
  readonly onTrouble: (trouble: SluiceError | null) => void
}

/** Tells the log once that Redis does not answer, or what it refuses, and once that it is back. */
export function logTrouble(logger: Logger, what: string): (trouble: SluiceError | null) => void {
  return trouble => {
    if (trouble === null) logger.info(`Redis answers: ${what} go on`)
    else logger.warn({ err: trouble }, `${what} wait for Redis: ${trouble.message}`)
  }
}

/** Rejects with `unreachable` and the address if Redis did not answer in time. */
export async function openHolds(
  config: ServiceConfig,
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
