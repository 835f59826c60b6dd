/** The reasons for which the rows of a run failed, of all its partitions. */
import type { FailedRows, PartitionReport } from '@sluice/contracts/records'
import { reasonId } from './error-groups.ts'

/** The event of a run keeps the first cause, and beside it the most frequent reasons, up to this number. */
const MAX_KEPT = 5

/**
 * Returns the reasons, in the order in which they came. Messages that differ only in numbers are one reason.
 * A partition whose end is reached sends no row again.
 */
export function failuresOfRun(
  reports: Iterable<Pick<PartitionReport, 'failures' | 'ended'>>,
): readonly FailedRows[] {
  const groups = new Map<string, FailedRows>()
  for (const { failures, ended } of reports)
    for (const failure of failures ?? []) {
      const group = ended ? { ...failure, retried: 0 } : failure
      if (group.rows + group.retried === 0) continue
      const id = reasonId(group)
      const known = groups.get(id)
      groups.set(id, known === undefined ? group : both(known, group))
    }
  return [...groups.values()].sort((one, other) => one.since - other.since)
}

/** Returns the reasons that the event of an ended run keeps; null if no row failed. */
export function keptFailures(
  reports: Iterable<Pick<PartitionReport, 'failures' | 'ended'>>,
): readonly FailedRows[] | null {
  const [first, ...others] = failuresOfRun(reports)
  if (first === undefined) return null
  return [first, ...others.sort((one, other) => other.rows - one.rows).slice(0, MAX_KEPT - 1)]
}

function both(one: FailedRows, other: FailedRows): FailedRows {
  const first = other.since < one.since ? other : one
  const sums = { rows: one.rows + other.rows, retried: one.retried + other.retried }
  const isKnown = typeof one.again === 'number' && typeof other.again === 'number'
  return { ...first, ...sums, again: isKnown ? again(one) + again(other) : null }
}

const again = ({ again: rows }: FailedRows): number => rows ?? 0

/**
 * Returns the failed rows that an earlier run had left behind, and the others. Returns null if the failures
 * do not tell them apart, as those of an earlier version.
 */
export function rowsAgain(
  failures: readonly FailedRows[],
): { readonly again: number; readonly anew: number } | null {
  if (failures.length === 0 || failures.some(failure => typeof failure.again !== 'number')) return null
  const sum = failures.reduce((rows, failure) => rows + again(failure), 0)
  return { again: sum, anew: failures.reduce((rows, failure) => rows + failure.rows, 0) - sum }
}
