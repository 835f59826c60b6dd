/**
 * Writes the rows of a topic to the extract: as they are, or as the model's `sql` makes them of `changes`,
 * row by row. No row decides what becomes of another, so that a part of a topic gives the same rows as the
 * whole.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import { type Column, WHY_INVALID } from '@sluice/contracts/values'
import { parseAsWritten } from '@sluice/domain/answers/answer-body'
import { duckdbMessage } from '../duckdb/errors.ts'
import { isAllowedFunction } from '../duckdb/process/known-functions.ts'
import { isNode, nodesOf, type Node } from '../duckdb/process/tree-nodes.ts'
import { EXTRACT } from '../duckdb/session.ts'
import { carriedColumnsOf, quoteIdentifier, quoteText } from '../duckdb/types.ts'
import { assertColumns, modelCalled } from '../query/model-columns.ts'
import { assertBeginsAsQuery, prepareQuery, sqlOf } from '../query/read-only-query.ts'

/** The name by which SQL reads the rows. */
export const CHANGES = 'changes'
const WHY = quoteIdentifier(WHY_INVALID)
const ROWS = `${EXTRACT}.main.rows`

export interface MadeRows {
  readonly columns: readonly Column[]
  readonly rowCount: number
}

/** Makes the table `rows`. Rejects with `query` for SQL that is not row by row, or that fails. */
export async function createRows(
  connection: DuckDBConnection,
  options: {
    readonly model: ModelSpec
    /** The table with the rows, and the reason of each that is invalid. */
    readonly changes: string
    readonly columns: readonly Column[]
    /** The columns that tell the rows apart. An invalid row has no others for sure. */
    readonly primaryKey: readonly string[]
    readonly limit: number | null
  },
): Promise<MadeRows> {
  const { model, changes, limit } = options
  const names = options.columns.map(({ name }) => quoteIdentifier(name)).join(', ')
  const plain = `SELECT ${names}, ${WHY} FROM ${changes}`
  const invalid = await connection.runAndReadAll(`SELECT 1 FROM ${changes} WHERE ${WHY} IS NOT NULL LIMIT 1`)
  const hasInvalid = invalid.currentRowCount > 0
  let columns = options.columns
  let rows = `SELECT ${names}${hasInvalid ? `, ${WHY}` : ''} FROM ${changes}`
  if (model.sql !== undefined) {
    await connection.run(`CREATE TEMP VIEW ${CHANGES} AS ${plain}`)
    const query = await rowByRow(connection, model, { keyOfInvalid: hasInvalid ? options.primaryKey : null })
    const carried = await carriedBy(connection, model, query.valid)
    columns = carried.map(({ name, carried: { type } }) => ({ name, type }))
    const own = carried
      .map(({ name, carried: { cast } }) => {
        const quoted = quoteIdentifier(name)
        return cast === null ? quoted : `${cast(quoted)} AS ${quoted}`
      })
      .join(', ')
    rows = `SELECT ${own} FROM (${query.valid})`
    if (hasInvalid)
      rows = `SELECT ${own}, ${WHY} FROM (${query.valid}) UNION ALL SELECT ${own}, ${WHY} FROM (${query.invalid})`
  }
  const some = limit === null ? '' : ` LIMIT ${limit}`
  try {
    await connection.run(`CREATE TABLE ${ROWS} AS SELECT * FROM (${rows})${some}`)
  } catch (error) {
    if (model.sql === undefined) throw error
    throw failed(model, duckdbMessage(error), error)
  }
  const counted = await connection.runAndReadAll(`SELECT count(*) FROM ${ROWS}`)
  return { columns, rowCount: Number(counted.getRows()[0]?.[0]) }
}

/** Returns the columns of the user's SELECT, without those that go through it. */
export async function carriedBy(
  connection: DuckDBConnection,
  model: ModelSpec,
  sql: string,
  through: readonly string[] = [WHY_INVALID],
) {
  try {
    const prepared = await prepareQuery(connection, model, sql)
    const carried = carriedColumnsOf(prepared).filter(({ name }) => !through.includes(name))
    prepared.destroySync()
    assertColumns(model, carried)
    return carried
  } catch (error) {
    throw isSluiceError(error) ? error : failed(model, duckdbMessage(error), error)
  }
}

