/**
 * The source of type `duckdb`: CSV, Parquet and JSON files of a folder, or a .duckdb file, all read-only.
 * Each query runs in a process of its own, which writes the result into the extract. So no row passes through
 * JavaScript, and SQL that goes wrong ends no process but that one.
 */
import { existsSync, realpathSync, statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SluiceError } from '@sluice/contracts/errors'
import type { DuckdbSourceSpec, ModelSpec } from '@sluice/contracts/resources'
import type { Column } from '@sluice/contracts/values'
import type { Extract, Source } from '../port.ts'
import { acceptRows, openToAccept } from './duckdb/accept-rows.ts'
import { missingFile } from './duckdb/errors.ts'
import { resultFiles, type Answer, type Task } from './duckdb/messages.ts'
import { assertBelowRoots, DEFAULT_LIMITS, type FileLimits } from './duckdb/file-limits.ts'
import { stillSo } from './duckdb/process/steady-files.ts'
import { type Ending, QueryProcess } from './duckdb/start-process.ts'
import { assertColumns, modelCalled } from './query/model-columns.ts'

export interface DuckdbSourceOptions {
  readonly spec: DuckdbSourceSpec
  /** Most memory of a query. DuckDB writes data that does not fit to files beside the extract. */
  readonly memoryBytes?: number
  /**
   * The memory that a query gets at first, since DuckDB keeps all that it has read while memory allows. If a
   * query needs more, it runs once more with the limit. Default: the limit.
   */
  readonly usualBytes?: number
  /** What the operator allows. Default: any folder, and the limits that OPERATIONS.md names. */
  readonly limits?: FileLimits
}

const DEFAULT_MEMORY_BYTES = 512_000_000
const THREADS = 2
/**
 * Shares of the memory for a second and a third try. Some queries need it for what DuckDB counts, and some
 * for what it does not count, such as the texts that a query puts together. So neither try is right for both.
 */
const MORE_MEMORY = [0.8, 1.25]

/**
 * Makes a source over files of a folder or a .duckdb file. Queries may run concurrently, each with its own
 * process and memory. The process of the first query starts at once, so that it is ready by then.
 */
export function createDuckdbSource(options: DuckdbSourceOptions): Source {
  return new DuckdbSource(options)
}

class DuckdbSource implements Source {
  readonly #options: DuckdbSourceOptions
  readonly #limits: FileLimits
  /** The process that waits for the next query. */
  #waiting: QueryProcess | null

  constructor(options: DuckdbSourceOptions) {
    this.#options = options
    this.#limits = options.limits ?? DEFAULT_LIMITS
    this.#waiting = this.#start()
  }

  async describe(model: ModelSpec, options: { signal: AbortSignal }): Promise<readonly Column[]> {
    options.signal.throwIfAborted()
    const tempDirectory = await mkdtemp(join(tmpdir(), 'sluice-query-'))
    try {
      const answer = await this.#ask(model, { file: null, tempDirectory, signal: options.signal })
      if (answer.kind !== 'columns') throw this.#senseless(model)
      assertColumns(model, answer.columns)
      return answer.columns
    } finally {
      await rm(tempDirectory, { recursive: true, force: true })
    }
  }

