/**
 * A decimal number as text (`-12.50`), since a JavaScript number may not hold it exactly. Templates print the
 * text, and `| json` prints it as a JSON number.
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
 * The JSON of a column, byte for byte. Templates print it unchanged, and read its fields with
 * `row.column.field`.
 */
export class JsonText {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
  toString(): string {
    return this.text
  }
}

/**
 * The special values of numbers of any length, such as PostgreSQL's `numeric`. JSON has no number for them,
 * so they are JSON texts: templates print the word, and `| json` writes it as a text.
 */
export const NO_NUMBERS: ReadonlySet<string> = new Set(['NaN', 'Infinity', '-Infinity'])

/**
 * One value of a row, the same from source to template (R18). Per column type, and at any depth of a list or
 * struct:
 * - `integer`, `long`, and `decimal` of scale 0 (HUGEINT, UBIGINT): a number while safe, a bigint beyond.
 * - `decimal` of another scale: a `Decimal` with exactly `scale` digits after the point (`-12.50`; zero has
 *   no sign).
 * - `float`, `double`: a number, NaN and infinities included; a `float` is the shortest decimal that names
 *   the 32-bit value (0.1, not 0.10000000149011612).
 * - `text`: a string, NUL included. Sources hold UTF-8; a lone surrogate has no UTF-8 and becomes
 *   U+FFFD on its way.
 * - `json`: a `JsonText` with the JSON of the source, whose parser may be laxer than others. A number of any
 *   length (PostgreSQL's `numeric`) is a `JsonText`, too; NaN and infinities are words of `NO_NUMBERS`.
 * - `bytes`: a `Uint8Array`. `uuid`: lower-case text with dashes.
 * - `date`: `2024-02-29`. A year outside 0000–9999 has a sign and at least six digits, counted as ISO 8601
 *   does (1 BC is 0000, 44 BC is -000043): `+010000-01-01`, `-000043-03-15`.
 * - `time`: `12:34:56`, with a fraction only where it is not zero, of at most six digits and without trailing
 *   zeros: `12:34:56.5`, `12:34:56.000001`. `24:00:00` is the end of a day.
 * - `timestamp`: date, `T`, time: `2024-02-29T12:34:56.000001`; with a zone always in UTC, with a `Z`:
 *   `2024-02-29T12:34:56Z`.
 * - Infinite dates and timestamps: `infinity`, `-infinity`.
 * - `interval`: an ISO 8601 duration without its zero parts: `P1Y2M3DT4H5M6.5S`, `PT0S`.
 * - `list`: an array; `struct`: an object with its fields in order.
 * All other values (nanoseconds, times with an offset of their own) are carried as `text`.
 */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Decimal
  | JsonText
  | Uint8Array
  | readonly Value[]
  | { readonly [name: string]: Value }

/** Floats nearer to zero have fewer significant bits. */
const MIN_NORMAL_FLOAT = 2 ** -126

/** Returns the shortest decimal that stands for this 32-bit float; if several do, the nearest. */
export function shortestOfFloat(float: number): number {
  const isShort = Number.isInteger(float) && Math.abs(float) < 1_000_000
  if (isShort || !Number.isFinite(float)) return float
  // A float keeps any six digits, so fewer need no check. Floats near zero do not keep six.
  for (let precision = Math.abs(float) < MIN_NORMAL_FLOAT ? 1 : 6; precision < 9; precision++) {
    const shorter = Number(float.toPrecision(precision))
    if (Math.fround(shorter) === float) return shorter
  }
  return Number(float.toPrecision(9)) // Nine digits suffice for every 32-bit float.
}

/** A row by column name, in the model's column order. */
export type Row = { readonly [column: string]: Value }

/**
 * The type of a column, as Sluice carries it. `integer` fits 32 bits, `long` 64; `decimal` has up to 38
 * digits; `json` is JSON text that stays byte for byte.
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

/**
 * The name of an extra column of an extract, which says why a row is invalid: one of its values cannot be
 * carried, and is null in its own column. The extra column is null for valid rows. An extract without invalid
 * rows may lack it.
 */
export const WHY_INVALID = 'sluice: why the row is invalid'

/** A column of a model; all columns may be null. */
export interface Column {
  readonly name: string
  readonly type: ColumnType
}
