/**
 * The columns of a model as the state knew them last. A result without rows may say nothing of its types: of
 * a CSV file that is only a header all columns are text. The rows that such a run removes then have the types
 * that they were delivered with, and so do their keys.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Column, ColumnType } from '@sluice/contracts/values'
import type { DiffRequest } from '../port.ts'
import { quoteIdentifier, quoteText } from './sql-types.ts'
import { readMeta, saveMeta } from './state-meta.ts'

/**
 * The attached extract is `extract.main.rows`. `hasRows` is false for a result without rows: then the columns
 * of the request have the types of the last result that had some.
 */
export interface KnownRequest {
  readonly request: DiffRequest
  readonly hasRows: boolean
}

/** Gives the columns of a result without rows their types. */
export async function withKnownTypes(
  connection: DuckDBConnection,
  request: DiffRequest,
): Promise<KnownRequest> {
  const counted = await connection.runAndReadAll('SELECT count(*) FROM (FROM extract.main.rows LIMIT 1)')
  const hasRows = Number(counted.getRows()[0]?.[0]) > 0
  if (hasRows) return { request, hasRows }
  const saved = await readMeta(connection, 'columns')
  const known =
    saved === null
      ? await storedTypes(connection, request.columns)
      : typesOf(JSON.parse(saved) as readonly Column[])
  const columns = request.columns.map(({ name, type }) => ({ name, type: known.get(name) ?? type }))
  return { request: { ...request, columns }, hasRows }
}

/** Remembers the columns of a result with rows, once it is known to be one of this sync. */
export async function rememberTypes(
  connection: DuckDBConnection,
  { request, hasRows }: KnownRequest,
): Promise<void> {
  const text = JSON.stringify(request.columns)
  if (hasRows && (await readMeta(connection, 'columns')) !== text) await saveMeta(connection, 'columns', text)
}

function typesOf(columns: readonly Column[]): ReadonlyMap<string, ColumnType> {
  return new Map(columns.map(({ name, type }) => [name, type]))
}

/**
 * After the state was rebuilt from topics nothing says which types its rows had: then a column of text has
 * the type that all of its stored values have in JSON, as far as that tells.
 */
async function storedTypes(
  connection: DuckDBConnection,
  columns: readonly Column[],
): Promise<ReadonlyMap<string, ColumnType>> {
  // In a path, `*` means every member, in quotes too.
  const texts = columns.filter(({ name, type }) => type.kind === 'text' && name !== '*')
  const types = new Map<string, ColumnType>()
  if (texts.length === 0) return types
  const found = texts.map(({ name }) => {
    // A path in quotes takes a name of any characters.
    const path = quoteText(`$."${name.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`)
    return `list(DISTINCT json_type(content, ${path})) FILTER (json_type(content, ${path}) <> 'NULL') AS ${quoteIdentifier(name)}`
  })
  const reader = await connection.runAndReadAll(
    `SELECT ${found.join(', ')} FROM state WHERE content IS NOT NULL`,
  )
  const [row = {}] = reader.getRowObjectsJson()
  for (const { name } of texts) {
    const type = typeOfJson(row[name])
    if (type !== null) types.set(name, type)
  }
  return types
}

function typeOfJson(kinds: unknown): ColumnType | null {
  if (!Array.isArray(kinds) || kinds.length === 0) return null
  const all = (...wanted: readonly string[]): boolean => kinds.every(kind => wanted.includes(String(kind)))
  if (all('BOOLEAN')) return { kind: 'boolean' }
  if (all('UBIGINT', 'BIGINT')) return { kind: 'long' }
  if (all('UBIGINT', 'BIGINT', 'DOUBLE')) return { kind: 'double' }
  return null
}

/** SQL for a type in which a column of it can be held. */
export function sqlTypeOf(type: ColumnType): string {
  switch (type.kind) {
    case 'decimal':
      return `DECIMAL(${type.precision},${type.scale})`
    case 'timestamp':
      return type.zone ? 'TIMESTAMPTZ' : 'TIMESTAMP'
    case 'list':
      return `${sqlTypeOf(type.of)}[]`
    case 'struct':
      return `STRUCT(${type.fields.map(field => `${quoteIdentifier(field.name)} ${sqlTypeOf(field.type)}`).join(', ')})`
    default:
      return SQL_TYPES[type.kind]
  }
}

const SQL_TYPES: {
  readonly [kind in Exclude<ColumnType['kind'], 'decimal' | 'timestamp' | 'list' | 'struct'>]: string
} = {
  boolean: 'BOOLEAN',
  integer: 'INTEGER',
  long: 'BIGINT',
  float: 'FLOAT',
  double: 'DOUBLE',
  text: 'VARCHAR',
  json: 'JSON',
  bytes: 'BLOB',
  uuid: 'UUID',
  date: 'DATE',
  time: 'TIME',
  interval: 'INTERVAL',
}
