/** Groups the errors of failed rows, so that a thousand rows with one reason are one line. */
import type { FailedRow } from '@sluice/contracts/api'

export interface ErrorGroup extends Pick<FailedRow, 'outcome' | 'status' | 'error' | 'key'> {
  readonly count: number
}

/**
 * Returns the same text for failures with the same outcome, status and message. Numbers in the message do not
 * count.
 */
export function reasonId({
  outcome,
  status,
  error,
}: Pick<ErrorGroup, 'outcome' | 'status' | 'error'>): string {
  return reasonOf(outcome, status, error)
}

/** The same for the outcome of an attempt, which may be another than those of rows. */
export function reasonOf(outcome: string, status: number | null, error: string | null): string {
  return JSON.stringify([outcome, status, error?.replaceAll(/\d+/g, '0') ?? null])
}

/**
 * Returns the groups, the largest first. Rows are in one group if they failed for one reason (`reasonId`).
 * `error` and `key` come from the group's first row.
 */
export function errorGroups(rows: readonly FailedRow[]): readonly ErrorGroup[] {
  const groups = new Map<string, ErrorGroup>()
  for (const { outcome, status, error, key } of rows) {
    const alike = reasonId({ outcome, status, error })
    const group = groups.get(alike)
    groups.set(alike, { ...(group ?? { outcome, status, error, key }), count: (group?.count ?? 0) + 1 })
  }
  return [...groups.values()].sort((a, b) => b.count - a.count)
}
