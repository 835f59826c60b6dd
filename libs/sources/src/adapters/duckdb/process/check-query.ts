/**
 * Refuses a query that could do more than read the source. It checks the tree that DuckDB's own parser makes
 * of the text that is about to run. Only SELECTs and the functions of a list pass. DuckDB binds a query only
 * after that, since some functions act while they are bound.
 */
import { realpathSync } from 'node:fs'
import { relative } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import type { ModelSpec } from '@sluice/contracts/resources'
import { refused } from '../../query/read-only-query.ts'
import { isState, STATE_FOLDER } from '../file-limits.ts'
import { isAllowedFunction } from './known-functions.ts'
import { filesMatching } from './steady-files.ts'
import { constantText, isNode, nodesOf, treeOf, type Node } from './tree-nodes.ts'

/** The allowed functions that open files. Their first argument names the files. */
const FILE_FUNCTIONS = /^(read_.*|parquet_.*|sniff_csv|glob)$/i
const LISTS: ReadonlySet<unknown> = new Set(['list_value', 'ARRAY_CONSTRUCTOR'])

interface StateFilesOptions {
  readonly model: ModelSpec
  /** The folder of the source, without links. */
  readonly folder: string
}

/**
 * Rejects with `query` for SQL that reads a file in a state folder, such as the key of the vault. A source
 * may well be the project folder, and DuckDB only takes a list of folders to read, not of folders to leave
 * out.
 *
 * So a query has to name its files as plain texts. This looks up the files that a text stands for before
 * DuckDB opens them. `tree` is the result of DuckDB's parser.
 */
async function refuseStateFiles(
  connection: DuckDBConnection,
  tree: unknown,
  { model, folder }: StateFilesOptions,
): Promise<void> {
  for (const name of namesIn(tree, model)) {
    const files = await filesMatching(connection, name)
    if ([name, ...files].some(file => isStateFile(file, folder)))
      throw refused(model, `it reads files below ${STATE_FOLDER}, which are those of Sluice`)
  }
}

