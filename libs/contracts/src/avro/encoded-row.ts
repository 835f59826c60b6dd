/**
 * Rows whose values are still the bytes of their record. A renderer makes most values into JSON without ever
 * having them as JavaScript values, and never looks at the columns that no template uses.
 */
import type { Row, Value } from '../values.ts'

/** A row as it stands in its record. It keeps the bytes of the record in memory. */
export abstract class EncodedRow {
  /** Which columns the row has, and how to read them. The rows of one schema share it. */
  abstract readonly layout: RowLayout
  /** The record, and where the row begins in it. */
  abstract readonly bytes: Uint8Array
  abstract readonly start: number

  /**
   * The row with these columns, as far as it has them, in the model's order. Each call decodes them anew.
   * Throws `corrupt` for a value that no type allows.
   */
  values(columns: ReadonlySet<string> | 'all'): Row {
    return this.layout.values(this, columns)
  }
}

/**
 * A row as a reader gives it that leaves rows encoded. One with values that do not fit their columns is
 * decoded.
 */
export type AnyRow = Row | EncodedRow

/** The row with these columns, as far as it has them. A row that is decoded has all of its columns. */
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
 * What a value is: `missing` if the row has no such column, `text` for UTF-8 at hand, `integer` for a whole
 * number that JavaScript holds exactly, `nested` for lists, structs and JSON, `scalar` for anything else.
 */
export type EncodedKind = 'missing' | 'null' | 'text' | 'integer' | 'boolean' | 'scalar' | 'nested'

/** Stands at one row. Columns go by their places in the list that the cursor was made for. */
export interface RowCursor {
  /** Goes to a row of its layout. */
  open(row: EncodedRow): void
  kindOf(column: number): EncodedKind
  /** Of a `text`: where its bytes begin in those of the record. `textEnd` is then where they end. */
  textStart(column: number): number
  readonly textEnd: number
  /** Of an `integer`: the number. Of a `boolean`: 0 or 1. */
  integer(column: number): number
  /** Of anything that is not missing: the value as a row has it. */
  value(column: number): Value
}
