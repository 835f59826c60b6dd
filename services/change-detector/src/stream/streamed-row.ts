/** What a source has of a key, and the entry of its log that says so. */
import type { StreamEntry } from '@sluice/sources/stream-port'
import type { StreamedKey } from '@sluice/delivered-state/stream-port'
import type { WantedRow } from './decide-slice.ts'

/** An order counts within its epoch. */
export interface StreamedRow extends WantedRow {
  readonly epoch: number
  /** Empty for a row of the comparison that begins the epoch. */
  readonly order: string
  readonly committedAt: number | null
}

export function isNewer(
  one: Pick<StreamedRow, 'epoch' | 'order'>,
  other: Pick<StreamedRow, 'epoch' | 'order'>,
): boolean {
  return one.epoch > other.epoch || (one.epoch === other.epoch && one.order > other.order)
}

/** Returns what the source has of a key, as the topics say. */
export function toldOf({ wanted: row, epoch, order }: StreamedKey): StreamedRow {
  return { row, epoch, order, committedAt: null }
}

/**
 * Returns the row of an entry. Values that it lacks are those of the row before. Null: nobody knows a value
 * that is needed. The others are then null.
 */
export function wholeOf(
  entry: StreamEntry,
  before: Pick<StreamedRow, 'row'> | undefined,
  needed: readonly string[],
): Pick<StreamedRow, 'row'> | null {
  const { row, lacks } = entry
  if (row === null || lacks.length === 0) return { row }
  const known = before?.row ?? {}
  if (lacks.some(column => needed.includes(column) && !Object.hasOwn(known, column))) return null
  const filled = lacks.map(column => [column, known[column] ?? null] as const)
  return { row: { ...row, ...Object.fromEntries(filled) } }
}
