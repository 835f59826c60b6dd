/**
 * Runs a model's query on a database of SQLite, in the process of the query. The rows go to DuckDB as text,
 * as those of a server do, so that memory holds few of them.
 */
import { mkdirSync } from 'node:fs'
import { constants, DatabaseSync, type StatementSync } from 'node:sqlite'
import { Readable } from 'node:stream'
import { isSluiceError, messageOf, SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import { type Answer, removeResult, type Task } from '../duckdb/messages.ts'
import { assertColumns, modelCalled } from '../query/model-columns.ts'
import { placeOfName } from '../query/name-place.ts'
import { assertBeginsAsQuery, assertOneStatement, refused, sqlOf } from '../query/read-only-query.ts'
import { SQLITE_SQL } from '../query/sql-dialect.ts'
import { cannotLoad, queryFailed } from '../server/errors.ts'
import { loadRows } from '../server/load-rows.ts'
import { classOf, columnFor, type SqliteColumn, type SqliteValue, type StorageClass } from './columns.ts'

/** A writer may hold the database this long. */
const BUSY_MS = 5_000
/** The first rows show the types of columns. Rows of more bytes than this are not waited for. */
const FIRST_ROWS = 1_000
const FIRST_BYTES = 1_000_000
/** The text goes to DuckDB in pieces of about this many characters. */
const PIECE_CHARACTERS = 262_144
/** SQLite's memory for pages of the database, in KB. */
const CACHE_KB = 16_000

/** Result codes: https://www.sqlite.org/rescode.html */
const CODE = {
  error: 1,
  busy: 5,
  locked: 6,
  readOnly: 8,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  notADatabase: 26,
} as const

/** PRAGMAs that only describe tables. SQL calls them as functions, such as `pragma_table_info('t')`. */
const DESCRIBING = new Set([
  'table_info',
  'table_xinfo',
  'table_list',
  'index_list',
  'index_info',
  'index_xinfo',
])

type SqliteRow = readonly SqliteValue[]

/** A query that was checked to only read. */
interface Prepared {
  readonly statement: StatementSync
  readonly names: readonly string[]
  /** The declared types of columns of tables; null for other columns. */
  readonly declared: readonly (string | null)[]
}

/** Carries out a task. Rejects with a SluiceError, or with an error of the disk. */
export async function answerFromSqlite(task: Task): Promise<Answer> {
  const database = openReadOnly(task)
  try {
    const prepared = translated(task, () => prepare(database, task.model))
    return task.file === null ? describe(task, prepared) : await write(task, prepared, task.file)
  } finally {
    database.close()
  }
}

/**
 * Opens the database in one snapshot. From here on, SQL can only read tables and call functions: it attaches
 * no other file, loads no extension, and changes no setting.
 */
function openReadOnly(task: Task): DatabaseSync {
  // SQLite sorts in files there. They vanish with the process.
  mkdirSync(task.tempDirectory, { recursive: true })
  process.env['SQLITE_TMPDIR'] = task.tempDirectory
  return translated(task, () => {
    const database = new DatabaseSync(task.source.realPath, { readOnly: true, timeout: BUSY_MS })
    try {
      database.exec(`PRAGMA trusted_schema = OFF; PRAGMA cache_size = -${CACHE_KB}; BEGIN`)
      // The first look at the schema shows if the file is a database.
      database.prepare('SELECT count(*) FROM sqlite_schema').get()
      database.setAuthorizer((action, first, second) => {
        const isAllowed =
          action === constants.SQLITE_SELECT ||
          action === constants.SQLITE_READ ||
          action === constants.SQLITE_RECURSIVE ||
          (action === constants.SQLITE_FUNCTION && second !== 'load_extension') ||
          (action === constants.SQLITE_PRAGMA && DESCRIBING.has(String(first).toLowerCase()))
        return isAllowed ? constants.SQLITE_OK : constants.SQLITE_DENY
      })
      return database
    } catch (error) {
      database.close()
      throw error
    }
  })
}

function prepare(database: DatabaseSync, model: ModelSpec): Prepared {
  const sql = sqlOf(model, SQLITE_SQL)
  assertBeginsAsQuery(model, sql, SQLITE_SQL)
  assertOneStatement(model, sql, SQLITE_SQL)
  const statement = database.prepare(sql)
  if (statement.expandedSQL !== statement.sourceSQL)
    throw refused(model, 'it has parameters, for which there are no values')
  statement.setReadBigInts(true)
  statement.setReturnArrays(true)
  const columns = statement.columns()
  assertColumns(model, columns)
  return { statement, names: columns.map(({ name }) => name), declared: columns.map(({ type }) => type) }
}

/** The classes of the values that were seen in each column. */
class Survey {
  readonly #prepared: Prepared
  readonly #seen: readonly Set<StorageClass>[]

  constructor(prepared: Prepared) {
    this.#prepared = prepared
    this.#seen = prepared.names.map(() => new Set())
  }

  add(row: SqliteRow): void {
    for (let index = 0; index < row.length; index += 1) {
      const value = row[index] ?? null
      if (value !== null) this.#seen[index]?.add(classOf(value))
    }
  }

  /** Throws `query` if a column has values that no one type holds. */
  columns(model: ModelSpec): readonly SqliteColumn[] {
    const { names, declared } = this.#prepared
    return names.map((name, index) => {
      const seen = this.#seen[index] ?? new Set()
      const column = columnFor(name, seen, declared[index] ?? null)
      if (column !== null) return column
      const others = [...seen].filter(each => each !== 'blob').join(' and ')
      const message = `column ${name} has blobs beside values of the type ${others}; write one type for all of them, such as hex(${SQLITE_SQL.quote(name)})`
      throw new SluiceError('query', `The query of ${modelCalled(model.name)}: ${message}.`, {
        details: [{ field: 'sql', message }],
      })
    })
  }
}

function describe(task: Task, prepared: Prepared): Answer {
  const survey = new Survey(prepared)
  translated(task, () => firstRows(rowsOf(prepared), survey))
  return { kind: 'columns', columns: survey.columns(task.model).map(({ name, type }) => ({ name, type })) }
}

function rowsOf({ statement }: Prepared): Iterator<SqliteRow> {
  return statement.iterate() as unknown as Iterator<SqliteRow>
}

/** Takes the first rows of a query. */
function firstRows(rows: Iterator<SqliteRow>, survey: Survey): readonly SqliteRow[] {
  const first: SqliteRow[] = []
  let bytes = 0
  while (first.length < FIRST_ROWS && bytes < FIRST_BYTES) {
    const next = rows.next()
    if (next.done === true) break
    survey.add(next.value)
    first.push(next.value)
    for (const value of next.value)
      bytes += typeof value === 'string' || value instanceof Uint8Array ? value.length : 8
  }
  return first
}

/**
 * Writes the rows with the types that the first of them suggest. If a later one has a value of another class,
 * all rows are written once more, with the types that hold all of them. Both readings see one snapshot.
 */
async function write(task: Task, prepared: Prepared, file: string): Promise<Answer> {
  const survey = new Survey(prepared)
  const rows = rowsOf(prepared)
  const first = translated(task, () => firstRows(rows, survey))
  const guessed = survey.columns(task.model)
  const some = await load(task, { file, columns: guessed, survey, first, rows })
  if (some !== null) return { kind: 'rows', rowCount: some, seen: null }
  await removeResult(file)
  const columns = survey.columns(task.model)
  const all = await load(task, { file, columns, survey, first: [], rows: rowsOf(prepared) })
  if (all === null) throw new Error('a column has values of other classes than before')
  return { kind: 'rows', rowCount: all, seen: null }
}

interface Loading {
  readonly file: string
  readonly columns: readonly SqliteColumn[]
  readonly survey: Survey
  /** Rows before those of `rows`. */
  readonly first: readonly SqliteRow[]
  readonly rows: Iterator<SqliteRow>
}

/**
 * Resolves with the number of rows; null if a value does not fit its column. Then the survey has seen all
 * rows.
 */
async function load(task: Task, { file, columns, survey, first, rows }: Loading): Promise<number | null> {
  const { model, source, memoryBytes } = task
  let failed: { readonly error: unknown } | null = null
  let isMisfit = false
  let written = 0
  const text = function* (): Generator<Buffer> {
    let piece = ''
    try {
      for (const row of allRows(first, rows)) {
        survey.add(row)
        isMisfit ||= !fits(row, columns)
        if (isMisfit) continue
        written += 1
        piece += lineOf(row, columns)
        if (piece.length < PIECE_CHARACTERS) continue
        yield Buffer.from(piece)
        piece = ''
      }
    } catch (error) {
      failed = { error }
      throw error
    }
    if (isMisfit) throw new Error('a value does not fit its column')
    yield Buffer.from(piece)
  }
  const { signal } = new AbortController()
  const stream = Readable.from(text(), { objectMode: false })
  const loaded = await loadRows({ file, columns, text: stream, memoryBytes, signal }).catch(
    (error: unknown) => {
      if (isMisfit && failed === null) return null
      if (failed !== null) throw sqliteError(failed.error, task)
      const names = { source: source.name, server: source.path, secrets: [], passwordName: null }
      throw cannotLoad(error, names, { model, file, columns })
    },
  )
  if (loaded !== null && loaded !== written)
    throw new SluiceError(
      'internal',
      `Source ${source.name} gave ${written} rows for ${modelCalled(model.name)}, and ${loaded} of them could be read. Nothing of its result was taken.`,
    )
  return loaded
}

function* allRows(first: readonly SqliteRow[], rows: Iterator<SqliteRow>): Generator<SqliteRow> {
  yield* first
  for (let next = rows.next(); next.done !== true; next = rows.next()) yield next.value
}

function fits(row: SqliteRow, columns: readonly SqliteColumn[]): boolean {
  for (let index = 0; index < row.length; index += 1) {
    const value = row[index] ?? null
    if (value !== null && columns[index]?.holds.has(classOf(value)) !== true) return false
  }
  return true
}

function lineOf(row: SqliteRow, columns: readonly SqliteColumn[]): string {
  let line = ''
  for (let index = 0; index < row.length; index += 1) {
    const value = row[index] ?? null
    if (index > 0) line += '\t'
    line += value === null ? '\\N' : (columns[index]?.write(value) ?? '')
  }
  // DuckDB ignores an empty line. So a row of one column gets a second column.
  return row.length === 1 ? `${line}\t\n` : `${line}\n`
}

function translated<T>(task: Task, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw sqliteError(error, task)
  }
}

