/**
 * Decides whether and when a failed request is sent again in the same run (`errors.retry: now`, PROTOCOL.md
 * §8).
 */
import type { SyncSpec } from '@sluice/contracts/resources'
import type { Verdict } from './outcome.ts'

/** The attempts that a sync allows within a run. */
export interface RetryPolicy {
  /** The number of attempts that a request gets beyond its first one. */
  readonly extra: number
  readonly firstMs: number
  readonly maxMs: number
  /** False: a request that may have arrived is not sent again (`delivery: at-most-once`). */
  readonly repeatsUnknown: boolean
}

const EXTRA_ATTEMPTS = 3
const FIRST_MS = 1_000
const MAX_MS = 60_000
/**
 * The longest wait for one request in a run. If an answer asks for more, the request waits for the next run.
 */
const MAX_WAIT_MS = 3_600_000

/** Returns null for a sync whose failed requests wait for the next run. */
export function retryPolicyOf({
  errors,
  delivery,
}: Pick<SyncSpec, 'errors' | 'delivery'>): RetryPolicy | null {
  if (errors?.retry !== 'now') return null
  const { attempts = EXTRA_ATTEMPTS, backoff } = errors
  return {
    extra: attempts,
    firstMs: backoff?.first ?? FIRST_MS,
    maxMs: backoff?.max ?? MAX_MS,
    repeatsUnknown: delivery !== 'at-most-once',
  }
}

/**
 * Returns the pause in ms before the next attempt; null if there is none. `made` counts the attempts of the
 * request in this run, the failed one included. The pause has full jitter: it is random between 0 and a limit
 * that doubles with each attempt. It is never shorter than the Retry-After of the answer. `random` gives
 * numbers from 0 to below 1.
 */
export function retryPauseMs(
  policy: RetryPolicy | null,
  failed: { readonly verdict: Verdict; readonly made: number },
  random: () => number,
): number | null {
  const { verdict, made } = failed
  if (policy === null || made > policy.extra || !isWorthAnother(verdict, policy)) return null
  const ownMs = random() * Math.min(policy.maxMs, policy.firstMs * 2 ** (made - 1))
  const waitMs = Math.max(ownMs, verdict.retryAfterMs ?? 0)
  return waitMs > MAX_WAIT_MS ? null : Math.round(waitMs)
}

/**
 * True if another attempt may have another outcome. `exists` and `missing` would be the same again, and so
 * would a request that is rejected without an answer, since it cannot be written as HTTP. A rule of the sync
 * may say that an answer would be the same, too.
 */
function isWorthAnother({ outcome, answered, waitsForNextRun }: Verdict, policy: RetryPolicy): boolean {
  if (waitsForNextRun === true) return false
  switch (outcome) {
    case 'rejected':
      return answered
    case 'unknown':
      return policy.repeatsUnknown
    case 'unsent':
      return true
    case 'delivered':
    case 'exists':
    case 'missing':
    case 'throttled':
      return false
    default:
      return outcome satisfies never
  }
}