export function failed(model: ModelSpec, message: string, cause?: unknown): SluiceError {
  return new SluiceError('query', `The query of ${modelCalled(model.name)} fails: ${message}`, {
    cause,
    details: [{ field: 'sql', message }],
  })
}

/** Parts of a SELECT that look at several rows, and their names for people. */
const PARTS: readonly (readonly [string, string])[] = [
  ['having', 'HAVING'],
  ['qualify', 'QUALIFY'],
  ['sample', 'a sample'],
]
const MODIFIERS: { readonly [type: string]: string } = {
  LIMIT_MODIFIER: 'a LIMIT',
  LIMIT_PERCENT_MODIFIER: 'a LIMIT',
  DISTINCT_MODIFIER: 'DISTINCT',
  ORDER_MODIFIER: 'an ORDER BY, and changes have no other order than their own',
}

export interface RowByRow {
  /** The model's SQL, for valid rows. */
  readonly valid: string
  /** The same for invalid rows, which pass every condition: a condition would read as their removal. */
  readonly invalid: string
  /** The same for all rows, without its condition. */
  readonly all: string
  /** The columns that the condition looks at. */
  readonly conditionOn: ReadonlySet<string>
  /** By the name of each column that is calculated or renamed: the columns that it is made of. */
  readonly madeOf: ReadonlyMap<string, ReadonlySet<string>>
  /** True if it has a star, so that a new column of the topic is one of the rows. */
  readonly hasStar: boolean
}

/**
 * Checks that the SQL reads `changes` row by row. `through` names columns of `changes` that its results have
 * as well, behind the others, and that no star stands for; one of them is the reason of invalid rows. With
 * `keyOfInvalid`, the key has to follow from these columns. Throws `query`.
 */
export async function rowByRow(
  connection: DuckDBConnection,
  model: ModelSpec,
  {
    keyOfInvalid,
    through = [WHY_INVALID],
  }: { readonly keyOfInvalid: readonly string[] | null; readonly through?: readonly string[] },
): Promise<RowByRow> {
  const { tree, statement, select } = await parsedSelect(connection, model)
  const list = listIn(select, 'select_list')
  if (keyOfInvalid !== null) assertKeyTold(list, keyOfInvalid, model)
  const where = select['where_clause']
  const found = { conditionOn: columnsIn(where), madeOf: madeOf(list) }
  const stars = [...nodesOf(list)].filter(node => node['type'] === 'STAR')
  for (const star of stars) for (const name of through) exclude(star, name, model)
  const reason = reference(WHY_INVALID)
  const isValid = { class: 'OPERATOR', type: 'OPERATOR_IS_NULL', alias: '', children: [reason] }
  const isInvalid = { ...isValid, type: 'OPERATOR_IS_NOT_NULL' }
  const both = { class: 'CONJUNCTION', type: 'CONJUNCTION_AND', alias: '', children: [isValid, where] }
  const withThrough = { ...select, select_list: [...list, ...through.map(reference)] }
  const text = async (condition: unknown): Promise<string> =>
    await textOf(connection, {
      ...tree,
      statements: [{ ...statement, node: { ...withThrough, where_clause: condition } }],
    })
  return {
    ...found,
    hasStar: stars.length > 0,
    valid: await text(where === null || where === undefined ? isValid : both),
    invalid: await text(isInvalid),
    all: await text(null),
  }
}

function reference(name: string): Node {
  return { class: 'COLUMN_REF', type: 'COLUMN_REF', alias: '', column_names: [name] }
}

function columnsIn(node: unknown): ReadonlySet<string> {
  const names = [...nodesOf(node)].flatMap(each =>
    each['class'] === 'COLUMN_REF' ? (columnOf(each) ?? []) : [],
  )
  return new Set(names)
}

/** Returns the calculated columns of a list, with their names and values. */
function calculated(list: readonly Node[]): readonly { readonly name: string; readonly value: unknown }[] {
  return list.flatMap(node => [
    { name: nameOf(node), value: node },
    ...listIn(node, 'replace_list').map(({ key, value }) => ({ name: String(key), value })),
  ])
}

