/** An API answers rows that are sent together; its answer says something of each. */
import type { Op } from '@sluice/contracts/state'
import { isUncertain, type UncertainRows } from '@sluice/delivery/ledger/request-history'
import type { RowJudgement } from '@sluice/delivery/outcome/judge-answer'
import { confirmsRemoval, verdictOfAnswer, type Verdict } from '@sluice/domain/answers/outcome'
import type { Api, ApiAnswer, SentRow } from './apis.ts'
import type { ApiKind, RowFate } from './plan.ts'
import type { Change } from './topics.ts'

export type Sent = Change & { readonly op: Op }

export function isUnrenderable({ op, captured }: Pick<Change, 'op' | 'captured'>, kind: ApiKind): boolean {
  return kind === 'makes-ids' && op === 'changed' && captured === null
}

export interface SentOnce {
  readonly verdict: Verdict
  readonly status: number | null
  /** By place among the rows. */
  readonly judged: ReadonlyMap<number, RowJudgement>
}

const NOTHING_KNOWN: SentOnce['judged'] = new Map()
export const UNRENDERABLE: SentOnce = {
  verdict: { outcome: 'rejected', answered: false, retryAfterMs: null },
  status: null,
  judged: NOTHING_KNOWN,
}

export function sentRow({ op, key, after, captured }: Sent): SentRow {
  return { op, key, row: after, id: captured }
}

interface Rules {
  readonly kind: ApiKind
  readonly tellsMissing: boolean
}

/** The API takes each row by itself, and its answer tells what became of it. */
export function rowByRow(
  rows: readonly Sent[],
  {
    api,
    kind,
    tellsMissing,
    nextRowFate,
  }: Rules & { readonly api: Api; readonly nextRowFate: ((key: string) => RowFate) | null },
): SentOnce {
  const judged = rows.map((row): RowJudgement => {
    const fate = nextRowFate?.(row.key) ?? 'taken'
    const of = { error: null, captured: null }
    if (fate === 'refused') return { ...of, outcome: 'rejected' }
    if (fate === 'throttled') return { ...of, outcome: 'throttled' }
    if (fate === 'unknown') return { ...of, outcome: 'unknown' }
    const { status, id } = api.take([sentRow(row)])
    if (fate === 'unknown-and-taken') return { ...of, outcome: 'unknown' }
    if (status === 200) return { ...of, outcome: 'delivered', captured: id }
    if (kind !== 'upserts' && status === 409) return { ...of, outcome: 'exists' }
    return { ...of, outcome: tellsMissing && status === 404 ? 'missing' : 'rejected' }
  })
  const verdict = { outcome: 'delivered', answered: true, retryAfterMs: null } as const
  return { verdict, status: 207, judged: new Map(judged.entries()) }
}

/**
 * The default meaning of an answer, or that of `answers` for an API that says what exists and what is
 * missing.
 */
export function answered(
  { status, id }: ApiAnswer,
  rows: readonly Sent[],
  { kind, tellsMissing, uncertain }: Rules & { readonly uncertain: UncertainRows },
): SentOnce {
  const verdict = verdictOfAnswer({ status, retryAfter: null, date: null }, 0)
  const judged: SentOnce['judged'] =
    id === null ? NOTHING_KNOWN : new Map([[0, { outcome: null, error: null, captured: id }]])
  const of = { status, judged }
  const removes = rows.every(
    row => row.op === 'removed' && (isUncertain(uncertain, row) || row.beforeState !== 'present'),
  )
  if (removes && confirmsRemoval(status)) return { ...of, verdict: { ...verdict, outcome: 'delivered' } }
  if (kind !== 'upserts' && status === 409) return { ...of, verdict: { ...verdict, outcome: 'exists' } }
  if (tellsMissing && status === 404) return { ...of, verdict: { ...verdict, outcome: 'missing' } }
  return { ...of, verdict }
}
