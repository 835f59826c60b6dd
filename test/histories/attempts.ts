/** The attempts that delivery writes, in the model of the protocol. */
import type { RequestRow } from '@sluice/contracts/records'
import { closeRequest } from '@sluice/delivery/outcome/effects'
import type { PartHistory, UnownedAttempt } from '@sluice/delivery/ledger/request-history'
import { settleRows, type AllowedRetries } from '@sluice/delivery/outcome/settle-rows'
import { sampleAttempt } from '@sluice/testkit/sample-records'
import { UNRENDERABLE, type Sent, type SentOnce } from './sent-once.ts'

export function rowOf({ key, seq, op, beforeState, retried }: Sent): RequestRow {
  return { key, seq, op, uncertain: beforeState !== 'present', captured: null, retried, named: null }
}

/** `sent` is null for rows that are tried no more, though they are not finished. */
export function attemptOf(
  sentRows: readonly Sent[],
  of: {
    readonly sent: SentOnce | null
    readonly part: PartHistory
    readonly number: number
    readonly retries: AllowedRetries
    readonly hasTokens: boolean
  },
): UnownedAttempt {
  const { sent, part, number, retries, hasTokens } = of
  const rows = sentRows.map(rowOf)
  const place = { ...placeOf(sentRows), part: part.positions }
  const { trigger } = place
  const nothingFollows = part.positions === null ? null : []
  if (sent === null) {
    const closing = { trigger, rows, nextKey: null, repeatsEarlier: false, why: 'cancelled', hasTokens }
    return sampleAttempt({ ...place, ...closeRequest(part, closing), parts: nothingFollows, attempt: 0 })
  }
  const { verdict, status, judged } = sent
  const settled = settleRows({ trigger, rows, history: part, verdict, status, judged }, retries)
  const { outcome, parts, waitMs } = settled
  return sampleAttempt({
    ...place,
    attempt: sent === UNRENDERABLE ? 0 : number,
    outcome,
    rows: settled.rows,
    parts,
    final: outcome !== 'throttled' && waitMs === null,
    nextTryAt: waitMs === null ? null : 1,
    answered: verdict.answered,
    status,
  })
}

export function placeOf([row]: readonly Sent[]) {
  return { run: row?.run ?? 0, seq: row?.seq ?? 0, trigger: row?.op ?? 'added' }
}
