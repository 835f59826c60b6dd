/**
 * Encodes rows of changes whose values do not fit their columns. If a column changes its type, an earlier row
 * still has a value of the old type: `n/a`, for example, in a column of whole numbers. A change carries such
 * a value beside the row, as JSON, so that its reader sees the row as it was delivered.
 */
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { Change, WrittenChange } from '@sluice/contracts/records'
import { Decimal, JsonText, type Row, type Value } from '@sluice/contracts/values'
import type { Encoder } from '@sluice/schema-codec/port'

const ROWS = ['before', 'after', 'wanted'] as const

interface Unfit {
  before?: Row
  after?: Row
  wanted?: Row
}

/** Returns an encoder that also takes rows with unfit values. It throws as the encoder of a codec does. */
export function unfitTaking(encoder: Encoder): Encoder {
  return {
    schemaId: encoder.schemaId,
    encode: change => encodeChange(encoder, change),
    frame: change => encoder.frame(change),
    // Values by column have the types of their columns.
    rows: rows => encoder.rows(rows),
  }
}

function encodeChange(encoder: Encoder, change: object): Uint8Array {
  try {
    return encoder.encode(change)
  } catch (error) {
    if (!isSluiceError(error, 'corrupt') || !isChange(change)) throw error
    const written = setApart(encoder, change)
    if (written === null) throw error
    return encoder.encode(written)
  }
}

/**
 * Encodes each value alone to find the unfit ones; null if there are none. This is slow, and needed only for
 * rows from before a column changed its type.
 */
function setApart(encoder: Encoder, change: Change): WrittenChange | null {
  const unfit: Unfit = {}
  const rows: { -readonly [N in (typeof ROWS)[number]]?: Row | null } = {}
  for (const name of ROWS) {
    const row = change[name]
    if (row === null || row === undefined) continue
    const apart = Object.entries(row).filter(([column, value]) => {
      const alone = { ...change, before: null, after: null, wanted: null, [name]: single(column, value) }
      return value !== null && !isEncoded(encoder, alone)
    })
    if (apart.length === 0) continue
    const values = Object.fromEntries(apart)
    unfit[name] = values
    rows[name] = Object.fromEntries(
      Object.entries(row).map(([column, value]) => [column, Object.hasOwn(values, column) ? null : value]),
    )
  }
  if (Object.keys(unfit).length === 0) return null
  return { ...change, ...rows, unfit: JSON.stringify(unfit, asJson) }
}

/**
 * Returns a row of one column. A null `__proto__` keeps the encoder from reading the prototype as a column.
 */
function single(column: string, value: Value): Row {
  return Object.fromEntries([
    ['__proto__', null],
    [column, value],
  ])
}

function isEncoded(encoder: Encoder, value: object): boolean {
  try {
    encoder.encode(value)
    return true
  } catch (error) {
    if (isSluiceError(error, 'corrupt')) return false
    throw error
  }
}

/**
 * Turns numbers that JSON does not keep exactly, and values that are no JSON, into the text that a template
 * prints.
 */
function asJson(this: unknown, _: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Decimal || value instanceof JsonText) return value.text
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
  if (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)))
    return Object.is(value, -0) ? '-0' : String(value)
  return value
}

/** True for a change whose rows have all of their values. */
export function isFit(written: Change<unknown> & Partial<WrittenChange<unknown>>): boolean {
  return written.unfit === null || written.unfit === undefined
}

/**
 * Returns the change with all values in its rows. Throws `corrupt` if the values beside the rows are no JSON
 * object.
 */
export function withUnfit(written: Change & Partial<WrittenChange>): Change {
  if (written.unfit === null || written.unfit === undefined) return written
  const { unfit, ...change } = written
  const { before, after, wanted } = parsed(unfit)
  return {
    ...change,
    before: filled(change.before, before),
    after: filled(change.after, after),
    ...(change.wanted === undefined ? {} : { wanted: filled(change.wanted, wanted) }),
  }
}

function filled(row: Row | null, values: Row | undefined): Row | null {
  if (row === null || values === undefined) return row
  return Object.fromEntries(
    Object.entries(row).map(([column, value]) => [
      column,
      Object.hasOwn(values, column) ? (values[column] ?? null) : value,
    ]),
  )
}

function parsed(text: string): Unfit {
  try {
    const unfit: unknown = JSON.parse(text)
    if (typeof unfit === 'object' && unfit !== null) return unfit
  } catch {
    // The error is thrown below, as for JSON that is no object.
  }
  throw new SluiceError('corrupt', 'A change has values that do not fit their columns, and they are no JSON.')
}

function isChange(value: object): value is Change {
  return 'before' in value && 'after' in value
}
