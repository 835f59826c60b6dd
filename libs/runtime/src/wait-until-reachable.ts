/** Waits at the start for a server that may start later than this process. */
import { isSluiceError, messageOf, SluiceError } from '@sluice/contracts/errors'
import { sleep } from '@sluice/flow/sleep'
import type { Logger } from './logger.ts'

const PAUSE_MS = 1_000

export interface Awaited {
  /** The name of the server: `Kafka`, `the schema registry`, `Redis`. */
  readonly what: string
  /** The address without user and password, for people. */
  readonly address: string
  /**
   * Makes one attempt, with a time-out of its own. Rejects with a retryable error while there is no answer.
   */
  readonly attempt: (signal: AbortSignal) => Promise<void>
}

/**
 * Tries until the server answers, and logs each failure. After `timeoutMs` it rejects with `unreachable`,
 * which names the address. If aborted, it rejects with the signal's reason. An error that is not retryable
 * rejects at once.
 */
export async function waitUntilReachable(
  awaited: Awaited,
  options: { readonly timeoutMs: number; readonly logger: Logger; readonly signal: AbortSignal },
): Promise<void> {
  const { what, address, attempt } = awaited
  const { timeoutMs, logger, signal } = options
  const deadline = AbortSignal.timeout(timeoutMs)
  const ending = AbortSignal.any([signal, deadline])
  let last: unknown = new Error('no answer')
  for (let attempts = 1; ; attempts += 1) {
    try {
      await attempt(ending)
      if (attempts > 1) logger.info({ address }, `${what} answers`)
      return
    } catch (error) {
      signal.throwIfAborted()
      if (!deadline.aborted) {
        if (!isSluiceError(error) || !error.retryable) throw error
        last = error
        logger.warn({ address, err: error }, `waiting for ${what} at ${address}`)
        await sleep(PAUSE_MS, { signal: ending }).catch(() => undefined)
        signal.throwIfAborted()
      }
      if (deadline.aborted) break
    }
  }
  const why = messageOf(last)
  const message = `${what} at ${address} did not answer within ${timeoutMs} ms: ${why}`
  throw new SluiceError('unreachable', message, { cause: last, retryable: true })
}
