/**
 * A group of failed rows: the rows of a list that fail for one reason, or all rows of a list. Its id is a
 * text, so that people and pages can name the rows that they saw. A row is in the group if it failed first no
 * later than the last row of the list did. A row that is tried again stays in it, if it fails for the same
 * reason where that counts. So a sync that always runs has groups that last. After a reset rows fail anew, so
 * the id of a reason depends on the incarnation of the sync, too.
 */
import { hash } from 'node:crypto'
import type { FailedRow } from '@sluice/contracts/api'
import { errorGroups, reasonId, type ErrorGroup } from './error-groups.ts'
import { isAmong } from './status-filter.ts'

export interface FailedGroup {
  /** The hash of the incarnation and the reason: twelve hexadecimal digits. Null for rows of any reason. */
  readonly reason: string | null
  /** The status of a list of rows of any reason, or its class by the first digit. Absent for any status. */
  readonly status?: number
  /** The last of the times at which its rows failed first, in ms since 1970; inclusive. */
  readonly lastSince: number
  /** The number of the last run that had tried one of its rows. */
  readonly toRun: number
}

type Failure = Pick<FailedRow, 'outcome' | 'status' | 'error'>

const DIGITS = 12
/** The word for rows of any reason and status. */
const ALL = 'all'
const ID = /^(?:([0-9a-f]{12})|([1-5](?:\d\d)?)|all)\.(\d{1,15})-(\d{1,15})$/

export function reasonHash(failure: Failure, incarnation: string): string {
  return hash('sha256', `${incarnation} ${reasonId(failure)}`).slice(0, DIGITS)
}

/**
 * Reads an id such as `3f2a91c07b1e.1767225600000-17`, or `all.1767225600000-17`, or `422.1767225600000-17`.
 * Returns null for any other text. An id of an earlier version, which began with the number of a run, names
 * no row.
 */
export function parseGroup(id: string): FailedGroup | null {
  const [whole, reason = null, status, lastSince, toRun] = ID.exec(id) ?? []
  if (whole === undefined) return null
  const ends = { lastSince: Number(lastSince), toRun: Number(toRun) }
  return { reason, ...(status === undefined ? {} : { status: Number(status) }), ...ends }
}

export function isInGroup(
  { reason, status, lastSince }: FailedGroup,
  row: Failure & Pick<FailedRow, 'since'>,
  incarnation: string,
): boolean {
  if (Date.parse(row.since) > lastSince) return false
  if (reason !== null) return reasonHash(row, incarnation) === reason
  return status === undefined || isAmong(status, row.status)
}

interface Failed {
  readonly row: FailedRow
  /** The number of the run that tried the row last. */
  readonly run: number
}

/** Returns the id for all rows of a list, or of those of a status in it. Without rows it names none. */
export function listId(failed: readonly Failed[], status: number | null): string {
  const { lastSince, toRun } = failed.reduce(later, { lastSince: 0, toRun: 0 })
  return `${status ?? ALL}.${lastSince}-${toRun}`
}

type Ends = Pick<FailedGroup, 'lastSince' | 'toRun'>

function later(ends: Ends, { row, run }: Failed): Ends {
  return {
    lastSince: Math.max(ends.lastSince, Date.parse(row.since)),
    toRun: Math.max(ends.toRun, run),
  }
}

/** Returns the groups of rows of one incarnation, the largest first, with their ids. */
export function failedGroups(
  failed: readonly Failed[],
  incarnation: string,
): readonly (ErrorGroup & { readonly id: string })[] {
  const ends = new Map<string, Ends>()
  for (const each of failed) {
    const reason = reasonId(each.row)
    ends.set(reason, later(ends.get(reason) ?? { lastSince: 0, toRun: 0 }, each))
  }
  return errorGroups(failed.map(({ row }) => row)).map(group => {
    const { lastSince = 0, toRun = 0 } = ends.get(reasonId(group)) ?? {}
    return { ...group, id: `${reasonHash(group, incarnation)}.${lastSince}-${toRun}` }
  })
}
