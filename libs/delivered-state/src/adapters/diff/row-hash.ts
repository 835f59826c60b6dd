/**
 * The hash of a row over the compared columns, by which the diff sees that the row changed. It is 128 bits of
 * MD5 over a text that no other row makes (docs/decisions/rows-compared-by-md5.md). DuckDB's own hash() is
 * made for joins: in a number of more than 64 bits, equal halves cancel each other. A row that lacks columns
 * which are new in the model is compared over those that it has.
 */
import { createHash } from 'node:crypto'
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Column, ColumnType } from '@sluice/contracts/values'
import type { Shape } from '../state/shapes.ts'
import {
  differInCounts,
  fromStoredJson,
  isNested,
  once,
  quoteIdentifier,
  quoteText,
  readingOfExtracted,
  readingOfStored,
  structureWithJson,
} from '../sql/sql-types.ts'
import { isInSlice, type Slice, tableSlices } from './row-slices.ts'

/**
 * The version of the hashed text. It has to change with that text, so that earlier hashes do not count. It is
 * part of the text that identifies muted rows (find-changes.ts), so with another version these are sent
 * again.
 */
const FORMS = 4
/**
 * The version of the readings of stored values. With another version, the hashes of stored rows are made
 * again.
 */
const STORED_FORMS = 1

/** Kinds whose readings have no comma, do not begin with a number sign and are never empty. */
const PLAIN: ReadonlySet<ColumnType['kind']> = new Set([
  'boolean',
  'integer',
  'long',
  'float',
  'double',
  'decimal',
  'uuid',
  'date',
  'time',
  'timestamp',
  'interval',
])

export class RowHash {
  /** The compared columns, in the model's order. */
  readonly columns: readonly Column[]
  /**
   * Names the versions, and the compared columns with their types. Hashes of another spec do not count, since
   * how a value reads depends on the present type of its column.
   */
  readonly spec: string
  /** A short digest of the set of compared columns, whatever their types. */
  readonly columnsDigest: string

  constructor(columns: readonly Column[]) {
    this.columns = columns
    const named = JSON.stringify([FORMS, columns.map(({ name }) => name)])
    this.columnsDigest = createHash('sha256').update(named).digest('hex').slice(0, 8)
    this.spec = JSON.stringify({ forms: FORMS, stored: STORED_FORMS, columns })
  }

  /** Returns the compared columns that rows of a shape have. */
  columnsIn(shape: Shape): readonly Column[] {
    return this.columns.filter(column => shape.columns.includes(column.name))
  }

  isComplete(shape: Shape): boolean {
    return this.columnsIn(shape).length === this.columns.length
  }

  /** Returns SQL for the hash of an extracted row. `place` names the column with a value. */
  ofExtracted(columns: readonly Column[], place: (column: Column) => string): string {
    return joinedHash(groupsOf(columns).map(group => hashOfExtracted(group, place)))
  }

  /** Returns SQL that reads the compared columns of a stored row into a struct. */
  parseStored(content: string): string {
    return parseStored(this.columns, content)
  }

  /** Returns SQL for the hash of a struct that `parseStored` makes. */
  ofParsed(columns: readonly Column[], parsed: string): string {
    return joinedHash(groupsOf(columns).map(group => hashOfParsed(group, parsed)))
  }

  /**
   * Returns SQL for the hash of a parsed stored row of any shape. A missing row counts as if it had all
   * columns.
   */
  ofParsedByShape(shapes: readonly Shape[], shape: string, parsed: string): string {
    const incomplete = shapes.filter(s => !this.isComplete(s))
    const complete = this.ofParsed(this.columns, parsed)
    if (incomplete.length === 0) return complete
    const cases = incomplete.map(s => `WHEN ${s.id} THEN ${this.ofParsed(this.columnsIn(s), parsed)}`)
    return `CASE ${shape} ${cases.join(' ')} ELSE ${complete} END`
  }

  /** Returns the sets of columns that stored rows have, each with SQL that is true for such rows. */
  kindsOf(
    shapes: readonly Shape[],
  ): readonly { readonly columns: readonly Column[]; readonly isOne: string }[] {
    const incomplete = shapes.filter(shape => !this.isComplete(shape))
    const lacking = incomplete.map(shape => ({
      columns: this.columnsIn(shape),
      isOne: `shape = ${shape.id}`,
    }))
    const ids = incomplete.map(({ id }) => id).join(', ')
    const isOne = incomplete.length === 0 ? 'true' : `coalesce(shape NOT IN (${ids}), true)`
    return [{ columns: this.columns, isOne }, ...lacking]
  }
}

/** Divides columns into groups that are hashed together, so that DuckDB works on few at once. */
export function groupsOf(columns: readonly Column[]): readonly (readonly Column[])[] {
  const groups = Math.max(1, Math.ceil(columns.length / MAX_FIELDS))
  return Array.from({ length: groups }, (_, i) => columns.slice(i * MAX_FIELDS, (i + 1) * MAX_FIELDS))
}

/** Returns SQL that makes the hash of a row from the hashes of its groups of columns, in their order. */
function joinedHash(hashes: readonly string[]): string {
  const [first = '', ...others] = hashes
  if (others.length === 0) return first
  return `md5_number(concat(${hashes.map(hash => `to_hex(${hash})`).join(`, ',', `)}))`
}

/** Does the same as `joinedHash` if each hash is a row of its own, with the columns `hash` and `part`. */
export function gatheredHash(groups: number, where: string): string {
  if (groups === 1) return `any_value(hash) FILTER (${where})`
  return `md5_number(string_agg(to_hex(hash), ',' ORDER BY part) FILTER (${where}))`
}

