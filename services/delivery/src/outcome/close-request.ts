/** What a request comes to that is tried no more, though it is not finished (PROTOCOL.md §8, §11). */
import type { Op, Outcome } from '@sluice/contracts/state'
import { withTaint } from '@sluice/domain/answers/outcome'
import type { RequestHistory } from '../ledger/request-history.ts'

export interface Closed {
  readonly outcome: Outcome
  readonly answered: boolean
  readonly status: number | null
  readonly idempotencyKey: string | null
  readonly error: string
}

/**
 * A request that waits for its next try comes to what its last try had. One that was never tried is unsent,
 * and so is one of which the API has seen nothing but a token that it refused.
 *
 * If a predecessor may have sent it once more, the last try is not known. The outcome is then unknown, and
 * the key is that of the next try: a try that nobody saw went out under it.
 */
export function closeRequest(
  history: RequestHistory,
  of: {
    readonly trigger: Op
    /** The key that the next try would have. */
    readonly nextKey: string | null
    /** True if an earlier run sent the very same request, and nobody knows what became of it. */
    readonly repeatsEarlier: boolean
    readonly why: string
    /** True if attempts have tokens, which the API may refuse. */
    readonly hasTokens?: boolean
  },
): Closed {
  const { tainted, unseen } = history
  const { trigger, nextKey, repeatsEarlier, why, hasTokens = false } = of
  const said = history.last?.error ?? null
  const error = said === null ? why : `${said} (${why})`
  const last = hasTokens && history.tokenRefused ? null : history.last
  if (last !== null && last.outcome !== 'throttled' && !unseen) {
    const { answered, status, idempotencyKey } = last
    return { outcome: withTaint(last.outcome, tainted, trigger), answered, status, idempotencyKey, error }
  }
  const doubted = tainted || repeatsEarlier
  return {
    outcome: withTaint('unsent', doubted, trigger),
    answered: false,
    status: history.last?.status ?? null,
    idempotencyKey: doubted ? nextKey : null,
    error,
  }
}
