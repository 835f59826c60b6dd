/**
 * The rows of a request that are sent together: all of them at first, and then, maybe, some (PROTOCOL.md §8).
 * Positions rise. Null stands for all rows, so that a request which is never divided needs no list.
 */
import type { Attempt } from '@sluice/contracts/records'

export type Positions = readonly number[] | null

/** The rows at these positions. */
export function rowsAt<R>(rows: readonly R[], positions: Positions): readonly R[] {
  if (positions === null) return rows
  return positions.flatMap(position => {
    const row = rows[position]
    return row === undefined ? [] : [row]
  })
}

export function samePositions(a: Positions, b: Positions): boolean {
  if (a === null || b === null) return a === b
  return a.length === b.length && a.every((position, index) => position === b[index])
}

/** As text, such as 0-49,60. */
export function positionsText(positions: readonly number[]): string {
  const runs: { readonly first: number; last: number }[] = []
  for (const position of positions) {
    const run = runs.at(-1)
    if (run !== undefined && position === run.last + 1) run.last = position
    else runs.push({ first: position, last: position })
  }
  return runs.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',')
}

/** The positions of an attempt's rows. */
export function positionsOf({ part }: Pick<Attempt, 'part'>): Positions {
  // An attempt of an earlier version has no such field.
  return Array.isArray(part) ? part : null
}

/** Rows that are tainted: all, none, or those of these seqs. An earlier try of them may have been applied. */
export type Taint = boolean | ReadonlySet<number>

export function isTainted(taint: Taint, { seq }: { readonly seq: number }): boolean {
  return typeof taint === 'boolean' ? taint : taint.has(seq)
}

/**
 * The taint after an attempt. Beside rows with an outcome of their own, an attempt lists each row that stays
 * open and is unknown.
 */
export function withTaintOf(taint: Taint, { outcome, rows }: Pick<Attempt, 'outcome' | 'rows'>): Taint {
  if (taint === true) return true
  if (rows.length === 0) return outcome === 'unknown' ? true : taint
  const unknown = rows.filter(row => row.outcome === 'unknown').map(({ seq }) => seq)
  if (unknown.length === 0) return taint
  return new Set([...(taint === false ? [] : taint), ...unknown])
}
