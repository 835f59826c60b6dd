/**
 * Rows by column, on their way from the database into Avro. Texts stay bytes, and numbers have the units of
 * Avro. So no value becomes a JavaScript value of its own.
 */

/**
 * UTF-8 texts. The text of row i has `lengths[i]` bytes from `starts[i]` on. A length of −1 stands for null.
 * The texts of all rows together fill `bytes`.
 */
export interface TextValues {
  readonly kind: 'texts'
  readonly bytes: Uint8Array
  readonly starts: Float64Array
  readonly lengths: Float64Array
}

/**
 * Numbers; NaN is null. A boolean is 0 or 1, a date its days since 1970-01-01, a time its microseconds since
 * midnight, a timestamp its microseconds since 1970, and a decimal its unscaled number. All are exact.
 */
export interface NumberValues {
  readonly kind: 'numbers'
  readonly numbers: Float64Array
}

export type ColumnValues = TextValues | NumberValues

/** Rows with their keys. `columns` has the order of the model's columns. */
export interface ColumnRows {
  readonly rows: number
  readonly keys: TextValues
  readonly columns: readonly ColumnValues[]
}
