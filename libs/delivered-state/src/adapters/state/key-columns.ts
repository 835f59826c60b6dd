/**
 * Checks that keys are made of the same columns as before. A key identifies a row in all that was ever sent,
 * so its columns must not change while the sync has a state.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { SluiceError } from '@sluice/contracts/errors'
import type { Column, ColumnType } from '@sluice/contracts/values'
import { keySql } from '@sluice/domain/canonical-sql'
import { keyColumns } from '../diff/find-changes.ts'
import type { KnownRequest } from './known-columns.ts'
import { isInSlice, tableSlices } from '../diff/row-slices.ts'
import { keyTextOfStored, quoteIdentifier, quoteText, storedStructure } from '../sql/sql-types.ts'
import { metaSql } from './state-meta.ts'
import { rowsOf } from '../sql/rows-of.ts'

interface KeyColumn {
  readonly name: string
  readonly kind: string
}

/**
 * Returns SQL that remembers the columns of keys; empty if the state knows them already.
 *
 * Throws `config` if the state's keys were made of other columns, or if the columns have other types now that
 * no longer make the keys of most stored rows.
 *
 * A key is its text: 5 and '5' are one key, so types may change. A row whose key reads differently now is
 * another row. A state that was rebuilt from topics does not know its key columns. Then most stored rows must
 * lead to the keys that they are stored under. A result without rows has no types, so it is not remembered.
 */
export async function keyColumnsSql(
  connection: DuckDBConnection,
  { request, hasRows, meta }: KnownRequest,
  { sync, hasStored }: { readonly sync: string; readonly hasStored: boolean },
): Promise<string> {
  const columns = keyColumns(request)
  const wanted: readonly KeyColumn[] = columns.map(column => ({
    name: column.name,
    kind: kindOf(column.type),
  }))
  const saved = meta.get('key') ?? null
  const text = JSON.stringify(wanted)
  if (saved === text) return ''
  if (!hasRows) {
    const was = saved === null ? null : (JSON.parse(saved) as readonly KeyColumn[])
    const isRenamed = was !== null && namesOf(was) !== namesOf(wanted)
    if (isRenamed) throw changed(sync, describe(was), describe(wanted))
    return ''
  }
  if (hasStored && (await hasContents(connection))) {
    const was = saved === null ? null : (JSON.parse(saved) as readonly KeyColumn[])
    const isRenamed = was !== null && namesOf(was) !== namesOf(wanted)
    if (isRenamed || (await hasOtherKeys(connection, columns)))
      throw changed(sync, was === null ? 'other columns' : describe(was), describe(wanted))
  }
  return metaSql('key', text)
}

async function hasContents(connection: DuckDBConnection): Promise<boolean> {
  const [row] = await rowsOf(connection, 'SELECT EXISTS (FROM state WHERE size IS NOT NULL)')
  return row?.[0] === true
}

/** True if most stored rows do not make, out of these columns, the keys that they are stored under. */
async function hasOtherKeys(connection: DuckDBConnection, columns: readonly Column[]): Promise<boolean> {
  const texts = columns.map(column => keyTextOfStored(column.type, `parsed.${quoteIdentifier(column.name)}`))
  const key = keySql(texts)
  const structure = quoteText(storedStructure(columns))
  let rows = 0
  let others = 0
  const { slices } = await tableSlices(connection, {
    table: 'stored',
    size: 'size',
    where: 'size IS NOT NULL',
  })
  for (const slice of slices) {
    const result = await rowsOf(
      connection,
      `
      SELECT count(*), count(*) FILTER (key IS DISTINCT FROM ${key})
      FROM (SELECT key, from_json(content, ${structure}) AS parsed FROM state WHERE size IS NOT NULL AND ${isInSlice('srid', slice)})`,
    )
    const [some = 0, other = 0] = (result[0] ?? []).map(Number)
    rows += some
    others += other
  }
  return others > rows / 2
}

/** Names the kind of a type. Whole numbers of any width have one kind, since they make the same keys. */
function kindOf(type: ColumnType): string {
  if (type.kind === 'integer' || type.kind === 'long' || (type.kind === 'decimal' && type.scale === 0))
    return 'whole number'
  if (type.kind === 'decimal') return `decimal with ${type.scale} digits after the point`
  if (type.kind === 'timestamp') return type.zone ? 'timestamp with a zone' : 'timestamp'
  return type.kind
}

function namesOf(columns: readonly KeyColumn[]): string {
  return JSON.stringify(columns.map(({ name }) => name))
}

function describe(columns: readonly KeyColumn[]): string {
  return columns.map(column => `${column.name} (${column.kind})`).join(', ')
}

function changed(sync: string, was: string, is: string): SluiceError {
  return new SluiceError(
    'config',
    `The primary key was made of ${was} when rows were delivered, and is made of ${is} now, so that no row can be told from another. ` +
      `Put it back, or run \`sluice reset ${sync}\` to forget the delivered state and send every row again as added.`,
    { details: [{ field: 'primaryKey', message: `was ${was}, is ${is}` }] },
  )
}
