/**
 * A group of failed rows: the rows of a list that fail for one reason. Its id is a text, so that people and
 * pages can name the group that they saw. A row is in the group if it failed first no later than the last row
 * of the list did. A row that is tried again stays in it if it fails for the same reason, so a sync that
 * always runs has groups that last. After a reset rows fail anew, so the id depends on the incarnation of the
 * sync, too.
 */
import { hash } from 'node:crypto'
import type { FailedRow } from '@sluice/contracts/api'
import { errorGroups, reasonId, type ErrorGroup } from './error-groups.ts'

export interface FailedGroup {
  /** The hash of the incarnation and the reason: twelve hexadecimal digits. */
  readonly reason: string
  /** The last of the times at which its rows failed first, in ms since 1970; inclusive. */
  readonly lastSince: number
  /** The number of the last run that had tried one of its rows. */
  readonly toRun: number
}

type Failure = Pick<FailedRow, 'outcome' | 'status' | 'error'>

const DIGITS = 12
const ID = /^([0-9a-f]{12})\.(\d{1,15})-(\d{1,15})$/

export function reasonHash(failure: Failure, incarnation: string): string {
  return hash('sha256', `${incarnation} ${reasonId(failure)}`).slice(0, DIGITS)
}

/**
 * Reads an id such as `3f2a91c07b1e.1767225600000-17`. Returns null for any other text. An id of an earlier
 * version, which began with the number of a run, names no row.
 */
export function parseGroup(id: string): FailedGroup | null {
  const [, reason, lastSince, toRun] = ID.exec(id) ?? []
  return reason === undefined ? null : { reason, lastSince: Number(lastSince), toRun: Number(toRun) }
}

export function isInGroup(
  { reason, lastSince }: FailedGroup,
  row: Failure & Pick<FailedRow, 'since'>,
  incarnation: string,
): boolean {
  return Date.parse(row.since) <= lastSince && reasonHash(row, incarnation) === reason
}

/** Returns the groups of rows of one incarnation, the largest first, with their ids. */
export function failedGroups(
  failed: readonly { readonly row: FailedRow; readonly run: number }[],
  incarnation: string,
): readonly (ErrorGroup & { readonly id: string })[] {
  const ends = new Map<string, { lastSince: number; toRun: number }>()
  for (const { row, run } of failed) {
    const reason = reasonId(row)
    const end = ends.get(reason) ?? { lastSince: 0, toRun: 0 }
    end.lastSince = Math.max(end.lastSince, Date.parse(row.since))
    end.toRun = Math.max(end.toRun, run)
    ends.set(reason, end)
  }
  return errorGroups(failed.map(({ row }) => row)).map(group => {
    const { lastSince = 0, toRun = 0 } = ends.get(reasonId(group)) ?? {}
    return { ...group, id: `${reasonHash(group, incarnation)}.${lastSince}-${toRun}` }
  })
}