  async extract(model: ModelSpec, options: { file: string; signal: AbortSignal }): Promise<Extract> {
    const { file, signal } = options
    signal.throwIfAborted()
    if (existsSync(file))
      throw new SluiceError('conflict', `${file} exists already; an extract wants a new file.`)
    const accepting = openToAccept(file)
    // Its failure counts once there is something to accept.
    accepting.catch(() => undefined)
    try {
      const answer = await this.#ask(model, { file, tempDirectory: `${file}.tmp`, signal })
      if (answer.kind !== 'rows') throw this.#senseless(model)
      const { maxRows } = this.#limits
      if (answer.rowCount > maxRows)
        throw tooMuch(model, `${answer.rowCount} rows`, `SLUICE_SOURCE_MAX_ROWS is ${maxRows}`)
      const session = await accepting
      const rows = await acceptRows(file, { model, rowCount: answer.rowCount, session })
      signal.throwIfAborted()
      return { file, ...rows, ...stillSo(answer.seen) }
    } catch (error) {
      await removeFiles(file)
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
    return QueryProcess.start({ memoryBytes, fileBytes, cpuMs: this.#mostMs * THREADS })
  }

  get #mostMs(): number {
    return Math.min(this.#options.spec.timeout ?? Infinity, this.#limits.maxMs)
  }

  /** Has a process carry out a query, until the caller aborts or its time is over. Throws what it answers. */
  async #ask(
    model: ModelSpec,
    of: { readonly file: string | null; readonly tempDirectory: string; readonly signal: AbortSignal },
  ): Promise<Exclude<Answer, { kind: 'failed' }>> {
    const task = this.#task(model, of)
    const deadline = AbortSignal.timeout(this.#mostMs)
    const signal = AbortSignal.any([of.signal, deadline])
    const tries = this.#tries()
    for (const [index, { memoryLimit, forManyRows }] of tries.entries()) {
      const ending = await this.#try({ ...task, memoryLimit, forManyRows }, signal)
      of.signal.throwIfAborted()
      if (ending.kind === 'answered' && ending.answer.kind !== 'failed') return ending.answer
      if (deadline.aborted) throw this.#tookTooLong(model)
      const isLast = index === tries.length - 1
      if (isLast || !lacksMemory(ending)) throw this.#failure(model, ending, of.file)
      if (of.file !== null) await removeFiles(of.file)
    }
    throw this.#senseless(model)
  }

  /**
   * What DuckDB may have, try by try. Each try has a process of its own, since memory that one has used up
   * does not come back. What a process may hold is the same for all of them. The last one takes many rows for
   * wide ones.
   */
  #tries(): readonly Pick<Task, 'memoryLimit' | 'forManyRows'>[] {
    const { memoryBytes = DEFAULT_MEMORY_BYTES, usualBytes = memoryBytes } = this.#options
    const more = MORE_MEMORY.map(share => Math.floor(memoryBytes * share)).filter(limit => limit > usualBytes)
    const limits = [usualBytes, ...more].map(bytes => `${bytes}B`)
    const tries = limits.map(memoryLimit => ({ memoryLimit, forManyRows: true }))
    return [...tries, { memoryLimit: limits.at(-1) ?? `${usualBytes}B`, forManyRows: false }]
  }

  async #try(task: Task, signal: AbortSignal): Promise<Ending> {
    await using asked = this.#waiting ?? this.#start()
    this.#waiting = null
    return await asked.run(task, signal)
  }

  #task(
    model: ModelSpec,
    of: { readonly file: string | null; readonly tempDirectory: string },
  ): Omit<Task, 'memoryLimit' | 'forManyRows'> {
    const { spec } = this.#options
    const { name, path } = spec
    assertBelowRoots(spec, this.#limits.roots)
    if (!existsSync(path)) throw missingFile(path, { source: name })
    const isDatabase = statSync(path).isFile()
    return {
      model,
      source: { name, path, realPath: realpathSync(path), isDatabase },
      file: of.file,
      tempDirectory: of.tempDirectory,
      threads: THREADS,
      spillBytes: this.#limits.maxSpillBytes,
    }
  }

  #failure(model: ModelSpec, ending: Ending, file: string | null): SluiceError {
    const { maxBytes } = this.#limits
    const size = file === null ? 0 : (statSync(file, { throwIfNoEntry: false })?.size ?? 0)
    switch (ending.kind) {
      case 'answered': {
        if (ending.answer.kind !== 'failed') return this.#senseless(model)
        const { code, message, retryable, details } = ending.answer
        if (code === 'disk' && size >= maxBytes)
          return tooMuch(model, 'so many bytes', `SLUICE_SOURCE_MAX_BYTES is ${maxBytes}`)
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
          `was not carried out to its end: its process ${ending.how}. Nothing of its result was taken. ` +
            'It may need more memory than there is, or hit a fault of DuckDB; try it with fewer rows or in another form',
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

  #senseless(model: ModelSpec): SluiceError {
    return failed(model, 'was not carried out: its process gave another answer than it was asked for')
  }
}

async function removeFiles(file: string): Promise<void> {
  await Promise.all(resultFiles(file).map(path => rm(path, { force: true })))
}

/** With another limit the query may do with what its process may hold. */
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
