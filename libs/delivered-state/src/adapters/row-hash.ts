/**
 * The hash of a row over the compared columns, by which the diff tells that it changed. A row that lacks some
 * of these columns (they are new in the model) is compared over those that it has.
 */
import { createHash } from 'node:crypto'
import { type DuckDBConnection, version } from '@duckdb/node-api'
import type { Column } from '@sluice/contracts/values'
import type { Shape } from './shapes.ts'
import {
  fromStoredJson,
  hashFormOfExtracted,
  hashFormOfStored,
  holdsStruct,
  memberCount,
  quoteIdentifier,
  quoteText,
  structureWithJson,
} from './sql-types.ts'

/** Another one wherever the forms that are hashed change: hashes of before are worth nothing then. */
const FORMS = 2
/** A hash of nothing: rows without a compared column are all alike. */
const NOTHING = 'hash(0)'

export class RowHash {
  /** The compared columns, in the model's order. */
  readonly columns: readonly Column[]
  /** Hashes made under another spec are worth nothing: hash() may differ between versions of DuckDB. */
  readonly spec: string
  /**
   * Tells sets of compared columns apart in a few characters: hash(0, 1) over two columns is hash(1) over
   * one.
   */
  readonly columnsDigest: string

  constructor(columns: readonly Column[]) {
    this.columns = columns
    this.columnsDigest = createHash('sha256').update(JSON.stringify(columns)).digest('hex').slice(0, 8)
    this.spec = JSON.stringify({ duckdb: version(), forms: FORMS, columns })
  }

  /** The compared columns that rows of a shape have. */
  columnsIn(shape: Shape): readonly Column[] {
    return this.columns.filter(column => shape.columns.includes(column.name))
  }

  isComplete(shape: Shape): boolean {
    return this.columnsIn(shape).length === this.columns.length
  }

  /** SQL for the hash of an extracted row; `place` says where a column's value stands. */
  ofExtracted(columns: readonly Column[], place: (column: Column) => string): string {
    if (columns.length === 0) return NOTHING
    return `hash(${columns.map(column => hashFormOfExtracted(column.type, place(column))).join(', ')})`
  }

  /**
   * SQL that reads the compared columns of a stored row into a struct, and SQL for the hash of that struct.
   */
  parseStored(content: string): string {
    return this.columns.length === 0
      ? 'NULL'
      : `from_json(${content}, ${quoteText(structureWithJson(this.columns))})`
  }

  ofParsed(columns: readonly Column[], parsed: string): string {
    if (columns.length === 0) return NOTHING
    const values = columns.map(column => `(${parsed}).${quoteIdentifier(column.name)}`)
    const forms = columns.map(({ type }, index) => {
      const value = values[index] ?? 'NULL'
      return hashFormOfStored(type, holdsStruct(type) ? fromStoredJson(type, value) : value)
    })
    const hash = `hash(${forms.join(', ')})`
    // A value that does not fit its column any more is not the NULL that may stand there now.
    const misfits = forms.flatMap((form, index) => {
      const value = values[index] ?? 'NULL'
      if (form === value) return []
      const type = columns[index]?.type
      // A field that the struct does not have any more is not read, and may have had a value.
      if (type !== undefined && holdsStruct(type)) return [`(${memberCount(value)} <> ${memberCount(form)})`]
      return [`(${form} IS NULL AND ${value} IS NOT NULL)`]
    })
    return misfits.length === 0 ? hash : `xor(${hash}, CAST(${misfits.join(' OR ')} AS UTINYINT))`
  }

  /**
   * SQL for the hash of a parsed stored row of any of the shapes; of one that is not there, as if it had all
   * columns.
   */
  ofParsedByShape(shapes: readonly Shape[], shape: string, parsed: string): string {
    const incomplete = shapes.filter(s => !this.isComplete(s))
    const complete = this.ofParsed(this.columns, parsed)
    if (incomplete.length === 0) return complete
    const cases = incomplete.map(s => `WHEN ${s.id} THEN ${this.ofParsed(this.columnsIn(s), parsed)}`)
    return `CASE ${shape} ${cases.join(' ')} ELSE ${complete} END`
  }

  /** Gives every stored row that has none its hash; with `all`, every stored row a new one. */
  async fill(connection: DuckDBConnection, shapes: readonly Shape[], all: boolean): Promise<void> {
    const missing = all ? 'content IS NOT NULL' : 'content IS NOT NULL AND hash IS NULL'
    const probe = await connection.runAndReadAll(`SELECT count(*) FROM (FROM state WHERE ${missing} LIMIT 1)`)
    if (Number(probe.getRows()[0]?.[0]) === 0) return
    await connection.run(`
      UPDATE state SET hash = made.made_hash FROM (
        SELECT rid, ${this.ofParsedByShape(shapes, 'shape', 'parsed')} AS made_hash
        FROM (SELECT rowid AS rid, shape, ${this.parseStored('content')} AS parsed FROM state WHERE ${missing})
      ) AS made WHERE state.rowid = made.rid`)
  }
}
