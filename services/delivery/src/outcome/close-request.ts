/**
 * What a request, or a part of one, comes to that is tried no more, though it is not finished (PROTOCOL.md
 * §8, §11).
 */
import type { RequestRow, RowResult } from '@sluice/contracts/records'
import type { Op, Outcome } from '@sluice/contracts/state'
import { withTaint } from '@sluice/domain/answers/outcome'
import type { PartHistory } from '../ledger/request-history.ts'
import { isTainted } from '../ledger/parts.ts'

export interface Closed {
  readonly outcome: Outcome
  readonly answered: boolean
  readonly status: number | null
  readonly idempotencyKey: string | null
  readonly error: string
  /** Rows whose outcome differs. */
  readonly rows: readonly RowResult[]
}

/**
 * A request that waits for its next try comes to what its last try had. One that was never tried is unsent,
 * and so is one of which the API has seen nothing but a token that it refused.
 *
 * If a predecessor may have sent it once more, the last try is not known. The outcome is then unknown, and
 * the key is that of the next try: a try that nobody saw went out under it.
 */
export function closeRequest(
  history: PartHistory,
  of: {
    readonly trigger: Op
    /** Its rows. */
    readonly rows: readonly Pick<RequestRow, 'seq'>[]
    /** The key that the next try would have. */
    readonly nextKey: string | null
    /** True if an earlier run sent the very same request, and nobody knows what became of it. */
    readonly repeatsEarlier: boolean
    readonly why: string
    /** True if attempts have tokens, which the API may refuse. */
    readonly hasTokens?: boolean
  },
): Closed {
  const { unseen } = history
  const { nextKey, repeatsEarlier, why, rows, hasTokens = false } = of
  const said = history.last?.error ?? null
  const error = said === null ? why : `${said} (${why})`
  const last = hasTokens && history.tokenRefused ? null : history.last
  const outcomes = outcomesOf({ ...history, last }, of)
  if (last !== null && last.outcome !== 'throttled' && !unseen) {
    const { answered, status, idempotencyKey } = last
    return { ...outcomes, answered, status, idempotencyKey, error }
  }
  const doubted = repeatsEarlier || rows.some(row => isTainted(history.tainted, row))
  return {
    ...outcomes,
    answered: false,
    status: history.last?.status ?? null,
    idempotencyKey: doubted ? nextKey : null,
    error,
  }
}

/** Each row comes to what its last try had: the outcome of the first, and the rows that differ. */
function outcomesOf(
  { last, tainted, unseen }: PartHistory,
  { rows, trigger, repeatsEarlier }: Parameters<typeof closeRequest>[1],
): Pick<Closed, 'outcome' | 'rows'> {
  const known = last === null || unseen ? null : last
  const own = new Map(known?.rows.map(row => [row.seq, row]))
  const each = rows.map(row => {
    const { outcome = sentOutcome(known), error = null } = own.get(row.seq) ?? {}
    const doubted = isTainted(tainted, row) || (known === null && repeatsEarlier)
    return { seq: row.seq, outcome: withTaint(outcome, doubted, trigger), error, captured: null }
  })
  const outcome = each[0]?.outcome ?? 'unsent'
  return { outcome, rows: each.filter(row => row.outcome !== outcome || row.error !== null) }
}

function sentOutcome(last: PartHistory['last']): Outcome {
  return last === null || last.outcome === 'throttled' ? 'unsent' : last.outcome
}
