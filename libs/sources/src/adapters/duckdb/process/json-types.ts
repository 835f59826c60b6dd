/**
 * Finds columns of JSON files in which DuckDB would change a value (R18). It takes whole numbers beside 1.5
 * for DOUBLE, which rounds them, and texts of times for times without an offset.
 *
 * So each file is read once more, its numbers and texts unchanged. DuckDB guesses a type for each path in the
 * JSON, however deep, and one number for each path gathers the kinds of its values. Columns of numbers that
 * no type holds stay JSON, with all their digits.
 */
import { type DuckDBConnection, type DuckDBType, DuckDBTypeId } from '@duckdb/node-api'
import { SluiceError } from '@sluice/contracts/errors'
import { NO_READ_OPTIONS, optionName, type ReadOptions } from '../file-references.ts'
import { quoteIdentifier, quoteText } from '../types.ts'
import { SAYS_TIMES, sqlOfCall, withOptions } from './csv-types.ts'
import type { Node } from './tree-nodes.ts'
import { type Check, CHECKS, CHECKS_OF_TEXTS, OTHER, TIMES } from './value-kinds.ts'

/** With one of these options, the query itself decides the types, or which values count. */
const SAYS_TYPES = new Set(['columns', 'auto_detect', 'ignore_errors', 'convert_strings_to_integers'])
/** Leaves that one query checks. DuckDB holds 2,048 values for each step of an expression. */
const MAX_LEAVES = 50

/** A path in the JSON of a column for which DuckDB guessed a scalar type. */
interface Leaf {
  readonly column: string
  /** A JSON path from the column; `$` for the column itself. */
  readonly path: string
  readonly type: string
  readonly check: Check
}

/** Returns the options of one read of JSON files: the types of all columns, if one differs from the guess. */
export async function optionsForJson(connection: DuckDBConnection, call: Node): Promise<ReadOptions> {
  if (!Array.isArray(call['children'])) return NO_READ_OPTIONS
  const children: readonly unknown[] = call['children']
  const written = children.map(optionName)
  if (written.some(name => name !== undefined && SAYS_TYPES.has(name))) return NO_READ_OPTIONS
  if (children.some(option => optionName(option) === 'sample_size' && !isWhole(option)))
    return NO_READ_OPTIONS
  const saysTimes = written.some(name => name !== undefined && SAYS_TIMES.has(name))
  const read = await sqlOfCall(connection, call)
  // If DuckDB cannot read the file at all, the query itself reports that, with the place in its text.
  const described = await columnsOf(connection, read).catch(() => [])
  const columns = await columnsOfFiles(connection, read, described)
  const leaves = columns
    .flatMap(({ name, type }) => leavesOf(name, '$', type))
    .filter(({ type }) => !saysTimes || !(TIMES.has(type) || type === 'VARCHAR'))
  const { right, empty } = await rightTypes(connection, read, leaves)
  const suspects = right.size === 0 ? empty : columns.map(({ name }) => name)
  await assertNoneRenamed(
    connection,
    read,
    suspects.filter(name => /\d$/.test(name)),
  )
  if (right.size === 0) return NO_READ_OPTIONS
  const types = columns.map(
    ({ name, type }) => `${quoteText(name)}: ${quoteText(typeText(name, '$', { type, right }))}`,
  )
  return { types: [], others: [`columns = {${types.join(', ')}}`] }
}

interface Column {
  readonly name: string
  readonly type: DuckDBType
}

/**
 * Returns the columns that are keys of the files. If the query asks for it, DuckDB adds columns for the
 * file's name and for values of folders after them, and refuses types for the added columns. `described` has
 * all columns.
 */
async function columnsOfFiles(
  connection: DuckDBConnection,
  read: string,
  described: readonly Column[],
): Promise<readonly Column[]> {
  for (let end = described.length; end > 0; end -= 1) {
    const columns = described.slice(0, end)
    const typed = withOptions(read, [asJson(columns.map(({ name }) => name))])
    const named = await columnsOf(connection, typed).catch(() => [])
    const areSame =
      named.length === described.length && named.every(({ name }, i) => name === described[i]?.name)
    if (areSame) return columns
  }
  return []
}

function asJson(names: readonly string[]): string {
  return `columns = {${names.map(name => `${quoteText(name)}: 'JSON'`).join(', ')}}`
}

/**
 * Throws `query` if DuckDB has renamed a key. It gives an empty key, and keys that differ from another in
 * case alone, names with a number. With types it would look for the new name, and find no value.
 */
async function assertNoneRenamed(
  connection: DuckDBConnection,
  read: string,
  names: readonly string[],
): Promise<void> {
  if (names.length === 0) return
  const counted = names.map(name => `count(${quoteIdentifier(name)})`).join(', ')
  const countsIn = async (from: string) =>
    (await connection.runAndReadAll(`SELECT ${counted} FROM ${from}`)).getRows()[0] ?? []
  const [asGuessed, asNamed] = [await countsIn(read), await countsIn(withOptions(read, [asJson(names)]))]
  const renamed = names.find((_, index) => Number(asNamed[index]) === 0 && Number(asGuessed[index]) > 0)
  if (renamed === undefined) return
  const message = `DuckDB calls a key of the JSON files "${renamed}", since it is empty, or differs from another in case alone. It would lose or round a value. Give the key another name; or read the files by read_json_objects(…), and take each value out of its column json: json->>'key'`
  throw new SluiceError('query', message, { details: [{ field: 'sql', message }] })
}

