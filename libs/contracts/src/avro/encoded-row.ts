/**
 * Rows whose values are still the bytes of their record. A renderer writes most values as JSON without making
 * JavaScript values of them, and never looks at columns that no template uses.
 */
import type { Row, Value } from '../values.ts'

/** A row that is still encoded in its record. It keeps the bytes of the record in memory. */
export abstract class EncodedRow {
  /** The columns of the row, and how to read them. The rows of one schema share it. */
  abstract readonly layout: RowLayout
  /** The record, and where the row begins in it. */
  abstract readonly bytes: Uint8Array
  abstract readonly start: number

  /**
   * Decodes these columns, as far as the row has them, in the model's order. Each call decodes them again.
   * Throws `corrupt` for bytes that do not fit the type.
   */
  values(columns: ReadonlySet<string> | 'all'): Row {
    return this.layout.values(this, columns)
  }
}

/**
 * A row from a reader that leaves rows encoded. The reader still decodes a row whose values do not fit their
 * columns.
 */
export type AnyRow = Row | EncodedRow

/** The row with these columns, as far as it has them. A decoded row keeps all of its columns. */
export function rowWith(row: AnyRow, columns: ReadonlySet<string> | 'all'): Row {
  return row instanceof EncodedRow ? row.values(columns) : row
}

/** The columns of the rows of one schema. */
export interface RowLayout {
  values(row: EncodedRow, columns: ReadonlySet<string> | 'all'): Row
  /** Reads values of these columns one at a time. A cursor is made once, and then goes from row to row. */
  cursor(columns: readonly string[]): RowCursor
}

/**
 * The kind of a value: `missing` if the row has no such column, `text` for bytes of UTF-8, `integer` for a
 * whole number that JavaScript holds exactly, `nested` for lists, structs and JSON, `scalar` for all others.
 */
export type EncodedKind = 'missing' | 'null' | 'text' | 'integer' | 'boolean' | 'scalar' | 'nested'

/** Reads one row after the other. A column is its index in the list that the cursor was made for. */
export interface RowCursor {
  /** Moves to a row, which has to have the cursor's layout. */
  open(row: EncodedRow): void
  kindOf(column: number): EncodedKind
  /**
   * The offset in the record at which the bytes of a `text` begin. `textEnd` is then the offset of their end.
   */
  textStart(column: number): number
  readonly textEnd: number
  /** The number of an `integer`; 0 or 1 for a `boolean`. */
  integer(column: number): number
  /** The value as a decoded row has it, for all kinds but `missing`. */
  value(column: number): Value
}