function madeOf(list: readonly Node[]): ReadonlyMap<string, ReadonlySet<string>> {
  return new Map(
    calculated(list).flatMap(({ name, value }) => (name === '' ? [] : [[name, columnsIn(value)] as const])),
  )
}

/** Parses the SQL. Rejects with `query` if it is not row by row. */
async function parsedSelect(connection: DuckDBConnection, model: ModelSpec) {
  const sql = sqlOf(model)
  assertBeginsAsQuery(model, sql)
  const tree = await parsed(connection, model, sql)
  const [statement, ...others] = listIn(tree, 'statements')
  const select = statement?.['node']
  if (others.length > 0 || !isNode(select)) throw notRowByRow(model, 'it is several statements')
  await assertRowByRow(connection, model, select)
  return { tree, statement, select }
}

/** The columns of `changes` that a model's SQL reads. */
export interface ReadColumns {
  /** True if it reads this column. */
  readonly reads: (column: string) => boolean
  /**
   * Returns the column that the SQL gives unchanged by this name; null if it calculates it, or gives none.
   */
  readonly unchanged: (name: string) => string | null
}

/** Looks up what the SQL reads. Rejects with `query` for SQL that is not row by row. */
export async function columnsRead(connection: DuckDBConnection, model: ModelSpec): Promise<ReadColumns> {
  const { select } = await parsedSelect(connection, model)
  const used = new Set<string>()
  let hasStar = false
  for (const node of nodesOf(select)) {
    if (node['type'] === 'STAR') hasStar = true
    if (node['class'] !== 'COLUMN_REF' || !Array.isArray(node['column_names'])) continue
    for (const name of node['column_names']) used.add(String(name).toLowerCase())
  }
  const list = listIn(select, 'select_list')
  const unchanged = (name: string): string | null => {
    const wanted = name.toLowerCase()
    const own = list.find(node => node['type'] !== 'STAR' && nameOf(node).toLowerCase() === wanted)
    if (own !== undefined) return own['class'] === 'COLUMN_REF' ? wholeColumn(own) : null
    const star = list.find(node => node['type'] === 'STAR')
    const isPlain =
      star !== undefined &&
      listIn(star, 'replace_list').length === 0 &&
      listIn(star, 'rename_list').length === 0
    return isPlain ? name : null
  }
  return { reads: column => hasStar || used.has(column.toLowerCase()), unchanged }
}

/** Returns the name of the column; null for a field of one. */
function wholeColumn({ column_names: names }: Node): string | null {
  if (!Array.isArray(names)) return null
  const [first, second] = names.map(String)
  if (names.length === 1) return first ?? null
  return names.length === 2 && first?.toLowerCase() === CHANGES ? (second ?? null) : null
}

async function parsed(connection: DuckDBConnection, model: ModelSpec, sql: string): Promise<Node> {
  const reader = await connection.runAndReadAll('SELECT json_serialize_sql($1::VARCHAR)', [sql])
  // Some numbers of the tree are larger than JavaScript can hold.
  const tree = parseAsWritten(String(reader.getRows()[0]?.[0]))
  if (!isNode(tree)) throw notRowByRow(model, 'it cannot be looked into')
  if (tree['error'] === false) return tree
  const message = String(tree['error_message'])
  if (tree['error_type'] !== 'parser')
    throw notRowByRow(model, `it is a statement of another kind (${message})`)
  throw failed(model, message)
}

async function textOf(connection: DuckDBConnection, tree: Node): Promise<string> {
  const reader = await connection.runAndReadAll('SELECT json_deserialize_sql($1::JSON)', [
    JSON.stringify(tree),
  ])
  return String(reader.getRows()[0]?.[0])
}

