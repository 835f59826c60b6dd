/**
 * Rewrites the file names in a query, since DuckDB would read other files or lose rows:
 *
 * - It looks for a relative name in the process's working directory first, and could find another file there.
 * - It reads a quoted empty field of a CSV file as NULL, so that empty text and no text look alike (R18).
 * - It takes lines of a CSV file that begin with `#` for comments, and leaves out rows whose key begins so.
 * - It leaves out all lines of a CSV file before one with more fields. So one comma too many in the last line
 *   would remove all other rows.
 *
 * The rewrite edits the query's text at the places that DuckDB's own parser gives. Relative names become
 * absolute. Files are read with `CSV_OPTIONS` and `JSON_OPTIONS`, except for options that the query sets.
 */
import { isAbsolute, join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { SluiceError } from '@sluice/contracts/errors'
import { constantText, isNode, type Node, treeOf } from './process/tree-nodes.ts'
import { quoteIdentifier, quoteText } from './types.ts'

/** A query with rewritten file names, and the way back to places in the user's text. */
export interface ResolvedQuery {
  readonly sql: string
  /** True if files are read with `CSV_OPTIONS` and `JSON_OPTIONS`. */
  readonly withOptions: boolean
  /** The absolute paths in the query, which may be patterns. */
  readonly files: readonly string[]
  /** Maps an offset in `sql` to the offset in the user's text. */
  originalOffset(offset: number): number
}

interface Edit {
  /** Offsets in the user's text, in UTF-16 units. */
  readonly start: number
  readonly end: number
  readonly text: string
}

/** A file that the parsed query names. */
interface Reference {
  /** The place of the name, in bytes of UTF-8. */
  readonly at: number
  readonly name: string
  /**
   * The index of the call that reads the file, among the query's reads of CSV and JSON files in the order of
   * the tree. Null if the file is of another kind.
   */
  readonly read: number | null
  /** The place of the first type that the query names for columns of a CSV file; null if it names none. */
  readonly typesAt: number | null
  readonly as:
    | { readonly form: 'table'; readonly alias: string | null; readonly isDescribed: boolean }
    | {
        readonly form: 'argument'
        readonly options: readonly string[]
        /** True for the last name of a list, behind which options can be added. */
        readonly isLast: boolean
        readonly inList: boolean
      }
}

/** Options that a read of CSV or JSON files needs beside those of the query. */
export interface ReadOptions {
  /** Columns of a CSV file and their types, as entries of a struct. */
  readonly types: readonly string[]
  readonly others: readonly string[]
}

export const NO_READ_OPTIONS: ReadOptions = { types: [], others: [] }

/** Options of `read_csv`, by name, that keep each row and each text unchanged. */
const CSV_OPTIONS = new Map([
  ['allow_quoted_nulls', 'allow_quoted_nulls = false'],
  ['comment', "comment = ''"],
  ['skip', 'skip = 0'],
])

/**
 * DuckDB guesses types by the first 20,480 values, and rounds a later 1.5 among whole numbers to 2. With this
 * option it takes all values of JSON files into account. For CSV files it would hold a whole file in memory
 * (see csv-types.ts).
 */
const JSON_OPTIONS = new Map([['sample_size', 'sample_size = -1']])

/** `read_csv` takes the types of columns under three names. */
const TYPES_OPTION = /^(types|dtypes|column_types)$/

const TABLE_FILES = /\.(csv|tsv|parquet|json|jsonl|ndjson)(\.gz|\.zst)?$/i
export const CSV_FILES = /\.(csv|tsv)(\.gz|\.zst)?$/i
const JSON_FILES = /\.(json|jsonl|ndjson)(\.gz|\.zst)?$/i
export const CSV_FUNCTIONS = /^read_csv(_auto)?$/i
export const JSON_FUNCTIONS = /^read_(json|ndjson)(_auto)?$/i
const FILE_FUNCTIONS =
  /^(read_(csv|csv_auto|parquet|text|blob|(json|ndjson)(_objects)?(_auto)?)|parquet_(scan|metadata|schema|file_metadata|kv_metadata)|sniff_csv|glob)$/i
/** A file name in any form that SQL allows. */
const NAME_TOKEN =
  /^(?:[eE]?'(?:[^']|'')*'|\$(\w*)\$[\s\S]*?\$\1\$|"(?:[^"]|"")*"(?:\s*\.\s*"(?:[^"]|"")*")?|\w+\s*\.\s*\w+)/

/**
 * Rewrites the file names of a query. A query that DuckDB cannot parse stays unchanged, and preparing it
 * reports the error. `readOptions` has further options for each read of CSV and JSON files, in the tree's
 * order.
 */
