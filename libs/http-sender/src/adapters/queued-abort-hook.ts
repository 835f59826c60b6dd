/**
 * A hook of undici that gives a function for taking a request out of its queue. undici's own `request` uses
 * it, and `dispatch` does not document it. Without it a request that timed out while it waited for a
 * connection would stay in the queue, and requests behind it would wait for nothing.
 */
import { createRequire } from 'node:module'

const symbols: unknown = createRequire(import.meta.url)('undici/lib/core/symbols.js')
const hook: unknown =
  typeof symbols === 'object' && symbols !== null && 'kQueuedAbort' in symbols ? symbols.kQueuedAbort : null
if (typeof hook !== 'symbol') throw new Error('this undici has no hook for requests in its queue')
const kQueuedAbort: symbol = hook

/** Options for `dispatch`. Each time that it queues the request, it calls back with that function. */
export function queuedAbortHook(onQueued: (leave: (reason: unknown) => void) => void): {
  readonly [symbol: symbol]: unknown
} {
  return { [kQueuedAbort]: onQueued }
}
