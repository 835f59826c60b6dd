/**
 * A group of failed rows: rows that failed for one reason, and whose last attempt was in a run of a span of
 * runs. Its id is a text, so that people and pages can name the group of a list that they saw. A row that
 * fails later is of a later run, so it is not in the group. A row that is tried again leaves the group. The
 * numbers of runs begin anew after a reset, so the id depends on the incarnation of the sync, too.
 */
import { hash } from 'node:crypto'
import type { FailedRow } from '@sluice/contracts/api'
import { errorGroups, reasonId, type ErrorGroup } from './error-groups.ts'

export interface FailedGroup {
  /** The hash of the incarnation and the reason: twelve hexadecimal digits. */
  readonly reason: string
  /** The numbers of the first and the last run; both inclusive. */
  readonly fromRun: number
  readonly toRun: number
}

type Failure = Pick<FailedRow, 'outcome' | 'status' | 'error'>

const DIGITS = 12
const ID = /^([0-9a-f]{12})\.(\d{1,15})-(\d{1,15})$/

export function reasonHash(failure: Failure, incarnation: string): string {
  return hash('sha256', `${incarnation} ${reasonId(failure)}`).slice(0, DIGITS)
}

/** Reads an id such as `3f2a91c07b1e.12-17`. Returns null for any other text. */
export function parseGroup(id: string): FailedGroup | null {
  const [, reason, from, to] = ID.exec(id) ?? []
  return reason === undefined ? null : { reason, fromRun: Number(from), toRun: Number(to) }
}

/** `run` is the number of the run that tried the row last. */
export function isInGroup(
  { reason, fromRun, toRun }: FailedGroup,
  failure: Failure,
  { run, incarnation }: { readonly run: number; readonly incarnation: string },
): boolean {
  return run >= fromRun && run <= toRun && reasonHash(failure, incarnation) === reason
}

/** Returns the groups of rows of one incarnation, the largest first, with their ids. */
export function failedGroups(
  failed: readonly { readonly row: FailedRow; readonly run: number }[],
  incarnation: string,
): readonly (ErrorGroup & { readonly id: string })[] {
  const spans = new Map<string, { fromRun: number; toRun: number }>()
  for (const { row, run } of failed) {
    const reason = reasonId(row)
    const span = spans.get(reason)
    if (span === undefined) spans.set(reason, { fromRun: run, toRun: run })
    else {
      span.fromRun = Math.min(span.fromRun, run)
      span.toRun = Math.max(span.toRun, run)
    }
  }
  return errorGroups(failed.map(({ row }) => row)).map(group => {
    const { fromRun = 0, toRun = 0 } = spans.get(reasonId(group)) ?? {}
    return { ...group, id: `${reasonHash(group, incarnation)}.${fromRun}-${toRun}` }
  })
}
