/** Rows of a stream, compared in this process. Runs over a table compare in SQL instead. */
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Op } from '@sluice/contracts/state'
import { Decimal, JsonText, type Row, type Value } from '@sluice/contracts/values'

/** The version of the hashed text. Rows that were muted with another one are sent again. */
const FORMS = 1

/** True if two rows have the same values in these columns, or if both are missing. */
export function isSameRow(one: Row | null, other: Row | null, columns: readonly string[]): boolean {
  if (one === null || other === null) return one === other
  return columns.every(column => isSameValue(one[column], other[column]))
}

/**
 * True if the row differs from the one that the destination is believed to have. A column that came later,
 * and that the believed row lacks, is no difference.
 */
export function differsFrom(believed: Row | null, row: Row | null, columns: readonly string[]): boolean {
  if (believed === null || row === null) return believed !== row
  return columns.some(
    column => Object.hasOwn(believed, column) && !isSameValue(believed[column], row[column]),
  )
}

/** True if the row lacks one of the columns, since it is from before the column came. */
export function lacksColumns(row: Row | null, columns: readonly string[]): boolean {
  return row !== null && columns.some(column => !Object.hasOwn(row, column))
}

/** A column that a row lacks is not the same as one that is null. */
function isSameValue(one: Value | undefined, other: Value | undefined): boolean {
  if (one === other) return true
  const isPlain = typeof one !== 'object' && typeof other !== 'object'
  // Zero and minus zero are one number, and NaN is itself.
  return isPlain ? Number.isNaN(one) && Number.isNaN(other) : isDeepStrictEqual(one, other)
}

/**
 * Returns the text that identifies a row that is given up: runs pass over it until this text differs. A
 * removal has no hash, as in `find-changes.ts`.
 */
export function mutedText(op: Op, row: Row | null, columns: readonly string[]): string {
  const digest = hashOf(JSON.stringify([FORMS, ...columns])).slice(0, 8)
  const values = op === 'removed' ? '' : hashOf(JSON.stringify(columns.map(column => textOf(row?.[column]))))
  return `${op}:${digest}:${values}`
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}

/** Returns a text, or texts in lists, that no other value has. */
function textOf(value: Value | undefined): unknown {
  if (value === undefined || value === null) return value === undefined ? 0 : null
  if (typeof value === 'string') return value
  if (value instanceof Decimal || value instanceof JsonText) return ['t', value.text]
  if (value instanceof Uint8Array) return ['b', Buffer.from(value).toString('base64')]
  if (Array.isArray(value)) return ['l', ...value.map(textOf)]
  if (typeof value === 'object')
    return ['s', ...Object.entries(value).map(([name, each]) => [name, textOf(each)])]
  return ['n', String(value)]
}

/** Bytes of a name or a small value in memory, roughly. */
const VALUE_BYTES = 16

/** Returns roughly how many bytes the row takes in memory. */
export function bytesOf(row: Row | null): number {
  if (row === null) return VALUE_BYTES
  let bytes = VALUE_BYTES
  for (const column in row) bytes += valueBytes(row[column])
  return bytes
}

function valueBytes(value: Value | undefined): number {
  if (typeof value === 'string') return VALUE_BYTES + value.length
  if (value === undefined || value === null || typeof value !== 'object') return VALUE_BYTES
  if (value instanceof Decimal || value instanceof JsonText) return VALUE_BYTES + value.text.length
  if (value instanceof Uint8Array) return VALUE_BYTES + value.length
  const inside: readonly Value[] = Array.isArray(value) ? value : Object.values(value)
  return inside.reduce<number>((sum, each) => sum + valueBytes(each), VALUE_BYTES)
}
