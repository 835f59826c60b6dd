/**
 * The sources of types `duckdb` and `sqlite`: CSV, Parquet and JSON files of a folder, a .duckdb file, or a
 * database of SQLite, all read-only. Each query runs in a process of its own, which writes the result into
 * the extract. So no row passes through this process, and a fatal query ends only that process.
 */
import { existsSync, realpathSync, statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import type { FileSourceSpec } from '@sluice/contracts/source-types'
import type { Column } from '@sluice/contracts/values'
import type { Extract, Source } from '../port.ts'
import { acceptRows, openToAccept } from './duckdb/accept-rows.ts'
import { missingFile } from './duckdb/errors.ts'
import { removeResult, type Answer, type Task } from './duckdb/messages.ts'
import { assertNewFile } from './extract-file.ts'
import {
  assertBelowRoots,
  DEFAULT_LIMITS,
  type FileLimits,
  isState,
  STATE_FOLDER,
} from './duckdb/file-limits.ts'
import { unchangedWhile } from './duckdb/process/steady-files.ts'
import { type Ending, QueryProcess } from './duckdb/start-process.ts'
import { assertColumns, modelCalled } from './query/model-columns.ts'
import { extractSampled } from './query/sampled.ts'
import { DUCKDB_SQL, SQLITE_SQL } from './query/sql-dialect.ts'

export interface FileSourceOptions {
  readonly spec: FileSourceSpec
  /** The memory limit of a query. DuckDB writes data that does not fit to files beside the extract. */
  readonly memoryBytes?: number
  /**
   * The memory limit of a query's first attempt. It may be lower than `memoryBytes`, since DuckDB fills all
   * memory up to its limit with data that it has read. If the attempt lacks memory, further attempts get
   * more. Default: `memoryBytes`.
   */
  readonly usualBytes?: number
  /** The operator's limits. Default: any folder, and the limits that OPERATIONS.md names. */
  readonly limits?: FileLimits
}

const DEFAULT_MEMORY_BYTES = 512_000_000
const THREADS = 2
/**
 * DuckDB's share of the memory in a second and a third attempt. Some queries need memory that DuckDB counts.
 * Others need memory that it does not count, such as texts that a query puts together. No single share is
 * right for both.
 */
const FURTHER_SHARES = [0.8, 1.25]

/**
 * Makes a source over files of a folder or a database file. Queries may run concurrently, each with its own
 * process and memory. The process of the first query starts at once, so that it is ready when the query
 * comes.
 */
export function createFileSource(options: FileSourceOptions): Source {
  return new FileSource(options)
}

class FileSource implements Source {
  readonly #options: FileSourceOptions
  readonly #limits: FileLimits
  /** The process that waits for the next query. */
  #waiting: QueryProcess | null

  constructor(options: FileSourceOptions) {
    this.#options = options
    this.#limits = options.limits ?? DEFAULT_LIMITS
    this.#waiting = this.#start()
  }

  async describe(model: ModelSpec, options: { signal: AbortSignal }): Promise<readonly Column[]> {
    options.signal.throwIfAborted()
    const tempDirectory = await mkdtemp(join(tmpdir(), 'sluice-query-'))
    try {
      const answer = await this.#ask(model, { file: null, tempDirectory, signal: options.signal })
      if (answer.kind !== 'columns') throw wrongAnswer(model)
      assertColumns(model, answer.columns)
      return answer.columns
    } finally {
      await rm(tempDirectory, { recursive: true, force: true })
    }
  }

  async extract(
    model: ModelSpec,
    { sample, ...options }: { file: string; signal: AbortSignal; sample?: number },
  ): Promise<Extract> {
    return await extractSampled(model, sample, {
      dialect: this.#options.spec.type === 'sqlite' ? SQLITE_SQL : DUCKDB_SQL,
      extract: asked => this.#extract(asked, options),
      describe: asked => this.describe(asked, options),
    })
  }

  async #extract(model: ModelSpec, options: { file: string; signal: AbortSignal }): Promise<Extract> {
    const { file, signal } = options
    signal.throwIfAborted()
    assertNewFile(file)
    const accepting = openToAccept(file)
    // A failure is thrown below, once the session is needed.
    accepting.catch(() => undefined)
    try {
      const answer = await this.#ask(model, { file, tempDirectory: `${file}.tmp`, signal })
      if (answer.kind !== 'rows') throw wrongAnswer(model)
      const { maxRows } = this.#limits
      if (answer.rowCount > maxRows)
        throw tooMuch(model, `${answer.rowCount} rows`, `SLUICE_SOURCE_MAX_ROWS is ${maxRows}`)
      const session = await accepting
      const rows = await acceptRows(file, { model, rowCount: answer.rowCount, session })
      signal.throwIfAborted()
      return { file, ...rows, ...unchangedWhile(answer.seen) }
    } catch (error) {
      await removeResult(file)
      signal.throwIfAborted()
      throw error
    } finally {
      await accepting.then(session => session[Symbol.asyncDispose]()).catch(() => undefined)
      await rm(`${file}.tmp`, { recursive: true, force: true })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#waiting?.[Symbol.asyncDispose]()
    this.#waiting = null
  }

  #start(): QueryProcess {
    const { memoryBytes = DEFAULT_MEMORY_BYTES } = this.#options
    const fileBytes = Math.max(this.#limits.maxBytes, this.#limits.maxSpillBytes)
    return QueryProcess.start({ memoryBytes, fileBytes, cpuMs: this.#maxMs * THREADS })
  }

  get #maxMs(): number {
    return Math.min(this.#options.spec.timeout ?? Infinity, this.#limits.maxMs)
  }

  /**
   * Runs a query in a process, until the caller aborts or the query's time is over. Throws the error that the
   * process answers.
   */
  async #ask(
    model: ModelSpec,
    options: { readonly file: string | null; readonly tempDirectory: string; readonly signal: AbortSignal },
  ): Promise<Exclude<Answer, { kind: 'failed' }>> {
    const { file } = options
    const task = this.#task(model, options)
    const deadline = AbortSignal.timeout(this.#maxMs)
    const signal = AbortSignal.any([options.signal, deadline])
    const attempts = this.#attempts()
    for (const [index, { memoryBytes, forManyRows }] of attempts.entries()) {
      const ending = await this.#run({ ...task, memoryBytes, forManyRows }, signal)
      options.signal.throwIfAborted()
      if (ending.kind === 'answered' && ending.answer.kind !== 'failed') return ending.answer
      if (deadline.aborted) throw this.#tookTooLong(model)
      const isLast = index === attempts.length - 1
      if (isLast || !lacksMemory(ending)) throw this.#failure(model, ending, file)
      if (file !== null) await removeResult(file)
    }
    throw wrongAnswer(model)
  }

  /**
   * Returns DuckDB's memory for each attempt. An attempt has a process of its own, since used memory does not
   * come back. All these processes have the same limit of the system. The last attempt lays out many rows as
   * if they were wide, which takes less memory.
   */
  #attempts(): readonly Pick<Task, 'memoryBytes' | 'forManyRows'>[] {
    const { memoryBytes = DEFAULT_MEMORY_BYTES, usualBytes = memoryBytes } = this.#options
    const more = FURTHER_SHARES.map(share => Math.floor(memoryBytes * share)).filter(
      limit => limit > usualBytes,
    )
    const limits = [usualBytes, ...more]
    const attempts = limits.map(bytes => ({ memoryBytes: bytes, forManyRows: true }))
    return [...attempts, { memoryBytes: limits.at(-1) ?? usualBytes, forManyRows: false }]
  }

  async #run(task: Task, signal: AbortSignal): Promise<Ending> {
    await using process = this.#waiting ?? this.#start()
    this.#waiting = null
    return await process.run(task, signal)
  }

  #task(
    model: ModelSpec,
    { file, tempDirectory }: { readonly file: string | null; readonly tempDirectory: string },
  ): Omit<Task, 'memoryBytes' | 'forManyRows'> {
    const { spec } = this.#options
    const { name, type, path } = spec
    assertBelowRoots(spec, this.#limits.roots)
    if (!existsSync(path)) throw missingFile(path, { source: name })
    const isDatabase = statSync(path).isFile()
    const realPath = realpathSync(path)
    if (type === 'sqlite') assertDatabase(spec, { isDatabase, realPath })
    return {
      model,
      source: { name, type, path, realPath, isDatabase },
      file,
      tempDirectory,
      threads: THREADS,
      spillBytes: this.#limits.maxSpillBytes,
    }
  }

  #failure(model: ModelSpec, ending: Ending, file: string | null): SluiceError {
    const { maxBytes } = this.#limits
    const size = file === null ? 0 : (statSync(file, { throwIfNoEntry: false })?.size ?? 0)
    switch (ending.kind) {
      case 'answered': {
        if (ending.answer.kind !== 'failed') return wrongAnswer(model)
        const { code, message, retryable, details } = ending.answer
        if (code === 'disk' && size >= maxBytes)
          return tooMuch(model, 'too many bytes', `SLUICE_SOURCE_MAX_BYTES is ${maxBytes}`)
        return new SluiceError(code, message, { retryable, details })
      }
      case 'took too much time':
        return this.#tookTooLong(model)
      case 'took too much memory':
        return failed(
          model,
          'needs more memory than it may have: set SLUICE_MEMORY higher, or let it select fewer or shorter columns, or sort and join less at once',
        )
      case 'ended':
        return failed(
          model,
          `did not finish: the process of the query ${ending.how}. No row of the result was used. ` +
            'The query may need more memory than there is, or hit a fault of its engine. Try it with fewer rows or in another form',
        )
      default:
        return ending satisfies never
    }
  }

  #tookTooLong(model: ModelSpec): SluiceError {
    const { name, timeout = Infinity } = this.#options.spec
    const limit =
      timeout <= this.#limits.maxMs
        ? `the time-out of source ${name}, ${timeout} ms`
        : `SLUICE_SOURCE_MAX_TIME allows, ${this.#limits.maxMs} ms`
    const message = `The query of ${modelCalled(model.name)} took longer than ${limit}.`
    return new SluiceError('query', message, { retryable: true })
  }
}