export function hashOfExtracted(group: readonly Column[], place: (column: Column) => string): string {
  return hashOf(
    group.map(column => {
      const reading = readingOfExtracted(column.type, place(column))
      return { reading, type: column.type, isPlain: PLAIN.has(column.type.kind) }
    }),
  )
}

/** Returns SQL that reads columns of a stored row into a struct. */
function parseStored(columns: readonly Column[], content: string): string {
  return columns.length === 0 ? 'NULL' : `from_json(${content}, ${quoteText(structureWithJson(columns))})`
}

function hashOfParsed(columns: readonly Column[], parsed: string): string {
  const misfits: string[] = []
  const fields = columns.map(({ name, type }) => {
    const value = `(${parsed}).${quoteIdentifier(name)}`
    if (!isNested(type)) return { reading: readingOfStored(type, value), type, isPlain: false }
    const reading = readingOfStored(type, fromStoredJson(type, value))
    // The type cannot read every stored value: one that is not a list or struct, or that has a member which
    // the type no longer has. Its parts would count as missing.
    misfits.push(
      once(reading, 'reading', x => `${differInCounts(value, x)} OR (${value} IS NOT NULL AND ${x} IS NULL)`),
    )
    return { reading, type, isPlain: false }
  })
  const hash = hashOf(fields)
  if (misfits.length === 0) return hash
  return `xor(${hash}, CAST(CAST(coalesce(${misfits.join(' OR ')}, false) AS UTINYINT) AS UHUGEINT))`
}

/** The reading of a column. A plain reading can be a field without changes. */
interface Read {
  readonly reading: string
  readonly type: ColumnType
  readonly isPlain: boolean
}

/** More fields would take too much memory: DuckDB keeps 2,048 values for each step of an expression. */
const MAX_FIELDS = 100

/** Returns SQL for the hash of fields whose ends are unambiguous. */
function hashOf(columns: readonly Read[]): string {
  if (columns.length === 0) return `md5_number('')`
  const fields = columns.map(({ reading, type, isPlain }) => (isPlain ? reading : field(reading, type)))
  // NULL is the empty text between two commas, since concat() skips it.
  return `md5_number(concat(${fields.join(`, ',', `)}))`
}

/**
 * Returns SQL for a text as a field, which ends at the next comma. Usually the field is the text itself. If
 * the text contains a comma, is empty or begins with `#`, the field is `#`, the length in bytes, `:` and the
 * text.
 */
function field(reading: string, type: ColumnType): string {
  const fitted = (x: string): string =>
    `CASE WHEN ${x} = '' OR contains(${x}, ',') OR starts_with(${x}, '#') THEN '#' || strlen(${x}) || ':' || ${x} ELSE ${x} END`
  const isCostly = isNested(type) || type.kind === 'float' || type.kind === 'double'
  return isCostly ? once(reading, 'reading', fitted) : fitted(reading)
}

interface Filling {
  readonly hash: RowHash
  readonly shapes: readonly Shape[]
  /** True: every stored row gets a new hash. False: only rows without a hash get one. */
  readonly all: boolean
}

/**
 * Gives stored rows their hashes over the columns that are compared now. It takes wide rows slice by slice,
 * and many columns group by group. Only the hashes of all rows are in memory together.
 */
export async function fillHashes(
  connection: DuckDBConnection,
  { hash, shapes, all }: Filling,
): Promise<void> {
  // Rows with a content have a size. A condition on the content itself would make DuckDB read it.
  const missing = all ? 'size IS NOT NULL' : 'size IS NOT NULL AND hash IS NULL'
  const { slices } = await tableSlices(connection, { table: 'stored', size: 'size', where: missing })
  if (slices.length === 0) return
  const isOneStep = slices.length === 1 && groupsOf(hash.columns).length === 1
  if (!isOneStep) return fillInParts(connection, { hash, shapes, missing, slices })
  await connection.run(`
    UPDATE stored SET hash = made.made_hash FROM (
      SELECT rid, ${hash.ofParsedByShape(shapes, 'shape', 'parsed')} AS made_hash
      FROM (SELECT rowid AS rid, shape, ${hash.parseStored('content')} AS parsed FROM stored WHERE ${missing})
    ) AS made WHERE stored.rowid = made.rid`)
}

async function fillInParts(
  connection: DuckDBConnection,
  filling: Omit<Filling, 'all'> & { readonly missing: string; readonly slices: readonly Slice[] },
): Promise<void> {
  const { hash, shapes, missing, slices } = filling
  const kinds = hash.kindsOf(shapes)
  await connection.run(
    'CREATE OR REPLACE TEMP TABLE made (rid BIGINT, of USMALLINT, part USMALLINT, hash UHUGEINT)',
  )
  for (const [index, { columns, isOne }] of kinds.entries())
    for (const [part, group] of groupsOf(columns).entries())
      for (const slice of slices)
        await connection.run(`
          INSERT INTO made SELECT rid, ${index}, ${part}, ${hashOfParsed(group, 'parsed')}
          FROM (SELECT rowid AS rid, ${parseStored(group, 'content')} AS parsed FROM stored
            WHERE ${isInSlice('rowid', slice)} AND ${missing} AND ${isOne})`)
  for (const [index, { columns }] of kinds.entries())
    await connection.run(`
      UPDATE stored SET hash = gathered.hash FROM (
        SELECT rid, ${gatheredHash(groupsOf(columns).length, 'true')} AS hash FROM made WHERE of = ${index} GROUP BY rid
      ) AS gathered WHERE stored.rowid = gathered.rid`)
  await connection.run('DROP TABLE made')
}
