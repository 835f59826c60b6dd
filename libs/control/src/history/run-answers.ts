/** Groups the answers to the requests of a run by status and by reason. */
import type { RunAnswers } from '@sluice/contracts/views/history-views'
import { reasonOf } from '@sluice/domain/answers/error-groups'
import type { AnswerCount } from '@sluice/history/port'

interface OfRun {
  readonly run: string
  readonly sync: string
  /** More attempts than these were not counted. */
  readonly most: number
}

export function runAnswers({ run, sync, most }: OfRun, counts: readonly AnswerCount[]): RunAnswers {
  const statuses = new Map<number | null, number>()
  const errors = new Map<string, RunAnswers['errors'][number]>()
  let all = 0
  for (const { outcome, status, error, count } of counts) {
    all += count
    statuses.set(status, (statuses.get(status) ?? 0) + count)
    if (outcome === 'delivered') continue
    const reason = reasonOf(outcome, status, error)
    const known = errors.get(reason) ?? { outcome, status, error, attempts: 0 }
    errors.set(reason, { ...known, attempts: known.attempts + count })
  }
  return {
    ...{ run, sync, isWhole: all <= most },
    statuses: [...statuses]
      .map(([status, attempts]) => ({ status, attempts }))
      .sort((one, other) => (one.status ?? 0) - (other.status ?? 0)),
    errors: [...errors.values()].sort((one, other) => other.attempts - one.attempts),
  }
}