/** Throws `config` unless the path is a file, and none that Sluice keeps its state in. */
function assertDatabase(
  { name, path }: FileSourceSpec,
  { isDatabase, realPath }: { readonly isDatabase: boolean; readonly realPath: string },
): void {
  if (isDatabase && !isState(realPath)) return
  const found = isDatabase ? `a file in a folder ${STATE_FOLDER}, where Sluice keeps its state` : 'a folder'
  const message = `Source ${name}: \`path\` has to be the file of a SQLite database, and ${path} is ${found}.`
  throw new SluiceError('config', message, { details: [{ field: 'path', message }] })
}

function wrongAnswer(model: ModelSpec): SluiceError {
  return failed(model, 'was not carried out: its process gave another answer than it was asked for')
}

/** True if the query may succeed with another limit of DuckDB's memory. */
function lacksMemory(ending: Ending): boolean {
  if (ending.kind === 'took too much memory') return true
  return ending.kind === 'answered' && ending.answer.kind === 'failed' && ending.answer.lacksMemory
}

function failed(model: ModelSpec, what: string): SluiceError {
  const message = `The query of ${modelCalled(model.name)} ${what}.`
  return new SluiceError('query', message, { details: [{ field: 'sql', message }] })
}

function tooMuch(model: ModelSpec, what: string, limit: string): SluiceError {
  return failed(model, `gives ${what}, more than it may: ${limit}`)
}
