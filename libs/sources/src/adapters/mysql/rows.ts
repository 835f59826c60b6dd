/** Turns the rows of a MySQL query into text (see row-text.ts), at the pace of the reader. */
import { Readable } from 'node:stream'
import type { Connection } from 'mysql2'
import { expectRows } from './connection.ts'
import type { Encoding } from './types.ts'

/** The text is pushed in pieces of about this size. */
const PIECE_BYTES = 262_144

const TAB = 9
const LINE_FEED = 10
const BACKSLASH = 92
const ZERO = 48

/** The character behind the backslash, for each byte that would otherwise divide columns or rows. */
const ESCAPES = new Map([
  [0, ZERO],
  [TAB, 't'.charCodeAt(0)],
  [LINE_FEED, 'n'.charCodeAt(0)],
  [13, 'r'.charCodeAt(0)],
  [BACKSLASH, BACKSLASH],
])
/** `ESCAPES` as a table of all bytes, with 0 for a byte that needs no escape. */
const ESCAPE_OF = Uint8Array.from({ length: 256 }, (_, byte) => ESCAPES.get(byte) ?? 0)
const NULL = Buffer.from('\\N')

export interface RowsAsText {
  readonly text: Readable
  /** Returns the number of rows that have arrived. */
  rows(): number
}

/**
 * Runs a query. `text` ends only once the server has marked the end of the result, and fails with mysql2's
 * error. While nobody reads `text`, this reads nothing from the server.
 */
export function rowsAsText(connection: Connection, sql: string, encodings: readonly Encoding[]): RowsAsText {
  const writer = new RowWriter(encodings)
  let rows = 0
  const text = new Readable({
    highWaterMark: 2 * PIECE_BYTES,
    read: () => connection.resume(),
    destroy: (error, done) => done(error),
  })
  // mysql2 reports a lost connection on the connection, not on the query.
  connection.on('error', (error: Error) => text.destroy(error))
  const { areOver } = expectRows(connection)
  const query = connection.query({ sql, rowsAsArray: true, typeCast: false })
  query.on('error', (error: Error) => text.destroy(error))
  query.on('result', (row: readonly (Uint8Array | null)[]) => {
    if (text.destroyed) return
    rows += 1
    writer.write(row)
    if (writer.length >= PIECE_BYTES && !text.push(writer.take())) connection.pause()
  })
  // mysql2 emits `end` after an error, too.
  query.on('end', () => {
    areOver()
    if (text.destroyed) return
    if (writer.length > 0) text.push(writer.take())
    text.push(null)
  })
  return { text, rows: () => rows }
}

/** Collects rows as bytes until they are taken. */
class RowWriter {
  readonly #encodings: readonly Encoding[]
  #bytes: Buffer = Buffer.allocUnsafe(PIECE_BYTES * 2)
  length = 0

  constructor(encodings: readonly Encoding[]) {
    this.#encodings = encodings
  }

  /** Adds a row, with the values as the server sent them. */
  write(row: readonly (Uint8Array | null)[]): void {
    for (let index = 0; index < row.length; index += 1) {
      if (index > 0) this.#put(TAB)
      const value = row[index] ?? null
      if (value === null) this.#copy(NULL)
      else this.#writeValue(value, this.#encodings[index] ?? 'escaped')
    }
    // DuckDB ignores an empty line. So a row of one column gets a second column.
    if (row.length === 1) this.#put(TAB)
    this.#put(LINE_FEED)
  }

  #writeValue(value: Uint8Array, encoding: Encoding): void {
    if (encoding === 'plain') this.#copy(value)
    else if (encoding === 'escaped') this.#escape(value)
    else if (encoding === 'hex') this.#copy(Buffer.from(Buffer.from(value).toString('hex'), 'latin1'))
    else this.#copy(Buffer.from(bitsOf(value, encoding.bits), 'latin1'))
  }

  #escape(value: Uint8Array): void {
    this.#makeRoom(value.length * 2)
    const bytes = this.#bytes
    let at = this.length
    for (const byte of value) {
      const escape = ESCAPE_OF[byte] ?? 0
      if (escape === 0) bytes[at++] = byte
      else {
        bytes[at++] = BACKSLASH
        bytes[at++] = escape
      }
    }
    this.length = at
  }

  #copy(value: Uint8Array): void {
    this.#makeRoom(value.length)
    this.#bytes.set(value, this.length)
    this.length += value.length
  }

  #put(byte: number): void {
    this.#makeRoom(1)
    this.#bytes[this.length] = byte
    this.length += 1
  }

  #makeRoom(bytes: number): void {
    if (this.length + bytes <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe((this.length + bytes) * 2)
    larger.set(this.#bytes.subarray(0, this.length))
    this.#bytes = larger
  }

  /** Returns the bytes so far, and begins a new buffer. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.length)
    this.#bytes = Buffer.allocUnsafe(PIECE_BYTES * 2)
    this.length = 0
    return taken
  }
}

function bitsOf(value: Uint8Array, count: number): string {
  const bits = Array.from(value, byte => byte.toString(2).padStart(8, '0')).join('')
  return bits.slice(-count).padStart(count, '0')
}