function isStateFile(file: string, folder: string): boolean {
  const path = file.replace(/^file:\/*/i, '/')
  return [path, realPathOf(path)].some(each => isState(relative(folder, each)))
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

function namesIn(tree: unknown, model: ModelSpec): ReadonlySet<string> {
  return new Set([...nodesOf(tree)].flatMap(node => [...tableNames(node), ...argumentNames(node, model)]))
}

/**
 * Returns the name in a table reference if it may be the name of a file, which has a dot. If there is no
 * table of that name, DuckDB reads the file.
 */
function tableNames(node: Node): readonly string[] {
  if (node['type'] !== 'BASE_TABLE') return []
  const parts = ['catalog_name', 'schema_name', 'table_name'].map(part => node[part])
  const name = parts.filter(part => typeof part === 'string').join('.')
  return name.includes('.') ? [name] : []
}

function argumentNames({ type, function: called }: Node, model: ModelSpec): readonly string[] {
  if (type !== 'TABLE_FUNCTION' || !isNode(called)) return []
  const { function_name: name, children } = called
  if (!FILE_FUNCTIONS.test(String(name)) || !Array.isArray(children)) return []
  const first: unknown = children.find(child => !isOption(child))
  if (first === undefined) return []
  const texts = isNode(first) && isList(first) ? first['children'] : [first]
  return (Array.isArray(texts) ? texts : [null]).map((each: unknown) => writtenName(each, model))
}

/** True for `header = false` or `header := false`. */
function isOption(child: unknown): boolean {
  return isNode(child) && (child['alias'] !== undefined || child['type'] === 'COMPARE_EQUAL')
}

function isList({ type, function_name: name }: Node): boolean {
  return LISTS.has(name) || LISTS.has(type)
}

function writtenName(argument: unknown, model: ModelSpec): string {
  const name = constantText(argument)
  if (name !== null) return name
  throw refused(model, 'it works out the name of a file; write the name as a text')
}

/** The allowed kinds of queries, and of parts of FROM. */
const QUERY_NODES = new Set(['SELECT_NODE', 'SET_OPERATION_NODE', 'RECURSIVE_CTE_NODE', 'CTE_NODE'])
const TABLE_REFERENCES = new Set([
  ...['BASE_TABLE', 'SUBQUERY', 'JOIN', 'TABLE_FUNCTION', 'EXPRESSION_LIST'],
  ...['EMPTY', 'PIVOT', 'SHOW_REF', 'CTE'],
])
/** Views of DuckDB that describe this process and not the source. */
const REFUSED_VIEWS = new Set(['duckdb_logs'])
/** DuckDB would open a file of such a name as a database, and could write to it. */
const DATABASE_FILES = /\.(duckdb|ddb|db)(\?|$)/i
/** A view may read another view, and so on. */
const MAX_VIEWS = 1000

/** The names that a query uses, in lower case. */
interface Names {
  readonly functions: Set<string>
  readonly tables: Set<string>
}

interface CheckOptions {
  readonly model: ModelSpec
  /** The database with views and macros of the source's owner, if the source is a .duckdb file. */
  readonly database: string | null
  /** The folder of the source without links, if the source is a folder. */
  readonly folder: string | null
}

/**
 * Rejects with `query` if the SQL is not one SELECT of allowed parts. A text that DuckDB cannot parse passes,
 * since preparing it fails with DuckDB's own message and place.
 */
export async function checkQuery(
  connection: DuckDBConnection,
  sql: string,
  { model, database, folder }: CheckOptions,
): Promise<void> {
  const parsed = await parse(connection, sql)
  if (parsed.kind === 'no SQL') return
  if (parsed.kind === 'other') throw refused(model, `it is a statement of another kind (${parsed.why})`)
  if (parsed.statements !== 1) return
  const names = { functions: new Set<string>(), tables: new Set<string>() }
  for (const node of nodesOf(parsed.tree)) note(node, names, model)
  if (database === null) refuseDatabaseFiles(names, model)
  else {
    await addViews(connection, database, { names, model })
    await addCalculatedColumns(connection, database, { names, model })
  }
  const macros = database === null ? new Set<string>() : await macrosOf(connection, database)
  for (const name of names.functions) {
    if (macros.has(name)) throw refused(model, `it calls ${name}, a macro of the database; write it out`)
    if (!isAllowedFunction(name))
      throw refused(model, `it calls ${name}, which is no function that may be called`)
  }
  for (const name of names.tables) if (REFUSED_VIEWS.has(name)) throw refused(model, `it reads ${name}`)
  if (folder !== null) await refuseStateFiles(connection, parsed.tree, { model, folder })
}

type Parsed =
  | { readonly kind: 'queries'; readonly tree: unknown; readonly statements: number }
  | { readonly kind: 'no SQL' }
  | { readonly kind: 'other'; readonly why: string }

async function parse(connection: DuckDBConnection, sql: string): Promise<Parsed> {
  const tree = await treeOf(connection, sql)
  if (isNode(tree) && tree['error'] === false && Array.isArray(tree['statements']))
    return { kind: 'queries', tree, statements: tree['statements'].length }
  if (isNode(tree) && tree['error_type'] === 'parser') return { kind: 'no SQL' }
  return { kind: 'other', why: isNode(tree) ? String(tree['error_message']) : 'it cannot be looked into' }
}

function note(node: Node, names: Names, model: ModelSpec): void {
  const { type, function_name: called, table_name: table, schema_name: schema } = node
  if (typeof called === 'string') names.functions.add(called.toLowerCase())
  if (typeof table === 'string') {
    names.tables.add(table.toLowerCase())
    if (typeof schema === 'string') names.tables.add(`${schema}.${table}`.toLowerCase())
  }
  if (typeof type === 'string' && type.endsWith('_NODE') && !QUERY_NODES.has(type))
    throw refused(model, `it has a part of an unknown kind, ${type}`)
  for (const [name, part] of Object.entries(node))
    if (isReference(name, part) && !TABLE_REFERENCES.has(String(part['type'])))
      throw refused(model, `it reads from something of an unknown kind, ${String(part['type'])}`)
}

function isReference(name: string, part: unknown): part is Node {
  return name === 'from_table' && isNode(part) && typeof part['type'] === 'string'
}

function refuseDatabaseFiles({ tables }: Names, model: ModelSpec): void {
  for (const name of tables)
    if (DATABASE_FILES.test(name))
      throw refused(model, `it reads the database ${name}; make this file the \`path\` of a source`)
}

/** Adds the names that the views use which the query reads. A view is found by its name, in any schema. */
async function addViews(
  connection: DuckDBConnection,
  database: string,
  { names, model }: { readonly names: Names; readonly model: ModelSpec },
): Promise<void> {
  const reader = await connection.runAndReadAll(
    'SELECT view_name, sql FROM duckdb_views() WHERE database_name = $1 AND NOT internal',
    [database],
  )
  // JavaScript lowers these names as it lowers those of the query. DuckDB's lower() differs for İ and Σ.
  const views = reader
    .getRows()
    .map(([name, sql]) => ({ name: String(name).toLowerCase(), sql: String(sql) }))
  const looked = new Set<string>()
  for (let found = true; found;) {
    found = false
    for (const view of views) {
      if (!names.tables.has(view.name) || looked.has(view.sql)) continue
      found = true
      looked.add(view.sql)
      if (looked.size > MAX_VIEWS) throw refused(model, `it reads more than ${MAX_VIEWS} views`)
      await addView(connection, view, { names, model })
    }
  }
}

/**
 * DuckDB stores a view as `CREATE VIEW name (columns) AS query`. A name may contain ` AS `, too. So this adds
 * the names of each text behind an ` AS ` that is a query. The view's own query is among them.
 */
async function addView(
  connection: DuckDBConnection,
  view: { readonly name: string; readonly sql: string },
  { names, model }: { readonly names: Names; readonly model: ModelSpec },
): Promise<void> {
  let isKnown = false
  for (const { index } of view.sql.matchAll(/\bAS\s/gi)) {
    const parsed = await parse(connection, view.sql.slice(index + 'AS '.length))
    if (parsed.kind !== 'queries') continue
    isKnown = true
    for (const node of nodesOf(parsed.tree)) note(node, names, model)
  }
  if (!isKnown) throw refused(model, `it reads the view ${view.name}, which cannot be looked into`)
}

/** Adds the names that calculated columns use, in the tables that the query and its views read. */
async function addCalculatedColumns(
  connection: DuckDBConnection,
  database: string,
  { names, model }: { readonly names: Names; readonly model: ModelSpec },
): Promise<void> {
  // DuckDB shows a calculation as the column's default. So the defaults of these tables' other columns count,
  // too.
  const reader = await connection.runAndReadAll(
    `SELECT table_name, column_default
     FROM duckdb_columns() JOIN duckdb_tables() USING (database_name, schema_name, table_name)
     WHERE database_name = $1 AND sql LIKE '%GENERATED ALWAYS AS%' AND column_default IS NOT NULL`,
    [database],
  )
  for (const [table, calculation] of reader.getRows()) {
    if (!names.tables.has(String(table).toLowerCase())) continue
    const parsed = await parse(connection, `SELECT ${String(calculation)}`)
    if (parsed.kind !== 'queries')
      throw refused(
        model,
        `it reads the table ${String(table)}, whose calculated columns cannot be looked into`,
      )
    for (const node of nodesOf(parsed.tree)) note(node, names, model)
  }
}

async function macrosOf(connection: DuckDBConnection, database: string): Promise<ReadonlySet<string>> {
  const reader = await connection.runAndReadAll(
    'SELECT DISTINCT function_name FROM duckdb_functions() WHERE database_name = $1 AND NOT internal',
    [database],
  )
  return new Set(reader.getRows().map(([name]) => String(name).toLowerCase()))
}
