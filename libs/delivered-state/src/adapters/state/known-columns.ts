/**
 * The types of a model's columns as the state knew them last. A column without values has no known type. In a
 * CSV file, for example, a column that is empty today is text, and if there is only a header, all columns are
 * text. A column without values keeps its last type. So rows that are removed read as they were delivered,
 * and so do their keys.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Column, ColumnType } from '@sluice/contracts/values'
import type { DiffRequest, RetypedColumn } from '../../port.ts'
import { isInSlice, tableSlices } from '../diff/row-slices.ts'
import { quoteIdentifier, quoteText } from '../sql/sql-types.ts'
import { metaSql, type StateMeta } from './state-meta.ts'
import { rowsOf } from '../sql/rows-of.ts'

/** A request whose columns have known types. The attached extract is `extract.main.rows`. */
export interface KnownRequest {
  /** The request. A column without values has the type that it had when it last had values. */
  readonly request: DiffRequest
  /** Names of the columns without values in this result; all columns if it has no rows. */
  readonly empty: ReadonlySet<string>
  readonly hasRows: boolean
  /** The metadata of the state before this diff. */
  readonly meta: StateMeta
  /** Columns whose values are of another type than those before. */
  readonly retyped: readonly RetypedColumn[]
}

/** Gives columns without values their last types, and finds columns that have another type now. */
export async function withKnownTypes(
  connection: DuckDBConnection,
  request: DiffRequest,
  { hasRows, meta }: Pick<KnownRequest, 'hasRows' | 'meta'>,
): Promise<KnownRequest> {
  const saved = meta.get('columns')
  const remembered = saved === undefined ? null : typesOf(JSON.parse(saved) as readonly Column[])
  const isOther = ({ name, type }: Column): boolean =>
    remembered === null ? type.kind === 'text' : !isSame(remembered.get(name) ?? type, type)
  const others = request.columns.filter(isOther)
  const empty = new Set(
    hasRows ? await withoutValues(connection, others) : request.columns.map(({ name }) => name),
  )
  const known =
    remembered ??
    (await storedTypes(
      connection,
      others.filter(({ name }) => empty.has(name)),
    ))
  const columns = request.columns.map(({ name, type }) => ({
    name,
    type: (empty.has(name) ? known.get(name) : undefined) ?? type,
  }))
  const retyped = columns.flatMap(({ name, type }) => {
    const was = remembered?.get(name)
    return was === undefined || isSame(was, type) ? [] : [{ name, was, is: type }]
  })
  return { request: { ...request, columns }, empty, hasRows, meta, retyped }
}

/** Returns those of the columns that have no value in the extract. */
async function withoutValues(
  connection: DuckDBConnection,
  columns: readonly Column[],
): Promise<readonly string[]> {
  if (columns.length === 0) return []
  const counts = columns.map(({ name }) => `count(${quoteIdentifier(name)})`).join(', ')
  const result = await rowsOf(connection, `SELECT ${counts} FROM extract.main.rows`)
  const [row = []] = result
  return columns.filter((_, index) => Number(row[index]) === 0).map(({ name }) => name)
}

function isSame(a: ColumnType, b: ColumnType): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/**
 * Returns SQL that remembers the types of columns that have values, once the result is known to be one of
 * this sync; empty if the state knows them already. A column that never had a value is not remembered.
 */
export function knownTypesSql({ request, empty, hasRows, meta }: KnownRequest): string {
  if (!hasRows) return ''
  const saved = meta.get('columns')
  const remembered = saved === undefined ? new Map() : typesOf(JSON.parse(saved) as readonly Column[])
  const columns = request.columns.filter(({ name }) => remembered.has(name) || !empty.has(name))
  const text = JSON.stringify(columns)
  return saved === text ? '' : metaSql('columns', text)
}

function typesOf(columns: readonly Column[]): ReadonlyMap<string, ColumnType> {
  return new Map(columns.map(({ name, type }) => [name, type]))
}

/**
 * Finds types in the stored rows, since a state that was rebuilt from topics does not know them. A text
 * column gets the type that all of its stored values have in JSON, if JSON shows it.
 */
async function storedTypes(
  connection: DuckDBConnection,
  columns: readonly Column[],
): Promise<ReadonlyMap<string, ColumnType>> {
  // In a path, `*` means every member, even in quotes.
  const texts = columns.filter(({ name, type }) => type.kind === 'text' && name !== '*')
  const types = new Map<string, ColumnType>()
  if (texts.length === 0) return types
  const selected = texts.map(({ name }) => {
    // A path in quotes takes a name of any characters.
    const path = quoteText(`$."${name.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`)
    return `list(DISTINCT json_type(content, ${path})) FILTER (json_type(content, ${path}) <> 'NULL') AS ${quoteIdentifier(name)}`
  })
  const kinds = new Map<string, Set<unknown>>(texts.map(({ name }) => [name, new Set()]))
  const { slices } = await tableSlices(connection, {
    table: 'stored',
    size: 'size',
    where: 'size IS NOT NULL',
  })
  for (const slice of slices) {
    const reader = await connection.runAndReadAll(
      `SELECT ${selected.join(', ')} FROM state WHERE size IS NOT NULL AND ${isInSlice('srid', slice)}`,
    )
    const [row = {}] = reader.getRowObjectsJson()
    for (const [name, found] of kinds) {
      const some: unknown = row[name]
      if (Array.isArray(some)) for (const kind of some) found.add(kind)
    }
  }
  for (const [name, found] of kinds) {
    const type = typeOfJson([...found])
    if (type !== null) types.set(name, type)
  }
  return types
}

function typeOfJson(kinds: readonly unknown[]): ColumnType | null {
  if (kinds.length === 0) return null
  const all = (...wanted: readonly string[]): boolean => kinds.every(kind => wanted.includes(String(kind)))
  if (all('BOOLEAN')) return { kind: 'boolean' }
  if (all('UBIGINT', 'BIGINT')) return { kind: 'long' }
  if (all('UBIGINT', 'BIGINT', 'DOUBLE')) return { kind: 'double' }
  return null
}