/** Translates an error of SQLite. */
function sqliteError(error: unknown, { model, source }: Task): SluiceError {
  if (isSluiceError(error)) return error
  const said = messageOf(error)
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : null
  const { name, path } = source
  const names = { source: name, server: path, secrets: [], passwordName: null }
  const database = (what: string, retryable = false): SluiceError =>
    new SluiceError(retryable ? 'unreachable' : 'query', `Source ${name}: ${what}: ${said}`, {
      cause: error,
      retryable,
    })
  switch (code) {
    case CODE.busy:
    case CODE.locked:
      return database(
        `another process writes to ${path}, and held it for longer than ${BUSY_MS / 1_000} s`,
        true,
      )
    case CODE.notADatabase:
    case CODE.corrupt:
      return database(`${path} is not a SQLite database that can be read`)
    case CODE.readOnly:
    case CODE.cannotOpen:
      return database(
        `${path} cannot be opened read-only. If it has a journal or is in WAL mode, let its own program open it once, or let Sluice write to its folder`,
      )
    case CODE.full:
      return new SluiceError(
        'disk',
        `The query of ${modelCalled(model.name)} sorts more than the disk holds: ${said}. Make room on that disk; nothing was lost.`,
        { cause: error, retryable: true },
      )
    default:
  }
  if (/not authorized|prohibited/.test(said)) throw refused(model, `SQLite says that it is not: ${said}`)
  const [, what, missing] =
    /^(no such table|no such column|no such function|near)[: ]+"?([^"]+)"?/.exec(said) ?? []
  return queryFailed(error, names, {
    model,
    place: missing === undefined ? null : placeOfName(missing, model.sql ?? ''),
    reason: said,
    ...(what === 'no such table' ? { advice: 'missing' as const } : {}),
  })
}
