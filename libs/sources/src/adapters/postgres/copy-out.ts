/**
 * Reads the rows of `COPY … TO STDOUT`. Each message frames one row, so at a million rows a second each step
 * counts. This moves the rows together inside the buffer that the socket has read, and allocates nothing.
 *
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
 *
 * States: submitted → copying → over. Once it is over, pg reads the connection again from the message that
 * ends the copy, unless the copy failed.
 */
import { Readable } from 'node:stream'
import type { Connection } from 'pg'
import { AT_ANY_TIME, BorrowedConnection, COPY_DATA, HEADER_BYTES } from './borrowed-connection.ts'

/** The start of the copy, and messages that may come at any time. */
const IGNORED = new Set(['H'.charCodeAt(0), ...AT_ANY_TIME])

/**
 * A query for pg's `client.query`. The stream ends only once the server has reported that the copy is
 * complete, and its number of rows. Otherwise it is destroyed with pg's error. While nobody reads the stream,
 * it reads nothing from the server.
 */
export class CopyOut extends Readable {
  readonly #sql: string
  #connection: BorrowedConnection | null = null
  /** The beginning of a header in which a piece ended. */
  #partialHeader: Buffer = Buffer.alloc(0)
  /** The remaining bytes of the current message. */
  #payload = 0
  #isData = false
  #rows: number | null = null

  constructor(sql: string) {
    super()
    this.#sql = sql
  }

  /** The number of rows that the server reports to have sent. It is known once the stream has ended. */
  get rowCount(): number | null {
    return this.#rows
  }

  /** Called by pg when it is this query's turn. */
  submit(connection: Connection): void {
    this.#connection = new BorrowedConnection(connection, this.#onData)
    connection.query(this.#sql)
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    const [, rows] = /^COPY (\d+)/.exec(text) ?? []
    this.#rows = rows === undefined ? null : Number(rows)
  }

  handleReadyForQuery(): void {
    if (this.#rows !== null) this.push(null)
    else this.destroy(new Error('the server ended the copy without saying how many rows it had'))
  }

  handleError(error: Error): void {
    this.destroy(error)
  }

  override _read(): void {
    this.#connection?.stream.resume()
  }

  readonly #onData = (piece: Buffer): void => {
    const data = this.#partialHeader.length === 0 ? piece : Buffer.concat([this.#partialHeader, piece])
    this.#partialHeader = Buffer.alloc(0)
    let at = 0
    /** The end of the rows that were moved together. */
    let end = 0
    while (at < data.length) {
      if (this.#payload === 0) {
        if (data.length - at < HEADER_BYTES) {
          this.#partialHeader = data.subarray(at)
          break
        }
        const type = data[at] ?? 0
        this.#isData = type === COPY_DATA
        if (!this.#isData && !IGNORED.has(type)) {
          this.#pushRows(data.subarray(0, end))
          this.#connection?.giveBack(data.subarray(at))
          return
        }
        this.#payload = data.readUInt32BE(at + 1) - (HEADER_BYTES - 1)
        at += HEADER_BYTES
        if (this.#payload < 0) return void this.destroy(new Error('the server sent a message of no length'))
      }
      const length = Math.min(this.#payload, data.length - at)
      if (this.#isData) {
        data.copyWithin(end, at, at + length)
        end += length
      }
      this.#payload -= length
      at += length
    }
    // The incomplete header is copied, since the buffer itself goes to the reader of the rows.
    if (this.#partialHeader.length > 0) this.#partialHeader = Buffer.from(this.#partialHeader)
    if (!this.#pushRows(data.subarray(0, end))) this.#connection?.stream.pause()
  }

  /** Returns false if the reader of the rows has enough for now. */
  #pushRows(rows: Buffer): boolean {
    return rows.length === 0 || this.destroyed || this.push(rows)
  }
}
