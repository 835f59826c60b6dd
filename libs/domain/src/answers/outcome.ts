/** The default meaning of answers and failures, and the outcome of rows that are uncertain already. */
import type { Op, Outcome } from '@sluice/contracts/state'
import { parseRetryAfter } from './retry-after.ts'

/** The meaning of one attempt for the rows of its request. */
export interface Verdict {
  /**
   * A throttled request has no outcome yet: it is sent again, and that does not count as an attempt (R10).
   */
  readonly outcome: Outcome | 'throttled'
  /**
   * True if the server answered. An answered failure frees the Idempotency-Key: under the same key the server
   * would only repeat its stored failure.
   */
  readonly answered: boolean
  /**
   * The pause that the server asked for before another attempt; null if it did not. A delivered request may
   * have one, too, for its rows that were not delivered.
   */
  readonly retryAfterMs: number | null
  /** True if a rule of the sync says that another attempt in the same run would get the same answer. */
  readonly waitsForNextRun?: boolean
}

export interface Answer {
  readonly status: number
  /** Values of the headers Retry-After and Date, if the answer has them. */
  readonly retryAfter: string | null
  readonly date: string | null
}

/**
 * Returns the default meaning of an answer: 2xx is delivered; 429, and 503 with Retry-After, are throttled.
 * 408 and other 5xx are unknown, since the server may have applied the request before it failed. Other 4xx,
 * and 3xx, are rejected: redirects are not followed. A 404 or 410 to a removal confirms that an uncertain row
 * is gone. The caller knows the rows, and asks `confirmsRemoval`.
 */
export function verdictOfAnswer(answer: Answer, nowMs: number): Verdict {
  const { status } = answer
  const retryAfterMs = parseRetryAfter(answer.retryAfter, { date: answer.date, nowMs })
  if (status >= 200 && status < 300) return { outcome: 'delivered', answered: true, retryAfterMs }
  if (status === 429 || (status === 503 && answer.retryAfter !== null))
    return { outcome: 'throttled', answered: true, retryAfterMs }
  if (status === 408 || status >= 500) return { outcome: 'unknown', answered: true, retryAfterMs }
  return { outcome: 'rejected', answered: true, retryAfterMs }
}

/** Returns the meaning of an answer for which the sync's own rules name an outcome. */
export function verdictAs(outcome: Verdict['outcome'], answer: Answer, nowMs: number): Verdict {
  const retryAfterMs = parseRetryAfter(answer.retryAfter, { date: answer.date, nowMs })
  return { outcome, answered: true, retryAfterMs }
}

/**
 * Returns the meaning of a request that got no answer: rejected if it cannot be sent as HTTP, unsent if no
 * byte of it can have arrived, and otherwise unknown.
 */
export function verdictOfFailure(reason: 'invalid' | 'not-sent' | 'timeout' | 'broken'): Verdict {
  return { outcome: outcomeOfFailure(reason), answered: false, retryAfterMs: null }
}

function outcomeOfFailure(reason: Parameters<typeof verdictOfFailure>[0]): Outcome {
  switch (reason) {
    case 'invalid':
      return 'rejected'
    case 'not-sent':
      return 'unsent'
    case 'timeout':
    case 'broken':
      return 'unknown'
    default:
      return reason satisfies never
  }
}

/**
 * True if a status says that the row to be removed is not there. So an uncertain row is gone (PROTOCOL.md
 * §2).
 */
export function confirmsRemoval(status: number): boolean {
  return status === 404 || status === 410
}

/**
 * Returns `unknown` in place of a failure if the row is uncertain: an earlier attempt may have been applied
 * (PROTOCOL.md §2). `exists` for an added row and `missing` for any other row are certain. `exists` for any
 * other row, and `missing` for an added one, say nothing of the row.
 */
export function withUncertainty(outcome: Outcome, isUncertain: boolean, op: Op): Outcome {
  if (!isUncertain) return outcome
  switch (outcome) {
    case 'rejected':
    case 'unsent':
      return 'unknown'
    case 'exists':
      return op === 'added' ? outcome : 'unknown'
    case 'missing':
      return op === 'added' ? 'unknown' : outcome
    case 'delivered':
    case 'unknown':
      return outcome
    default:
      return outcome satisfies never
  }
}
