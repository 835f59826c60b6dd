/**
 * The way by which undici hands out how to take a request out of its queue; its own `request` uses it,
 * `dispatch` does not tell of it. Without it a request that timed out while it waited for a connection would
 * stay in the queue, and those behind it would wait for the dead.
 */
import { createRequire } from 'node:module'

const symbols: unknown = createRequire(import.meta.url)('undici/lib/core/symbols.js')
const hook: unknown =
  typeof symbols === 'object' && symbols !== null && 'kQueuedAbort' in symbols ? symbols.kQueuedAbort : null
if (typeof hook !== 'symbol') throw new Error('this undici has no hook for requests in its queue')
const kQueuedAbort: symbol = hook

/** Options for `dispatch` by which it calls back with the way out, each time that it queues the request. */
export function queuedAbortHook(onQueued: (leave: (reason: unknown) => void) => void): {
  readonly [symbol: symbol]: unknown
} {
  return { [kQueuedAbort]: onQueued }
}