async function assertRowByRow(connection: DuckDBConnection, model: ModelSpec, select: Node): Promise<void> {
  if (select['type'] !== 'SELECT_NODE') throw notRowByRow(model, 'it puts several queries together')
  const from = select['from_table']
  if (!isNode(from) || from['type'] !== 'BASE_TABLE' || String(from['table_name']).toLowerCase() !== CHANGES)
    throw notRowByRow(model, isJoin(from) ? 'it joins' : 'it reads something else than `changes`')
  for (const part of ['schema_name', 'catalog_name'])
    if (from[part] !== '' && from[part] !== undefined)
      throw notRowByRow(model, 'it reads something else than `changes`')
  if (listIn(select['cte_map'], 'map').length > 0) throw notRowByRow(model, 'it has a WITH')
  if (listIn(select, 'group_expressions').length > 0 || listIn(select, 'group_sets').length > 0)
    throw notRowByRow(model, 'it has a GROUP BY')
  for (const [part, called] of PARTS)
    if (select[part] !== null && select[part] !== undefined) throw notRowByRow(model, `it has ${called}`)
  if (from['sample'] !== null && from['sample'] !== undefined) throw notRowByRow(model, 'it has a sample')
  for (const { type } of listIn(select, 'modifiers'))
    throw notRowByRow(model, `it has ${MODIFIERS[String(type)] ?? String(type)}`)
  const aggregates = await aggregatesOf(connection)
  for (const node of nodesOf(select)) assertExpression(node, { model, aggregates })
}

function isJoin(from: unknown): boolean {
  return isNode(from) && from['type'] === 'JOIN'
}

function assertExpression(
  node: Node,
  { model, aggregates }: { readonly model: ModelSpec; readonly aggregates: ReadonlySet<string> },
): void {
  const { class: kind, function_name: called, columns } = node
  if (kind === 'SUBQUERY') throw notRowByRow(model, 'it has a subquery')
  if (kind === 'WINDOW') throw notRowByRow(model, 'it has a window function')
  if (kind === 'STAR' && columns === true) throw notRowByRow(model, 'it has COLUMNS; name the columns')
  if (typeof called !== 'string') return
  const name = called.toLowerCase()
  if (aggregates.has(name)) throw notRowByRow(model, `it has an aggregate, ${name}`)
  if (name === 'unnest') throw notRowByRow(model, 'it makes several rows of one, by unnest')
  if (!isAllowedFunction(name))
    throw notRowByRow(model, `it calls ${name}, which is no function that may be called`)
}

async function aggregatesOf(connection: DuckDBConnection): Promise<ReadonlySet<string>> {
  const reader = await connection.runAndReadAll(
    `SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = ${quoteText('aggregate')}`,
  )
  return new Set(reader.getRows().map(([name]) => String(name)))
}

/**
 * Checks that the key of an invalid row follows from its key alone. Its other values may not be known. With
 * another key, the row would seem to be removed.
 */
function assertKeyTold(list: readonly Node[], primaryKey: readonly string[], model: ModelSpec): void {
  const known = new Set(primaryKey.map(name => name.toLowerCase()))
  for (const { name, value } of calculated(list)) {
    if (!known.has(name.toLowerCase())) continue
    for (const each of nodesOf(value)) {
      const used = each['class'] === 'COLUMN_REF' ? columnOf(each) : null
      if (used !== null && !known.has(used.toLowerCase()))
        throw notRowByRow(
          model,
          `it makes the key "${name}" of "${used}", which a record that cannot be read does not tell`,
        )
    }
  }
}

function nameOf(node: Node): string {
  const { alias } = node
  return typeof alias === 'string' && alias !== '' ? alias : (columnOf(node) ?? '')
}

function columnOf({ column_names: names }: Node): string | null {
  const last: unknown = Array.isArray(names) ? names.at(-1) : null
  return typeof last === 'string' ? last : null
}

/** A star stands for the columns of the rows alone. */
function exclude(star: Node, name: string, model: ModelSpec): void {
  const excluded = star['exclude_list']
  if (!Array.isArray(excluded)) throw notRowByRow(model, 'its * cannot be looked into')
  excluded.push(name)
}

function listIn(node: unknown, name: string): readonly Node[] {
  const list = isNode(node) ? node[name] : null
  return Array.isArray(list) ? list.filter(isNode) : []
}

function notRowByRow(model: ModelSpec, found: string): SluiceError {
  const message = `The SQL of ${modelCalled(model.name)} has to make one row of each row of \`changes\`, or none, but ${found}.`
  return new SluiceError('query', message, { details: [{ field: 'sql', message }] })
}
