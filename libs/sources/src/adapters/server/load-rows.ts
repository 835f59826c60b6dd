/**
 * Loads the rows that a database server streams, as text (see row-text.ts), into the table `rows` of an
 * extract. What does not fit into a pipe goes through a named one, so that the server, the wire and DuckDB
 * work at the same time and nothing is held or written twice.
 */
import { execFile } from 'node:child_process'
import { constants, openSync, rmSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { Socket } from 'node:net'
import { dirname } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import type { Column, ColumnType } from '@sluice/contracts/values'
import { attachExtract, DuckdbSession } from '../duckdb/session.ts'
import { quoteIdentifier } from '../duckdb/types.ts'
import { readRows } from './row-text.ts'

/**
 * More than any pipe holds: once so much has gone into a pipe, its reader has opened it. A shorter result
 * might be written whole and the pipe closed before DuckDB looks for it.
 */
const PIPED_FROM_BYTES = 2_000_000
/** Together with the buffers of the reader, a process stays below 500 MB. */
const MEMORY_LIMIT = '128MB'
/** While one parses what has come, the other takes what comes. */
const THREADS = 2

export interface LoadedColumn {
  readonly name: string
  readonly type: ColumnType
  /** The DuckDB type that the column's text is read as. */
  readonly readAs: string
  /** SQL for the value of a column that was read. */
  readonly value: (place: string) => string
}

export interface LoadOptions {
  /** A path that does not exist yet; on failure, something may be left there. */
  readonly file: string
  readonly columns: readonly LoadedColumn[]
  /** The rows as text. Ends properly only if the result did; is destroyed if it is not read to its end. */
  readonly text: Readable
  readonly signal: AbortSignal
}

export function columnsOf(loaded: readonly LoadedColumn[]): readonly Column[] {
  return loaded.map(({ name, type }) => ({ name, type }))
}

/**
 * Resolves with the number of rows in the table. Rejects with what `text` throws, with DuckDB's own error, or
 * with the signal's reason; `text` has been closed then, and DuckDB has let go of the file.
 */
export async function loadRows(options: LoadOptions): Promise<number> {
  const { file, signal, text } = options
  const onAbort = (): void => void text.destroy()
  signal.addEventListener('abort', onAbort, { once: true })
  const textFile = `${file}.text`
  await using session = await DuckdbSession.open(dirname(file), {
    memoryLimit: MEMORY_LIMIT,
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
    await connection.run('DETACH sluice_extract')
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
  const values = columns.map(({ name, value }, index) => `${value(`c${index}`)} AS ${quoteIdentifier(name)}`)
  const types = columns.map(({ readAs }) => readAs)
  // A line without any text would be passed over, so that one column never stands alone: another one, of no
  // matter, comes with it.
  const from = readRows(textFile, columns.length === 1 ? [...types, 'VARCHAR'] : types)
  return `CREATE TABLE sluice_extract.main.rows AS SELECT ${values.join(', ')} FROM ${from}`
}

interface Head {
  readonly head: Uint8Array
  /** What comes after it; null if that was all. */
  readonly rest: AsyncIterator<Uint8Array> | null
}

/**
 * What DuckDB takes for a byte order mark at the start of a text, and drops. So each text gets one that is
 * not its own: its first value may begin with these bytes, too.
 */
const BYTE_ORDER_MARK = Uint8Array.of(0xef, 0xbb, 0xbf)

async function readHead(text: Readable, signal: AbortSignal): Promise<Head> {
  const chunks: Uint8Array[] = [BYTE_ORDER_MARK]
  const rest: AsyncIterator<Uint8Array> = text[Symbol.asyncIterator]()
  let bytes = 0
  while (bytes < PIPED_FROM_BYTES) {
    const next = await rest.next()
    signal.throwIfAborted()
    if (next.done === true) return { head: Buffer.concat(chunks), rest: null }
    chunks.push(next.value)
    bytes += next.value.length
  }
  return { head: Buffer.concat(chunks), rest }
}

/**
 * Writes into a named pipe while DuckDB reads from it. Whichever side fails ends the other. The pipe is taken
 * away before its writer closes: DuckDB then has either opened it, and finds its end, or does not find it.
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
  // A failing pipeline closes the pipe at once, and who opens it after that waits for ever: it goes before.
  const takeAway = (): void => rmSync(path, { force: true })
  signal.addEventListener('abort', takeAway, { once: true })
  if (signal.aborted) takeAway()
  const text = async function* () {
    try {
      yield work.head
      yield* { [Symbol.asyncIterator]: () => work.rest }
    } catch (error) {
      takeAway()
      throw error
    }
  }
  const writing = pipeline(text, pipe, { signal }).catch((error: unknown) => {
    takeAway()
    ended.abort(error)
    throw error
  })
  const reading = work.create(signal).catch((error: unknown) => {
    ended.abort(error)
    work.text.destroy()
    throw error
  })
  const [written, read] = await Promise.allSettled([writing, reading])
  signal.removeEventListener('abort', takeAway)
  work.signal.throwIfAborted()
  // The side that failed first has aborted the other, which then fails of that very reason.
  if (ended.signal.aborted) throw ended.signal.reason
  for (const side of [written, read]) if (side.status === 'rejected') throw side.reason
}

/**
 * A named pipe, open for writing. It is opened for reading too, so that neither opening it nor DuckDB's
 * opening it waits for the other; nothing is read from it here.
 */
async function openPipe(path: string): Promise<Socket> {
  await promisify(execFile)('mkfifo', ['-m', '600', path])
  // A socket waits in the event loop. A file would wait in a thread of the few that DuckDB needs, too.
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  return new Socket({ fd, readable: false, writable: true })
}
