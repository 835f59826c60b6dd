/** A source whose rows the caller gives, for tests of syncs. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { messageOf, SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import type { Column } from '@sluice/contracts/values'
import type { Extract, Source } from '../port.ts'
import { treeOf } from './duckdb/process/tree-nodes.ts'
import { attachExtract, closeExtract, DuckdbSession, EXTRACT } from './duckdb/session.ts'
import { carry, quoteIdentifier, quoteText } from './duckdb/types.ts'
import { assertColumns } from './query/model-columns.ts'

const MEMORY_LIMIT = '128MB'

/** Values as YAML and JSON have them. */
export type GivenRow = { readonly [column: string]: unknown }

export interface GivenRows {
  readonly rows: readonly GivenRow[]
  /** Rows that the source gives at another time. Columns and their types follow from these rows, too. */
  readonly others?: readonly GivenRow[]
  /** DuckDB types of columns, by name. The type of any other column follows from its values. */
  readonly types: { readonly [column: string]: string }
}

/**
 * Makes sources with given rows. They share one instance of DuckDB, because opening an instance takes longer
 * than writing a few rows. One of the sources is read at a time.
 */
export class GivenSources implements AsyncDisposable {
  readonly #folder: string
  #session: Promise<DuckdbSession> | null = null

  /** Temporary files of DuckDB go below `folder`. */
  constructor(folder: string) {
    this.#folder = folder
  }

  /**
   * Makes a source with these rows. Its columns are all columns of the rows, in the order in which they come.
   */
  open(given: GivenRows): Source {
    return createGivenSource(given, () => (this.#session ??= this.#openSession()))
  }

  #openSession(): Promise<DuckdbSession> {
    const tempDirectory = join(this.#folder, 'given.tmp')
    return DuckdbSession.open(this.#folder, { memoryLimit: MEMORY_LIMIT, threads: 1, tempDirectory })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const session = await this.#session?.catch(() => null)
    await session?.[Symbol.asyncDispose]()
  }
}

function createGivenSource(given: GivenRows, session: () => Promise<DuckdbSession>): Source {
  const write = async (model: ModelSpec, file: string): Promise<Extract> => {
    const { connection } = await session()
    await attachExtract(connection, file)
    try {
      return await fill(connection, model, file)
    } finally {
      await closeExtract(connection)
    }
  }
  const fill = async (connection: DuckDBConnection, model: ModelSpec, file: string): Promise<Extract> => {
    const table = `${EXTRACT}.main.rows`
    const { rows, others = [], types } = given
    const names = columnNames(given)
    const typed = names.map(name => ({ name, type: types[name] ?? typeOf(name, [...rows, ...others]) }))
    if (names.length === 0) throw wrongRows('there is no column. Name one in `types`')
    for (const column of typed) await assertType(connection, column)
    const declared = typed.map(({ name, type }) => `${quoteIdentifier(name)} ${type}`)
    const inserts = rows.map(row => {
      const values = typed.map(({ name, type }) => valueSql(row[name], type))
      return `INSERT INTO ${table} VALUES (${values.join(', ')});`
    })
    // DuckDB returns the result of the last statement, which only has the columns.
    const create = `CREATE TABLE ${table} (${declared.join(', ')}); ${inserts.join(' ')} FROM ${table} LIMIT 0`
    const result = await connection.run(create).catch(rethrown)
    const columns = result.columnTypes().map((type, index): Column => {
      const carried = carry(type)
      const name = names[index] ?? ''
      if (carried.cast !== null)
        throw wrongRows(`column \`${name}\` has the type ${String(type)}; wanted ${carried.sqlType}`)
      return { name, type: carried.type }
    })
    assertColumns(model, columns)
    return { file, columns, rowCount: rows.length }
  }
  return {
    describe: () => Promise.reject(new SluiceError('internal', 'given rows are only extracted')),
    extract: async (model, { file }) => {
      try {
        return await write(model, file)
      } catch (error) {
        await rm(file, { force: true })
        throw error
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

function columnNames({ rows, others = [], types }: GivenRows): readonly string[] {
  const names = new Set([...others, ...rows].flatMap(row => Object.keys(row)))
  // A model without rows has columns, too.
  for (const name of Object.keys(types)) names.add(name)
  return [...names]
}

/**
 * Checks that the text is a type and nothing else, since it becomes a part of SQL. DuckDB's own parser has to
 * find one cast of NULL in a SELECT with it.
 */
async function assertType(
  connection: DuckDBConnection,
  { name, type }: { readonly name: string; readonly type: string },
): Promise<void> {
  const cast = 'SELECT CAST(NULL AS '
  const trees = await Promise.all(['INTEGER', type].map(each => treeOf(connection, `${cast}${each})`)))
  const [known, found] = trees.map(withoutType)
  // A comment would hide the parenthesis, and with it what stands behind the type.
  if (found !== known || /--|\/\*/.test(type))
    throw wrongRows(`column \`${name}\` has a type that is none: ${quoteText(type)}`)
}

/** The tree without the type of its cast, and without places in the text. */
function withoutType(tree: unknown): string {
  return JSON.stringify(tree, (field, value: unknown) =>
    field === 'cast_type' || field === 'query_location' || field === 'stmt_length' ? null : value,
  )
}

/** Returns the DuckDB type that holds all values of the column. */
function typeOf(name: string, rows: readonly GivenRow[]): string {
  const types = new Set(rows.map(row => typeOfValue(row[name])).filter(type => type !== null))
  if (types.has('DOUBLE') || types.has('DECIMAL(38,0)')) types.delete('BIGINT')
  const [type = 'VARCHAR', ...others] = types
  if (others.length === 0) return type
  throw wrongRows(
    `column \`${name}\` has values of several types: ${[...types].join(', ')}. Name one in \`types\``,
  )
}

function typeOfValue(value: unknown): string | null {
  if (value === null || value === undefined) return null
  if (typeof value === 'boolean') return 'BOOLEAN'
  if (typeof value === 'bigint') return BigInt.asIntN(64, value) === value ? 'BIGINT' : 'DECIMAL(38,0)'
  if (typeof value === 'number') return Number.isSafeInteger(value) ? 'BIGINT' : 'DOUBLE'
  return typeof value === 'string' ? 'VARCHAR' : 'JSON'
}

function valueSql(value: unknown, type: string): string {
  if (value === null || value === undefined) return 'NULL'
  const isScalar = typeof value === 'string' || typeof value === 'bigint'
  const text = isScalar ? String(value) : JSON.stringify(value)
  return `CAST(${quoteText(text)} AS ${type})`
}

/** Throws DuckDB's error, without the SQL below it. */
function rethrown(error: unknown): never {
  throw wrongRows(messageOf(error).split('\n', 1)[0] ?? '')
}

function wrongRows(why: string): SluiceError {
  return new SluiceError('config', `The rows of the test cannot be rows of a model: ${why}.`)
}