export async function resolveFiles(
  connection: DuckDBConnection,
  sql: string,
  folder: string,
  readOptions: readonly ReadOptions[] = [],
): Promise<ResolvedQuery> {
  const references = await referencesIn(connection, sql)
  const files = references.map(({ name }) => pathOf(name, folder))
  for (const withOptions of [true, false]) {
    const edits = editsFor(sql, references, { folder, withOptions, readOptions })
    const resolved = { ...applyEdits(sql, edits), withOptions, files }
    // If SQL allows no function in place of a name, only the path in the name is rewritten.
    if (await isParsed(connection, resolved.sql)) return resolved
  }
  return { ...applyEdits(sql, []), withOptions: false, files }
}

async function isParsed(connection: DuckDBConnection, sql: string): Promise<boolean> {
  return connection.extractStatements(sql).then(
    statements => statements.count === 1,
    () => false,
  )
}

async function referencesIn(connection: DuckDBConnection, sql: string): Promise<readonly Reference[]> {
  const found = { references: [], reads: 0 }
  collect(await treeOf(connection, sql), false, found)
  return found.references
}

interface Found {
  readonly references: Reference[]
  reads: number
}

function collect(tree: unknown, isDescribed: boolean, found: Found): void {
  if (Array.isArray(tree)) {
    for (const item of tree) collect(item, isDescribed, found)
    return
  }
  if (!isNode(tree)) return
  if (tree['type'] === 'BASE_TABLE') collectTable(tree, isDescribed, found)
  if (tree['type'] === 'TABLE_FUNCTION') collectFunction(tree['function'], found)
  const describes = isDescribed || tree['type'] === 'SHOW_REF'
  for (const child of Object.values(tree)) collect(child, describes, found)
}

function collectTable(node: Node, isDescribed: boolean, found: Found): void {
  const { table_name: table, schema_name: schema, catalog_name: catalog, query_location: at, alias } = node
  if (typeof table !== 'string' || typeof at !== 'number' || catalog !== undefined) return
  // DuckDB parses a bare x.csv as table csv of schema x. Without such a table, it reads the file.
  const name = typeof schema === 'string' ? `${schema}.${table}` : table
  if (TABLE_FILES.test(name))
    found.references.push({
      at,
      name,
      read: !isDescribed && (CSV_FILES.test(name) || JSON_FILES.test(name)) ? found.reads++ : null,
      typesAt: null,
      as: { form: 'table', alias: typeof alias === 'string' ? alias : null, isDescribed },
    })
}

function collectFunction(call: unknown, found: Found): void {
  const isCsv = isNode(call) && CSV_FUNCTIONS.test(String(call['function_name']))
  const isJson = isNode(call) && JSON_FUNCTIONS.test(String(call['function_name']))
  const read = isCsv || isJson ? found.reads++ : null
  if (
    !isNode(call) ||
    !FILE_FUNCTIONS.test(String(call['function_name'])) ||
    !Array.isArray(call['children'])
  )
    return
  const children: readonly unknown[] = call['children']
  const [first, ...options] = children
  const names = isNode(first) && first['function_name'] === 'list_value' ? first['children'] : [first]
  if (!Array.isArray(names)) return
  const written = options.map(optionName)
  const wanted = isCsv ? [...CSV_OPTIONS] : isJson ? [...JSON_OPTIONS] : []
  const missing = wanted.filter(([option]) => !written.includes(option))
  const typed = typedColumns(options)
  for (const [index, constant] of names.entries()) {
    if (
      !isNode(constant) ||
      constant['alias'] !== undefined ||
      typeof constant['query_location'] !== 'number'
    )
      continue
    const text = constantText(constant)
    if (text === null) continue
    found.references.push({
      at: constant['query_location'],
      name: text,
      read,
      typesAt: typed === 'other' ? null : typed.at,
      as: {
        form: 'argument',
        options: missing.map(([, option]) => option),
        isLast: index === names.length - 1,
        inList: names.length > 1 || names[0] !== first,
      },
    })
  }
}

/** Returns the name of an option, in lower case. SQL writes options with `=`, `:=` or `=>`. */
export function optionName(option: unknown): string | undefined {
  if (!isNode(option)) return undefined
  const left = isNode(option['left']) ? option['left']['column_names'] : undefined
  const name: unknown = Array.isArray(left) ? left.at(-1) : option['alias']
  return typeof name === 'string' ? name.toLowerCase() : undefined
}

interface TypedColumns {
  /** The columns that have a type by name, in lower case. */
  readonly names: ReadonlySet<string>
  /** The number of columns that have a type by position, from the first column on. */
  readonly first: number
  /** The place of the first type, or of its name, in bytes; null if the read names no type. */
  readonly at: number | null
}

