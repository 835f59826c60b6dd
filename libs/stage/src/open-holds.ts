/**
 * Opens the holds that the processes of one service share, and waits for Redis, since processes start in any
 * order.
 */
import { randomUUID } from 'node:crypto'
import type { Holds } from '@sluice/holds/port'
import type { Logger } from '@sluice/runtime/logger'
import type { ServiceConfig } from '@sluice/runtime/service-config'
import { waitUntilReachable } from '@sluice/runtime/wait-until-reachable'
import { addressOf } from './open-stage.ts'

export interface HoldsOptions {
  readonly url: string
  readonly ca?: string
  readonly prefix: string
  readonly onConnectionError: (error: Error) => void
}

/** Rejects with `unreachable` and the address if Redis did not answer in time. */
export async function openHolds(
  config: ServiceConfig,
  createHolds: (options: HoldsOptions) => Holds,
  context: { readonly logger: Logger; readonly signal: AbortSignal },
): Promise<Holds> {
  const { redis, prefix, startupTimeoutMs: timeoutMs } = config
  const { logger, signal } = context
  const onConnectionError = (err: Error): void => logger.warn({ err }, 'the connection to Redis is broken')
  const holds = createHolds({ ...redis, prefix, onConnectionError })
  const attempt = async (ending: AbortSignal): Promise<void> => {
    await using _free = await holds.acquire(`start/${randomUUID()}`, { signal: ending })
  }
  try {
    await waitUntilReachable(
      { what: 'Redis', address: addressOf(redis.url), attempt },
      { timeoutMs, logger, signal },
    )
    return holds
  } catch (error) {
    await holds[Symbol.asyncDispose]()
    throw error
  }
}
