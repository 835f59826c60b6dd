/**
 * Whether a request whose try failed is tried again in the same run, and when (`errors.retry: now`,
 * PROTOCOL.md §8).
 */
import type { SyncSpec } from '@sluice/contracts/resources'
import type { Verdict } from './outcome.ts'

/** What a sync allows within a run. */
export interface Tries {
  /** How many tries a request gets beyond its first one. */
  readonly extra: number
  readonly firstMs: number
  readonly mostMs: number
  /** False: a request that may have arrived is not tried again (`delivery: at-most-once`). */
  readonly repeatsUnknown: boolean
}

const EXTRA_TRIES = 3
const FIRST_MS = 1_000
const MAX_MS = 60_000
/** No run waits longer for a single request. An answer that asks for more leaves it to the next run. */
const MAX_WAIT_MS = 3_600_000

/** Null for a sync whose failed requests wait for the next run. */
export function triesOf({ errors, delivery }: Pick<SyncSpec, 'errors' | 'delivery'>): Tries | null {
  if (errors?.retry !== 'now') return null
  const { attempts = EXTRA_TRIES, backoff } = errors
  return {
    extra: attempts,
    firstMs: backoff?.first ?? FIRST_MS,
    mostMs: backoff?.max ?? MAX_MS,
    repeatsUnknown: delivery !== 'at-most-once',
  }
}

/**
 * How long to wait, in ms, before the next try; null if there is none. `made` counts the tries of the request
 * in this run, the failed one included. The pause has full jitter: it is at random between 0 and a limit that
 * doubles with each try. It is never shorter than what the answer asks for by Retry-After. `random` gives
 * numbers from 0 to below 1.
 */
export function nextTryMs(
  tries: Tries | null,
  failed: { readonly verdict: Verdict; readonly made: number },
  random: () => number,
): number | null {
  const { verdict, made } = failed
  if (tries === null || made > tries.extra || !isWorthAnother(verdict, tries)) return null
  const ownMs = random() * Math.min(tries.mostMs, tries.firstMs * 2 ** (made - 1))
  const waitMs = Math.max(ownMs, verdict.retryAfterMs ?? 0)
  return waitMs > MAX_WAIT_MS ? null : Math.round(waitMs)
}

/**
 * `exists` and `missing` tell what is so, and another try would hear the same. A request that cannot be
 * written as HTTP is rejected without an answer, and would be so again. A rule of the sync may say the same
 * of an answer.
 */
function isWorthAnother({ outcome, answered, waitsForNextRun }: Verdict, tries: Tries): boolean {
  if (waitsForNextRun === true) return false
  switch (outcome) {
    case 'rejected':
      return answered
    case 'unknown':
      return tries.repeatsUnknown
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
