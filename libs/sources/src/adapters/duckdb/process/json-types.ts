/**
 * Finds columns of JSON files whose values DuckDB would not read as they stand there (R18). It takes whole
 * numbers beside 1.5 for DOUBLE, which rounds them, and texts of times for times without an offset.
 *
 * So each file is read once more, its numbers and texts as they stand. One number for each value that DuckDB
 * guesses a type for, however deep it is nested, says which kinds of values it has. Columns of numbers that
 * no type holds stay JSON, with all their digits.
 */
import { type DuckDBConnection, type DuckDBType, DuckDBTypeId } from '@duckdb/node-api'
import { NO_READ_OPTIONS, optionName, type ReadOptions } from '../file-references.ts'
import { quoteIdentifier, quoteText } from '../types.ts'
import { SAYS_TIMES, textOf, withOptions } from './csv-types.ts'
import type { Node } from './tree-nodes.ts'
import { type Check, CHECKS, CHECKS_OF_TEXTS, OTHER, TIMES } from './value-kinds.ts'

/** Options by which the query itself says how values read, or which of them. */
const SAYS_TYPES = new Set(['columns', 'auto_detect', 'ignore_errors', 'convert_strings_to_integers'])
/** DuckDB keeps 2,048 values for each step of an expression. */
const MOST_LEAVES = 50

/** A value of a column for which DuckDB guessed a type that is not nested. */
interface Leaf {
  readonly column: string
  /** Where it is in the JSON of its column; empty: it is the column. */
  readonly path: string
  readonly type: string
  readonly check: Check
}

/** Gives the options of one read of JSON files: the types of all columns, if one differs from the guess. */
export async function optionsForJson(connection: DuckDBConnection, call: Node): Promise<ReadOptions> {
  if (!Array.isArray(call['children'])) return NO_READ_OPTIONS
  const children: readonly unknown[] = call['children']
  const written = children.map(optionName)
  if (written.some(name => name !== undefined && SAYS_TYPES.has(name))) return NO_READ_OPTIONS
  if (children.some(option => optionName(option) === 'sample_size' && !isWhole(option)))
    return NO_READ_OPTIONS
  const saysTimes = written.some(name => name !== undefined && SAYS_TIMES.has(name))
  const read = await textOf(connection, call)
  // What DuckDB cannot read at all, the query itself reports, with the place in its text.
  const described = await columnsOf(connection, read).catch(() => [])
  // DuckDB adds it by itself.
  const columns = described.filter(({ name }) => name !== 'filename' || !written.includes('filename'))
  const leaves = columns
    .flatMap(({ name, type }) => leavesOf(name, '$', type))
    .filter(({ type }) => !saysTimes || !(TIMES.has(type) || type === 'VARCHAR'))
  const right = await rightTypes(connection, read, leaves)
  if (right.size === 0) return NO_READ_OPTIONS
  const types = columns.map(
    ({ name, type }) => `${quoteText(name)}: ${quoteText(typeText(name, '$', { type, right }))}`,
  )
  const option = `columns = {${types.join(', ')}}`
  // Names that come from elsewhere, such as those of folders, are no columns of the files.
  const named = await columnsOf(connection, withOptions(read, [option])).catch(() => [])
  const areSame = named.map(({ name }) => name).join('\n') === described.map(({ name }) => name).join('\n')
  return areSame ? { types: [], others: [option] } : NO_READ_OPTIONS
}

/** True for a sample of all values, which is what Sluice asks for. */
function isWhole(option: unknown): boolean {
  return /"value":-1\b/.test(JSON.stringify(option))
}

async function columnsOf(
  connection: DuckDBConnection,
  read: string,
): Promise<readonly { readonly name: string; readonly type: DuckDBType }[]> {
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
      // JSON has the alias of a text. Whole numbers and booleans are no guess.
      if (type.alias !== undefined || name === 'BIGINT' || name === 'BOOLEAN') return []
      const check = CHECKS_OF_TEXTS[name] ?? CHECKS[name]
      return check === undefined ? [] : [{ column, path, type: name, check }]
    }
  }
}

function memberPath(path: string, name: string): string {
  return `${path}.${JSON.stringify(name)}`
}

/** The types of leaves that differ from the guess, by column and path. */
async function rightTypes(
  connection: DuckDBConnection,
  read: string,
  leaves: readonly Leaf[],
): Promise<ReadonlyMap<string, string>> {
  const right = new Map<string, string>()
  for (let first = 0; first < leaves.length; first += MOST_LEAVES) {
    const some = leaves.slice(first, first + MOST_LEAVES)
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
      const wanted = check.type(Number(kind))
      // A number that no type holds stays as it stands there, without quotation marks.
      const kept = type === 'DOUBLE' && wanted === 'VARCHAR' ? 'JSON' : wanted
      if (kept !== type) right.set(column + path, kept)
    }
  }
  return right
}

/** The type of a column, with the right types of its leaves. */
function typeText(
  column: string,
  path: string,
  of: { readonly type: DuckDBType; readonly right: ReadonlyMap<string, string> },
): string {
  const { type, right } = of
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
