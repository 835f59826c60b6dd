/**
 * A decimal number that no JavaScript number holds exactly, as its text (`-12.50`). Templates print it as it stands,
 * and `| json` prints it as a JSON number.
 */
export class Decimal {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
  toString(): string {
    return this.text
  }
}

/**
 * One value of a row, the same from source to template (R18):
 * integers are numbers while safe and bigints beyond; DECIMAL, HUGEINT and UBIGINT beyond the safe range are `Decimal` or bigint;
 * dates, times, intervals and UUIDs are text in ISO form; bytes are `Uint8Array`; arrays and structs nest.
 */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Decimal
  | Uint8Array
  | readonly Value[]
  | { readonly [name: string]: Value }

/** A row by column name, in the model's column order. */
export type Row = { readonly [column: string]: Value }

/**
 * The type of a column, as Sluice carries it. `integer` fits 32 bits, `long` 64; `decimal` has up to 38 digits; `json` is JSON text that
 * stays byte for byte.
 */
export type ColumnType =
  | {
      readonly kind:
        | 'boolean'
        | 'integer'
        | 'long'
        | 'float'
        | 'double'
        | 'text'
        | 'bytes'
        | 'uuid'
        | 'date'
        | 'time'
        | 'interval'
        | 'json'
    }
  | { readonly kind: 'timestamp'; readonly zone: boolean }
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly kind: 'list'; readonly of: ColumnType }
  | { readonly kind: 'struct'; readonly fields: readonly Column[] }

/** A column of a model; all columns may be null. */
export interface Column {
  readonly name: string
  readonly type: ColumnType
}
