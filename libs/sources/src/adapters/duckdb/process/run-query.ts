/**
 * Runs a model's query in a process of its own: checks it, finds its columns, and writes its result straight
 * into the extract, so that no row passes through JavaScript.
 */
import { rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import { primaryKeyOf } from '@sluice/domain/definition'
import { diskErrorOf, emptyFile, duckdbMessage, queryError, saysOutOfMemory } from '../errors.ts'
import {
  CSV_FUNCTIONS,
  JSON_FUNCTIONS,
  type ReadOptions,
  type ResolvedQuery,
  resolveFiles,
} from '../file-references.ts'
import { MAX_SEEN, OF_MANY, removeResult, type Answer, type Task } from '../messages.ts'
import { attachExtract, closeExtract, DuckdbSession, EXTRACT, FOR_MANY_ROWS } from '../session.ts'
import { type CarriedColumn, carriedColumnsOf, quoteIdentifier, quoteText } from '../types.ts'
import { assertColumns, modelCalled } from '../../query/model-columns.ts'
import { assertBeginsAsQuery, prepareQuery, sqlOf } from '../../query/read-only-query.ts'
import { checkQuery } from './check-query.ts'
import { optionsForCsv } from './csv-types.ts'
import { optionsForJson } from './json-types.ts'
import { raggedFile } from './ragged-files.ts'
import { assertSteady, FileChanged, fileStates, type FileStates, isSettled, stateAt } from './steady-files.ts'
import { isNode, type Node, nodesOf, treeOf } from './tree-nodes.ts'

/** With more columns, the row groups of two threads take too much memory. */
const MAX_COLUMNS_OF_TWO_THREADS = 100
/** If DuckDB estimates at least this many rows, they get the layout for many rows. */
const MIN_MANY_ROWS = 1_000_000
/** The files are read at most this often if one of them is replaced each time. */
const MAX_READINGS = 3
/** The name in SQL of an extract with the layout for many rows. */
const EXTRACT_OF_MANY = `${EXTRACT}_of_many`
/** The name in SQL of a source's .duckdb file. */
const DATABASE = 'source_database'

interface Prepared {
  readonly query: ResolvedQuery
  readonly columns: readonly CarriedColumn[]
  /** The states of the files before DuckDB read any of them. */
  readonly files: FileStates
  /** The states that the answer reports (messages.ts). */
  readonly seen: Seen
}

type Seen = Extract<Answer, { kind: 'rows' }>['seen']

/**
 * Carries out a task. Never rejects, since an error is an answer, too. `onAnswer` gets the answer once the
 * result is in its file. Closing DuckDB after that takes a while, for which the process of a query need not
 * wait.
 */
export async function answerTo(task: Task, onAnswer?: (answer: Answer) => void): Promise<Answer> {
  const report = (answer: Answer): Answer => {
    onAnswer?.(answer)
    return answer
  }
  try {
    if (task.source.type === 'sqlite') {
      const { answerFromSqlite } = await import('../../sqlite/read-query.ts')
      return report(await answerFromSqlite(task))
    }
    return await carryOutSteadily(task, report)
  } catch (error) {
    const { code, message, retryable, details } = errorOf(error, task)
    const lacksMemory = saysOutOfMemory(causeOf(error))
    return report({ kind: 'failed', code, message, retryable, details: [...details], lacksMemory })
  }
}

function errorOf(error: unknown, { model, file }: Task): SluiceError {
  const diskError = file === null ? null : diskErrorOf(causeOf(error), { model: model.name, file })
  if (diskError !== null) return diskError
  if (isSluiceError(error)) return error
  return new SluiceError('internal', `The query of ${modelCalled(model.name)} fails: ${duckdbMessage(error)}`)
}

/** DuckDB's own error, even if a SluiceError already wraps it. */
function causeOf(error: unknown): unknown {
  return isSluiceError(error, 'query') ? error.cause : error
}

/** Reads all files again if one of them is replaced by its next version while it is read. */
async function carryOutSteadily(task: Task, report: (answer: Answer) => Answer): Promise<Answer> {
  for (let reading = 1; ; reading += 1)
    try {
      return await carryOut(task, report)
    } catch (error) {
      if (!(error instanceof FileChanged) || reading === MAX_READINGS || !(await error.becomesStill()))
        throw error
      if (task.file !== null) await removeResult(task.file)
    }
}

async function carryOut(task: Task, report: (answer: Answer) => Answer): Promise<Answer> {
  {
    await using session = await openClosedOff(task)
    const prepared = await prepare(session.connection, task)
    if (task.file === null) return report({ kind: 'columns', columns: prepared.columns.map(columnOf) })
    if (task.threads === 1 || prepared.columns.length <= MAX_COLUMNS_OF_TWO_THREADS)
      return report(await write(session.connection, task, prepared))
  }
  // Each thread holds all columns of a row group in memory, so a query with many columns runs again with one
  // thread. That needs a new instance, since settings are locked.
  await removeResult(task.file)
  return carryOut({ ...task, threads: 1 }, report)
}

function columnOf({ name, carried }: CarriedColumn) {
  return { name, type: carried.type }
}

/**
 * Opens an instance that can read the source's folder or its database, and write the extract. It can open
 * nothing else, and its settings are locked.
 */
async function openClosedOff(task: Task): Promise<DuckdbSession> {
  const { file, source } = task
  const session = await DuckdbSession.open(folderOf(task), { ...task, memoryLimit: `${task.memoryBytes}B` })
  try {
    if (file !== null) {
      await attachExtract(session.connection, file)
      const ofMany = { layout: FOR_MANY_ROWS, name: EXTRACT_OF_MANY }
      if (task.forManyRows) await attachExtract(session.connection, `${file}${OF_MANY}`, ofMany)
    }
    if (source.isDatabase) await attachSource(session.connection, source)
    await session.closeOff(source.isDatabase ? [] : [source.realPath])
    return session
  } catch (error) {
    await session[Symbol.asyncDispose]()
    throw error
  }
}

/** Returns the folder of a query's relative file names. */
function folderOf({ source }: Task): string {
  return source.isDatabase ? dirname(source.path) : source.path
}

/** Attaches the .duckdb file read-only, and makes DuckDB look up names in it. */
async function attachSource(connection: DuckDBConnection, source: Task['source']): Promise<void> {
  const { name, path, realPath } = source
  try {
    await connection.run(`ATTACH ${quoteText(realPath)} AS ${DATABASE} (TYPE duckdb, READ_ONLY)`)
    await connection.run(`USE ${DATABASE}`)
  } catch (error) {
    const message = duckdbMessage(error)
    if (/lock/i.test(message))
      throw new SluiceError('unreachable', `Source ${name}: another process has ${path} open: ${message}`, {
        cause: error,
        retryable: true,
      })
    const what = `Source ${name}: ${path} is not a DuckDB database that can be read: ${message}`
    throw new SluiceError('query', what, { cause: error })
  }
}

/** Checks the model's SQL and finds its columns, without reading rows. */
async function prepare(connection: DuckDBConnection, task: Task): Promise<Prepared> {
  const { model, source } = task
  const written = sqlOf(model)
  assertBeginsAsQuery(model, written)
  const asGuessed = await resolveFiles(connection, written, folderOf(task))
  const { isDatabase, realPath } = source
  const within = { database: isDatabase ? DATABASE : null, folder: isDatabase ? null : realPath }
  await checkQuery(connection, asGuessed.sql, { model, ...within })
  const files = await fileStates(connection, asGuessed.files)
  const seen = isDatabase ? null : await statesSeen(connection, asGuessed, [...files.keys()])
  const query = await withTypes(connection, task, asGuessed)
  const columns = await translated(task, { query, linesBefore: 0 }, async () => {
    const statement = await prepareQuery(connection, model, query.sql)
    try {
      return carriedColumnsOf(statement)
    } finally {
      statement.destroySync()
    }
  }).catch(async (error: unknown) => {
    const lacksColumn = isSluiceError(error, 'query') && error.message.includes('Referenced column')
    throw (lacksColumn ? await raggedFile(connection, query.files, model) : null) ?? error
  })
  assertColumns(model, columns)
  const lacksKey = primaryKeyOf(model).some(key => columns.every(({ name }) => name !== key))
  if (!lacksKey) return { query, columns, files, seen }
  const wrong = emptyFile(query, { model: model.name }) ?? (await raggedFile(connection, query.files, model))
  if (wrong !== null) throw wrong
  return { query, columns, files, seen }
}

/**
 * Finds a pattern in a path. The state of a folder covers patterns of file names in it, but not patterns of
 * folder names.
 */
const PATTERN = /[*?[]/
/** With one argument, `age` depends on the time, although DuckDB calls it consistent. */
const FUNCTION_OF_NOW = /^age$/i
/** SQL writes these without parentheses, so the tree has them as columns. */
const VALUE_OF_NOW = /^(current_.*|localtime|localtimestamp|now|today|user|session_user)$/i
const TABLE_OF_FILES = /^read_(csv|csv_auto|parquet|(json|ndjson)(_auto)?)$|^parquet_scan$/i

/**
 * Returns the states of the files and folders of a query. Null if its rows may depend on anything else, such
 * as chance or the time. DuckDB knows which functions use these.
 */
async function statesSeen(
  connection: DuckDBConnection,
  { sql, files: paths }: ResolvedQuery,
  files: readonly string[],
): Promise<Seen> {
  const nodes = [...nodesOf(await treeOf(connection, sql))]
  if (paths.length === 0 || nodes.some(({ sample }) => isNode(sample))) return null
  const called = nodes.flatMap(({ function_name: name }) => (typeof name === 'string' ? [name] : []))
  const columns = nodes.flatMap(({ column_names: names }) => (Array.isArray(names) ? names.map(String) : []))
  if (called.some(name => FUNCTION_OF_NOW.test(name)) || columns.some(name => VALUE_OF_NOW.test(name)))
    return null
  const functions = await connection.runAndReadAll(
    `SELECT function_name FROM duckdb_functions() GROUP BY 1
     HAVING bool_and(function_type IN ('scalar', 'aggregate') AND stability = 'CONSISTENT')`,
  )
  const consistent = new Set(functions.getRows().map(([name]) => String(name)))
  if (called.some(name => !TABLE_OF_FILES.test(name) && !consistent.has(name))) return null
  const patterns = paths.filter(path => PATTERN.test(path)).map(path => dirname(path))
  const watched = [...new Set([...files, ...patterns])]
  if (watched.length > MAX_SEEN || patterns.some(folder => PATTERN.test(folder))) return null
  const now = Date.now()
  const seen: [string, string][] = []
  for (const path of watched) {
    const state = stateAt(path)
    if (state === null || !isSettled(path, now)) return null
    seen.push([path, state])
  }
  return seen
}

/** Adds the types that keep the values of CSV and JSON files unchanged, where DuckDB would guess others. */
async function withTypes(
  connection: DuckDBConnection,
  task: Task,
  query: ResolvedQuery,
): Promise<ResolvedQuery> {
  if (!query.withOptions) return query
  const readOptions = await translated(task, { query, linesBefore: 0 }, async () => {
    const options: ReadOptions[] = []
    const tree = await treeOf(connection, query.sql)
    // `nodesOf` gives the last sibling first, and options are wanted in the order of the tree.
    for (const node of [...nodesOf(tree)].toReversed())
      options.push(...(await readOptionsFor(connection, node)))
    return options
  })
  if (readOptions.every(({ types, others }) => types.length + others.length === 0)) return query
  return await resolveFiles(connection, sqlOf(task.model), folderOf(task), readOptions)
}

/** Returns the options of a read of CSV or JSON files; none for another part of a query. */
async function readOptionsFor(
  connection: DuckDBConnection,
  { type, function: call }: Node,
): Promise<readonly ReadOptions[]> {
  if (type !== 'TABLE_FUNCTION' || !isNode(call)) return []
  const name = String(call['function_name'])
  if (CSV_FUNCTIONS.test(name)) return [await optionsForCsv(connection, call)]
  return JSON_FUNCTIONS.test(name) ? [await optionsForJson(connection, call)] : []
}

async function write(
  connection: DuckDBConnection,
  task: Task,
  { query, columns, files, seen }: Prepared,
): Promise<Answer> {
  const inner = columns.map((_, index) => `c${index}`)
  const outer = columns.map(({ name, carried }, index) => {
    const value = `c${index}`
    return `${carried.cast === null ? value : carried.cast(value)} AS ${quoteIdentifier(name)}`
  })
  const isOfMany =
    task.forManyRows &&
    columns.length <= MAX_COLUMNS_OF_TWO_THREADS &&
    (await estimatedRows(connection, query.sql)) >= MIN_MANY_ROWS
  const extract = isOfMany ? EXTRACT_OF_MANY : EXTRACT
  const create = `CREATE TABLE ${extract}.main.rows AS SELECT ${outer.join(', ')} FROM (\n${query.sql}\n) AS query(${inner.join(', ')})`
  await translated(task, { query, linesBefore: 1 }, () => connection.run(create))
  assertSteady(files, task.model)
  const counted = await connection.runAndReadAll(`SELECT count(*) FROM ${extract}.main.rows`)
  if (task.source.isDatabase) await connection.run('USE memory')
  await translated(task, { query, linesBefore: 1 }, () => closeExtract(connection, extract))
  if (task.forManyRows && task.file !== null) {
    await connection.run(`DETACH ${isOfMany ? EXTRACT : EXTRACT_OF_MANY}`)
    const ofMany = `${task.file}${OF_MANY}`
    await (isOfMany ? rename(ofMany, task.file) : rm(ofMany))
  }
  return { kind: 'rows', rowCount: Number(counted.getRows()[0]?.[0]), seen }
}

/** Returns DuckDB's largest estimate of rows in a step of the query, without running it. */
async function estimatedRows(connection: DuckDBConnection, sql: string): Promise<number> {
  const reader = await connection.runAndReadAll(`EXPLAIN (FORMAT json) ${sql}`)
  const plan = String(reader.getRows()[0]?.[1])
  const steps = plan.matchAll(/"Estimated Cardinality": ?"(\d+)"/g)
  return Math.max(0, ...Array.from(steps, ([, rows]) => Number(rows)))
}

/** Translates DuckDB's errors into SluiceErrors, with places in the SQL as the user wrote it. */
async function translated<T>(
  task: Task,
  statement: { readonly query: ResolvedQuery; readonly linesBefore: number },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (isSluiceError(error)) throw error
    const { model, source } = task
    throw queryError({
      ...statement,
      error,
      written: sqlOf(model),
      model: model.name,
      isTable: model.sql === undefined,
      folder: folderOf(task),
      isDatabase: source.isDatabase,
    })
  }
}