/** True for the option that makes DuckDB look at all values. Sluice itself sets this option. */
function isWhole(option: unknown): boolean {
  return /"value":-1\b/.test(JSON.stringify(option))
}

async function columnsOf(connection: DuckDBConnection, read: string): Promise<readonly Column[]> {
  const statement = await connection.prepare(`FROM ${read}`)
  try {
    return Array.from({ length: statement.columnCount }, (_, index) => ({
      name: statement.columnName(index),
      type: statement.columnType(index),
    }))
  } finally {
    statement.destroySync()
  }
}

function leavesOf(column: string, path: string, type: DuckDBType): readonly Leaf[] {
  switch (type.typeId) {
    case DuckDBTypeId.LIST:
      return leavesOf(column, `${path}[*]`, type.valueType)
    case DuckDBTypeId.MAP:
      return leavesOf(column, `${path}.*`, type.valueType)
    case DuckDBTypeId.STRUCT:
      return type.entryNames.flatMap((name, index) => {
        const entry = type.entryTypes[index]
        return entry === undefined ? [] : leavesOf(column, memberPath(path, name), entry)
      })
    default: {
      const name = type.toString()
      // JSON is a text with an alias, and is not checked. DuckDB guesses whole numbers and booleans rightly.
      if (type.alias !== undefined || name === 'BIGINT' || name === 'BOOLEAN') return []
      const check = CHECKS_OF_TEXTS[name] ?? CHECKS[name]
      return check === undefined ? [] : [{ column, path, type: name, check }]
    }
  }
}

function memberPath(path: string, name: string): string {
  return `${path}.${JSON.stringify(name)}`
}

/**
 * Returns the right types by column and path, where they differ from the guess, and columns without a value.
 */
async function rightTypes(
  connection: DuckDBConnection,
  read: string,
  leaves: readonly Leaf[],
): Promise<{ readonly right: ReadonlyMap<string, string>; readonly empty: readonly string[] }> {
  const right = new Map<string, string>()
  const empty = new Set(leaves.map(({ column }) => column))
  for (let first = 0; first < leaves.length; first += MAX_LEAVES) {
    const some = leaves.slice(first, first + MAX_LEAVES)
    const asJson = new Map(some.map(({ column, path }) => [column, path === '$' ? 'VARCHAR' : 'JSON']))
    const columns = [...asJson].map(([name, type]) => `${quoteText(name)}: ${quoteText(type)}`)
    const kinds = some.map(({ column, path, check }) => {
      const x = quoteIdentifier(column)
      const kindOf = (value: string): string =>
        `CASE WHEN ${value} IS NOT NULL THEN coalesce(${check.kind(value)}, ${OTHER}) END`
      if (path === '$') return `bit_or(${kindOf(x)})`
      const found = `json_extract_string(${x}, ${quoteText(path)})`
      const values = path.includes('*') ? found : `[${found}]`
      return `bit_or(list_aggregate(list_transform(${values}, lambda v: ${kindOf('v')}), 'bit_or'))`
    })
    const from = withOptions(read, [`columns = {${columns.join(', ')}}`])
    const reader = await connection.runAndReadAll(`SELECT ${kinds.join(', ')} FROM ${from}`)
    const [ofAll = []] = reader.getRows()
    for (const [index, { column, path, type, check }] of some.entries()) {
      const kind = ofAll[index]
      if (kind === null || kind === undefined) continue
      empty.delete(column)
      const wanted = check.type(Number(kind))
      // A number that no type holds stays JSON, so that it gets no quotation marks.
      const kept = type === 'DOUBLE' && wanted === 'VARCHAR' ? 'JSON' : wanted
      if (kept !== type) right.set(column + path, kept)
    }
  }
  return { right, empty: [...empty] }
}

/** Returns a column's type in SQL, with the right types of its leaves. */
function typeText(
  column: string,
  path: string,
  { type, right }: { readonly type: DuckDBType; readonly right: ReadonlyMap<string, string> },
): string {
  const inner = (innerPath: string, innerType: DuckDBType): string =>
    typeText(column, innerPath, { type: innerType, right })
  switch (type.typeId) {
    case DuckDBTypeId.LIST:
      return `${inner(`${path}[*]`, type.valueType)}[]`
    case DuckDBTypeId.MAP:
      return `MAP(${type.keyType.toString()}, ${inner(`${path}.*`, type.valueType)})`
    case DuckDBTypeId.STRUCT: {
      const entries = type.entryNames.map((name, index) => {
        const entry = type.entryTypes[index]
        return `${quoteIdentifier(name)} ${entry === undefined ? 'JSON' : inner(memberPath(path, name), entry)}`
      })
      return `STRUCT(${entries.join(', ')})`
    }
    default:
      return right.get(column + path) ?? (type.alias === 'JSON' ? 'JSON' : type.toString())
  }
}
