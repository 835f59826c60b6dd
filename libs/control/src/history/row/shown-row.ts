/** Rows of records as the JSON that people see. */
import { Decimal, JsonText, type Row, type Value } from '@sluice/contracts/values'

/** A row as JSON. A number that readers of JSON would round is a text. */
export function shownRow(row: Row | null): { [column: string]: unknown } | null {
  if (row === null) return null
  return Object.fromEntries(Object.entries(row).map(([column, value]) => [column, shownValue(value)]))
}

function shownValue(value: Value): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (value === null || typeof value !== 'object') return value
  if (value instanceof Decimal || value instanceof JsonText) return value.text
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (isList(value)) return value.map(shownValue)
  return shownRow(value)
}

function isList(value: readonly Value[] | { readonly [name: string]: Value }): value is readonly Value[] {
  return Array.isArray(value)
}
