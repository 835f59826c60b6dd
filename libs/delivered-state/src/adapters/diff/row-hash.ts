/**
 * The hash of a row over the compared columns, by which the diff tells that it changed: 128 bits of MD5 over
 * how the row reads, as a text that no other row makes (docs/decisions/rows-compared-by-md5.md). DuckDB's own
 * hash() is made for joins: of numbers of more than 64 bits, halves that are equal cancel each other. A row
 * that lacks some of the columns (they are new in the model) is compared over those that it has.
 */
import { createHash } from 'node:crypto'
import type { Column, ColumnType } from '@sluice/contracts/values'
import type { Shape } from '../state/shapes.ts'
import {
  differInCounts,
  fromStoredJson,
  isNested,
  quoteIdentifier,
  quoteText,
  readingOfExtracted,
  readingOfStored,
  structureWithJson,
} from '../sql/sql-types.ts'

/** Another one wherever the text that is hashed changes: hashes of before are worth nothing then. */
const FORMS = 4

/** Kinds whose readings have no comma, begin with no number sign and are never empty. */
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
  /** Hashes made under another spec are worth nothing: how a stored value reads depends on its type now. */
  readonly spec: string
  /** Tells sets of compared columns apart in a few characters, whatever their types. */
  readonly columnsDigest: string

  constructor(columns: readonly Column[]) {
    this.columns = columns
    const named = JSON.stringify([FORMS, columns.map(({ name }) => name)])
    this.columnsDigest = createHash('sha256').update(named).digest('hex').slice(0, 8)
    this.spec = JSON.stringify({ forms: FORMS, columns })
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
    return joinedHash(groupsOf(columns).map(group => hashOfExtracted(group, place)))
  }

  /**
   * SQL that reads the compared columns of a stored row into a struct, and SQL for the hash of that struct.
   */
  parseStored(content: string): string {
    return parseStored(this.columns, content)
  }

  ofParsed(columns: readonly Column[], parsed: string): string {
    return joinedHash(groupsOf(columns).map(group => hashOfParsed(group, parsed)))
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

  /** The rows of the state by the columns that they have, with SQL that is true of the row's own. */
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

/** Columns whose values are hashed together, so that few are in work at once. */
export function groupsOf(columns: readonly Column[]): readonly (readonly Column[])[] {
  const groups = Math.max(1, Math.ceil(columns.length / MOST_FIELDS))
  return Array.from({ length: groups }, (_, i) => columns.slice(i * MOST_FIELDS, (i + 1) * MOST_FIELDS))
}

/** SQL for the hash of a row out of those of its groups of columns, in their order. */
function joinedHash(hashes: readonly string[]): string {
  const [first = '', ...others] = hashes
  if (others.length === 0) return first
  return `md5_number(concat(${hashes.map(hash => `to_hex(${hash})`).join(`, ',', `)}))`
}

/** The same, where each group's hash is a row of its own; `hash` and `part` are its columns. */
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

/** SQL that reads columns of a stored row into a struct. */
export function parseStored(columns: readonly Column[], content: string): string {
  return columns.length === 0 ? 'NULL' : `from_json(${content}, ${quoteText(structureWithJson(columns))})`
}

export function hashOfParsed(columns: readonly Column[], parsed: string): string {
  const misfits: string[] = []
  const fields = columns.map(({ name, type }) => {
    const value = `(${parsed}).${quoteIdentifier(name)}`
    if (!isNested(type)) return { reading: readingOfStored(type, value), type, isPlain: false }
    const reading = readingOfStored(type, fromStoredJson(type, value))
    // What is no list or struct, or has a member that the type lacks now, would read as if it had never
    // been.
    misfits.push(`${differInCounts(value, reading)} OR (${value} IS NOT NULL AND ${reading} IS NULL)`)
    return { reading, type, isPlain: false }
  })
  const hash = hashOf(fields)
  if (misfits.length === 0) return hash
  return `xor(${hash}, CAST(CAST(coalesce(${misfits.join(' OR ')}, false) AS UTINYINT) AS UHUGEINT))`
}

/** How a column reads, and whether that can be taken for a field as it stands. */
interface Read {
  readonly reading: string
  readonly type: ColumnType
  readonly isPlain: boolean
}

/**
 * Of more columns, the fields take too much memory: DuckDB keeps 2,048 values for each step of an expression.
 */
const MOST_FIELDS = 100

/** SQL for the hash of fields that tell where they end. */
function hashOf(columns: readonly Read[]): string {
  if (columns.length === 0) return `md5_number('')`
  const fields = columns.map(({ reading, type, isPlain }) => (isPlain ? reading : field(reading, type)))
  // NULL is nothing between two commas; concat() passes over it.
  return `md5_number(concat(${fields.join(`, ',', `)}))`
}

/**
 * SQL for a text as a field: as it stands, up to the next comma, unless it has one itself, is empty, or
 * begins like what stands for it then: `#`, its length in bytes, `:` and the text.
 */
function field(reading: string, type: ColumnType): string {
  // The reading of a list or struct is long to find, and is found once by way of a list.
  const x = isNested(type) ? 'reading' : reading
  const fitted = `CASE WHEN ${x} = '' OR contains(${x}, ',') OR starts_with(${x}, '#') THEN '#' || strlen(${x}) || ':' || ${x} ELSE ${x} END`
  return isNested(type) ? `list_transform([${reading}], lambda reading: ${fitted})[1]` : fitted
}