/** Returns the columns whose types a read of CSV files names; `other` for a form that is not understood. */
export function typedColumns(options: readonly unknown[]): TypedColumns | 'other' {
  const option = options.find(each => TYPES_OPTION.test(optionName(each) ?? ''))
  if (!isNode(option)) return { names: new Set(), first: 0, at: null }
  const types = isNode(option['right']) ? option['right'] : option
  const { function_name: name, children, query_location: at } = types
  if (!Array.isArray(children) || typeof at !== 'number') return 'other'
  if (name === 'list_value') return { names: new Set(), first: children.length, at }
  if (name !== 'struct_pack') return 'other'
  const names = children.map((child: unknown) => (isNode(child) ? child['alias'] : undefined))
  const isNamed = names.every(each => typeof each === 'string')
  return isNamed ? { names: new Set(names.map(each => each.toLowerCase())), first: 0, at } : 'other'
}

interface Editing {
  readonly folder: string
  readonly withOptions: boolean
  readonly readOptions: readonly ReadOptions[]
}

function editsFor(sql: string, references: readonly Reference[], editing: Editing): readonly Edit[] {
  const bytes = Buffer.from(sql)
  const offsetOf = (at: number): number => bytes.toString('utf8', 0, at).length
  return references
    .flatMap(reference => {
      const start = offsetOf(reference.at)
      const typesStart = reference.typesAt === null ? null : offsetOf(reference.typesAt)
      const token = NAME_TOKEN.exec(sql.slice(start))?.[0]
      return token === undefined ? [] : editFor(sql, { ...reference, start, token, typesStart }, editing)
    })
    .sort((a, b) => a.start - b.start)
}

function editFor(
  sql: string,
  reference: Reference & {
    readonly start: number
    readonly token: string
    readonly typesStart: number | null
  },
  { folder, withOptions, readOptions }: Editing,
): readonly Edit[] {
  const { start, token, name, as, read, typesStart } = reference
  const end = start + token.length
  const path = quoteText(pathOf(name, folder))
  const { types, others } = read === null ? NO_READ_OPTIONS : (readOptions[read] ?? NO_READ_OPTIONS)
  const asOption = types.length === 0 || typesStart !== null ? [] : [`types = {${types.join(', ')}}`]
  const further = [...asOption, ...others]
  if (as.form === 'table') {
    const isCsv = CSV_FILES.test(name)
    if (!withOptions || as.isDescribed || !(isCsv || JSON_FILES.test(name)))
      return [{ start, end, text: path }]
    const alias = as.alias === null ? ` AS ${quoteIdentifier(baseName(name))}` : ''
    const options = [...(isCsv ? CSV_OPTIONS : JSON_OPTIONS).values(), ...further]
    const called = isCsv ? 'read_csv' : 'read_json_auto'
    return [{ start, end, text: `${called}(${[path, ...options].join(', ')})${alias}` }]
  }
  const edits = [{ start, end, text: path }]
  const options = [...as.options, ...further]
  if (!withOptions || !as.isLast) return edits
  if (types.length > 0 && typesStart !== null) {
    if (!sql.slice(0, typesStart).trimEnd().endsWith('{')) throw guessedWrongly(name, types)
    edits.push({ start: typesStart, end: typesStart, text: types.map(type => `${type}, `).join('') })
  }
  if (options.length === 0) return edits
  const after = as.inList ? sql.indexOf(']', end) + 1 : end
  return after < end ? edits : [...edits, { start: after, end: after, text: ['', ...options].join(', ') }]
}

/** The error for types in another form than `{ … }`, to which none can be added. */
function guessedWrongly(name: string, types: readonly string[]): SluiceError {
  const message = `The query names types for some columns of ${name}. For the others DuckDB would guess by the first 20,480 rows, and change later values. Write the types as types = { column: 'TYPE', … }, so that all rows count for the columns that are left out; or add ${types.join(', ')}`
  return new SluiceError('query', message, { details: [{ field: 'sql', message }] })
}

function pathOf(name: string, folder: string): string {
  return isRelative(name) ? join(folder, name) : name
}

function isRelative(name: string): boolean {
  return !isAbsolute(name) && !name.startsWith('~') && !/^[a-z][a-z0-9+.-]*:/i.test(name)
}

/** The alias that DuckDB gives a file. */
function baseName(name: string): string {
  return name.split('/').at(-1)?.split('.')[0] ?? name
}

function applyEdits(sql: string, edits: readonly Edit[]): Omit<ResolvedQuery, 'files' | 'withOptions'> {
  let text = ''
  let at = 0
  /** Each edit with its place in the new text. */
  const placed: { readonly edit: Edit; readonly start: number; readonly end: number }[] = []
  for (const edit of edits) {
    if (edit.start < at) continue
    text += sql.slice(at, edit.start)
    placed.push({ edit, start: text.length, end: text.length + edit.text.length })
    text += edit.text
    at = edit.end
  }
  return {
    sql: text + sql.slice(at),
    originalOffset(offset) {
      let shift = 0
      for (const { edit, start, end } of placed) {
        if (offset < start) break
        if (offset < end) return edit.start
        shift = edit.end - end
      }
      return offset + shift
    },
  }
}
