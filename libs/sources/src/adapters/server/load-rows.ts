/**
 * Loads the rows that a database server streams as text (see row-text.ts) into the table `rows` of an
 * extract. A short result goes through a file. A longer one goes through a named pipe, so that server,
 * network and DuckDB work at the same time, and no row is written twice.
 */
import { execFile } from 'node:child_process'
import { constants, openSync, rmSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { Socket } from 'node:net'
import { dirname } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { type Column, type ColumnType, WHY_INVALID } from '@sluice/contracts/values'
import { attachExtract, closeExtract, DuckdbSession } from '../duckdb/session.ts'
import { quoteIdentifier, quoteText } from '../duckdb/types.ts'
import { readRows } from './row-text.ts'

/**
 * No pipe holds this much. So once this much has gone into a pipe, DuckDB has opened it. A shorter result
 * might be written whole, and the pipe closed, before DuckDB opens it.
 */
const MIN_PIPED_BYTES = 2_000_000
/** With this default and the buffers of the reader, a process stays below 500 MB. */
const MEMORY_BYTES = 128_000_000
/** One thread reads text while the other one parses. */
const THREADS = 2

export interface LoadedColumn {
  readonly name: string
  readonly type: ColumnType
  /** The DuckDB type as which the column's text is read. */
  readonly readAs: string
  /** Returns SQL for the value, from the column as it was read. */
  readonly value: (place: string) => string
  /** True if `value` is null for a text that cannot be carried, which makes the row invalid. */
  readonly mayFail?: boolean
}

export interface LoadOptions {
  /** A path that does not exist yet. A failure may leave a file there. */
  readonly file: string
  readonly columns: readonly LoadedColumn[]
  /** The rows as text. It ends without error only if the result is complete. */
  readonly text: Readable
  /** DuckDB's memory limit in bytes. Default 128 MB. */
  readonly memoryBytes?: number | undefined
  readonly signal: AbortSignal
}

export function columnsOf(loaded: readonly LoadedColumn[]): readonly Column[] {
  return loaded.map(({ name, type }) => ({ name, type }))
}

/**
 * Resolves with the number of rows in the table. Rejects with the error of `text`, with DuckDB's own error,
 * or with the signal's reason. In each case, `text` and DuckDB's file are closed by then.
 */
export async function loadRows(options: LoadOptions): Promise<number> {
  const { file, signal, text, memoryBytes = MEMORY_BYTES } = options
  const onAbort = (): void => void text.destroy()
  signal.addEventListener('abort', onAbort, { once: true })
  const textFile = `${file}.text`
  await using session = await DuckdbSession.open(dirname(file), {
    memoryLimit: `${memoryBytes}B`,
    threads: THREADS,
    tempDirectory: `${file}.tmp`,
  })
  try {
    const { connection } = session
    await attachExtract(connection, file)
    const create = (at: AbortSignal) =>
      session.interruptible(at, () => connection.run(createTable(textFile, options.columns)))
    const { head, rest } = await readHead(text, signal)
    if (rest === null) {
      await writeFile(textFile, head)
      await create(signal)
    } else await throughPipe(textFile, { head, rest, text, create, signal })
    const counted = await connection.runAndReadAll('SELECT count(*) FROM sluice_extract.main.rows')
    await closeExtract(connection)
    return Number(counted.getRows()[0]?.[0])
  } catch (error) {
    text.destroy()
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
    await rm(textFile, { force: true })
    await rm(`${file}.tmp`, { recursive: true, force: true })
  }
}

function createTable(textFile: string, columns: readonly LoadedColumn[]): string {
  const types = columns.map(({ readAs }) => readAs)
  // DuckDB ignores an empty line. So a row of one column gets a second column, which is not selected.
  const from = readRows(textFile, columns.length === 1 ? [...types, 'VARCHAR'] : types)
  const values = columns.map(({ value }, index) => `${value(`c${index}`)} AS v${index}`)
  const texts = columns.flatMap(({ mayFail = false }, index) => (mayFail ? [`c${index}`] : []))
  const named = columns.map(({ name }, index) => `v${index} AS ${quoteIdentifier(name)}`)
  const selected =
    texts.length === 0 ? named : [...named, `${whyInvalid(columns)} AS ${quoteIdentifier(WHY_INVALID)}`]
  return `CREATE TABLE sluice_extract.main.rows AS SELECT ${selected.join(', ')} FROM (SELECT ${[...values, ...texts].join(', ')} FROM ${from})`
}

/** Characters that a message shows of a value that cannot be carried. */
const MAX_SHOWN = 100

/** Returns SQL for the reason that makes a row invalid: its first value that cannot be carried. */
function whyInvalid(columns: readonly LoadedColumn[]): string {
  const cases = columns.flatMap(({ name, type, mayFail = false }, index) => {
    const reason = `${quoteText(`column "${name}" has `)} || left(c${index}, ${MAX_SHOWN}) || ${quoteText(`, which no ${type.kind} of Sluice can hold`)}`
    return mayFail ? [`WHEN c${index} IS NOT NULL AND v${index} IS NULL THEN ${reason}`] : []
  })
  return `CASE ${cases.join(' ')} END`
}

interface Head {
  readonly head: Uint8Array
  /** The rest of the text; null if there is none. */
  readonly rest: AsyncIterator<Uint8Array> | null
}

/**
 * DuckDB drops a byte order mark at the start of a text. The first value may begin with these bytes, too. So
 * each text gets an extra mark, which DuckDB drops instead.
 */
const BYTE_ORDER_MARK = Uint8Array.of(0xef, 0xbb, 0xbf)

async function readHead(text: Readable, signal: AbortSignal): Promise<Head> {
  const chunks: Uint8Array[] = [BYTE_ORDER_MARK]
  const rest: AsyncIterator<Uint8Array> = text[Symbol.asyncIterator]()
  let bytes = 0
  while (bytes < MIN_PIPED_BYTES) {
    const next = await rest.next()
    signal.throwIfAborted()
    if (next.done === true) return { head: Buffer.concat(chunks), rest: null }
    chunks.push(next.value)
    bytes += next.value.length
  }
  return { head: Buffer.concat(chunks), rest }
}

/**
 * Writes into a named pipe while DuckDB reads from it. If one side fails, it ends the other. The pipe is
 * removed before its writer closes. So DuckDB either has it open and finds its end, or cannot open it at all.
 */
async function throughPipe(
  path: string,
  work: {
    readonly head: Uint8Array
    readonly rest: AsyncIterator<Uint8Array>
    readonly text: Readable
    readonly create: (signal: AbortSignal) => Promise<unknown>
    readonly signal: AbortSignal
  },
): Promise<void> {
  const ended = new AbortController()
  const signal = AbortSignal.any([work.signal, ended.signal])
  const pipe = await openPipe(path)
  // A failing pipeline closes the pipe at once, and a reader that opened it after that would wait for ever.
  // So the pipe is removed first.
  const removePipe = (): void => rmSync(path, { force: true })
  signal.addEventListener('abort', removePipe, { once: true })
  if (signal.aborted) removePipe()
  const text = async function* () {
    try {
      yield work.head
      yield* { [Symbol.asyncIterator]: () => work.rest }
    } catch (error) {
      removePipe()
      throw error
    }
  }
  const writing = pipeline(text, pipe, { signal }).catch((error: unknown) => {
    removePipe()
    ended.abort(error)
    throw error
  })
  const reading = work.create(signal).catch((error: unknown) => {
    ended.abort(error)
    work.text.destroy()
    throw error
  })
  const [written, read] = await Promise.allSettled([writing, reading])
  signal.removeEventListener('abort', removePipe)
  work.signal.throwIfAborted()
  // The signal's reason is the error of the side that failed first.
  if (ended.signal.aborted) throw ended.signal.reason
  for (const side of [written, read]) if (side.status === 'rejected') throw side.reason
}

/**
 * Opens a named pipe for writing. It is also open for reading, so that neither this process nor DuckDB waits
 * for the other to open it. This side reads nothing from it.
 */
async function openPipe(path: string): Promise<Socket> {
  await promisify(execFile)('mkfifo', ['-m', '600', path])
  // A socket waits in the event loop. A file would wait in one of the few threads that DuckDB needs, too.
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  return new Socket({ fd, readable: false, writable: true })
}
