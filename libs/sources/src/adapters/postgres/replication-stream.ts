/**
 * Reads the log of PostgreSQL through a replication slot. It takes messages whole from the socket, and holds
 * so many bytes of them at most: while nobody takes them, the server waits. It answers the server's
 * keepalives, and tells the server regularly how far the log may be forgotten.
 *
 * https://www.postgresql.org/docs/current/protocol-replication.html
 *
 * States: submitted → streaming → over.
 */
import { Notifier } from '@sluice/flow/notifier'
import type { Client, Connection } from 'pg'
import { MAX_ROW_BYTES } from '../server/row-text.ts'
import { AT_ANY_TIME, BorrowedConnection, COPY_DATA, HEADER_BYTES } from './borrowed-connection.ts'
import { lsnText } from './pgoutput.ts'

const [COPY_BOTH, LOG_DATA, KEEPALIVE] = ['W', 'w', 'k'].map(letter => letter.charCodeAt(0))
/** Before a message of the log: its letter, two positions and a time. */
const LOG_HEADER_BYTES = 1 + 8 + 8 + 8

/** Beyond this many bytes that nobody has taken, nothing is read from the socket. */
const MAX_HELD_BYTES = 4_000_000
/** A message has a row as it is and as it was. A longer one is passed over. */
const MAX_MESSAGE_BYTES = 2 * MAX_ROW_BYTES + 1_000_000
/** The beginning of a message that is passed over: enough to tell the table. */
const KEPT_BYTES = LOG_HEADER_BYTES + 64
const STATUS_EVERY_MS = 10_000
/** A server that is asked for a sign of life gets so many of these intervals. */
const MAX_SILENT_INTERVALS = 3
/** PostgreSQL counts microseconds from the year 2000 on. */
const EPOCH_MS = Date.UTC(2000, 0, 1)
/** The server is told at once after this many bytes of the log. */
const TOLD_AT_ONCE = 16n * 1024n * 1024n

export type Received =
  | { readonly kind: 'message'; readonly data: Buffer; readonly isWhole: boolean }
  /** The server has sent all that stands before this position. */
  | { readonly kind: 'alive'; readonly lsn: bigint }

export interface ReplicationOptions {
  readonly slot: string
  readonly publication: string
  /** Transactions that were committed from here on are read. */
  readonly from: bigint
}

/** A query for pg's `client.query`, on a connection for replication. */
export class ReplicationStream {
  readonly #sql: string
  readonly #started = Promise.withResolvers<void>()
  /** Notifies when there is something to take, and at the end. */
  readonly changes = new Notifier()
  #connection: BorrowedConnection | null = null
  #partialHeader: Buffer = Buffer.alloc(0)
  /** The rest of the message that is being read, with its pieces so far. */
  #left = 0
  #isData = false
  #pieces: Buffer[] = []
  #pieceBytes = 0
  #isWhole = true
  #held: Received[] = []
  /** The first of the held that was not taken. */
  #taken = 0
  #heldBytes = 0
  #error: Error | null = null
  #received: bigint
  /** What the server may forget. It passes over 0: its position of before still counts. */
  #flushed = 0n
  #told = 0n
  #timer: NodeJS.Timeout | null = null
  #silent = 0

  private constructor({ slot, publication, from }: ReplicationOptions) {
    this.#received = from
    // A publication has no name that needs quotes within these.
    this.#sql = `START_REPLICATION SLOT "${slot}" LOGICAL ${lsnText(from)} (proto_version '1', publication_names '"${publication}"')`
    this.#started.promise.catch(() => undefined)
  }

  /** Resolves once the server begins. Rejects with pg's error. The caller closes the connection. */
  static async start(client: Client, options: ReplicationOptions): Promise<ReplicationStream> {
    const stream = new ReplicationStream(options)
    client.query(stream)
    await stream.#started.promise
    return stream
  }

  /** The error that ended it. What is held can be taken all the same. */
  get error(): Error | null {
    return this.#error
  }

  get isEmpty(): boolean {
    return this.#taken === this.#held.length
  }

  /** Takes the next message; null if none is there by now. */
  take(): Received | null {
    const next = this.#held[this.#taken]
    if (next === undefined) return null
    this.#taken += 1
    if (next.kind === 'message') this.#heldBytes -= next.data.length
    if (this.#taken === this.#held.length || this.#taken > 1_000) {
      this.#held = this.#held.slice(this.#taken)
      this.#taken = 0
    }
    if (this.#heldBytes < MAX_HELD_BYTES / 2) this.#connection?.stream.resume()
    return next
  }

  /** Lets the server forget what stands before this position. */
  flushed(lsn: bigint): void {
    if (lsn <= this.#flushed) return
    this.#flushed = lsn
    if (lsn - this.#told >= TOLD_AT_ONCE) this.#tell(false)
  }

  /** Reads and answers nothing more. The server's last messages are passed over. */
  end(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
    if (this.#error === null) this.#tell(false)
    this.#over(new Error('the reader was closed'))
    const socket = this.#connection?.stream
    socket?.off('data', this.#onData)
    socket?.resume()
  }

  /** Called by pg when it is this query's turn. */
  submit(connection: Connection): void {
    this.#connection = new BorrowedConnection(connection, this.#onData)
    connection.query(this.#sql)
  }

  handleCommandComplete(): void {
    this.#over(new Error('the server ended the log'))
  }

  handleReadyForQuery(): void {
    this.#over(new Error('the server ended the log'))
  }

  handleError(error: Error): void {
    this.#over(error)
  }

  #over(error: Error): void {
    this.#error ??= error
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
    this.#started.reject(this.#error)
    this.changes.notify()
  }

  readonly #onData = (piece: Buffer): void => {
    this.#silent = 0
    const data = this.#partialHeader.length === 0 ? piece : Buffer.concat([this.#partialHeader, piece])
    this.#partialHeader = Buffer.alloc(0)
    let at = 0
    while (at < data.length) {
      if (this.#left === 0) {
        if (data.length - at < HEADER_BYTES) {
          this.#partialHeader = data.subarray(at)
          break
        }
        const type = data[at] ?? 0
        this.#isData = type === COPY_DATA
        if (!this.#isData && type !== COPY_BOTH && !AT_ANY_TIME.includes(type)) {
          this.changes.notify()
          return this.#connection?.giveBack(data.subarray(at))
        }
        if (type === COPY_BOTH) this.#begin()
        this.#left = data.readUInt32BE(at + 1) - (HEADER_BYTES - 1)
        if (this.#left < 0) return void this.#connection?.stream.destroy(new Error('a message has no length'))
        this.#isWhole = this.#left <= MAX_MESSAGE_BYTES
        at += HEADER_BYTES
      }
      const length = Math.min(this.#left, data.length - at)
      if (this.#isData) this.#keep(data.subarray(at, at + length))
      this.#left -= length
      at += length
      if (this.#left === 0 && this.#isData) this.#takeWhole()
    }
    if (!this.isEmpty) this.changes.notify()
    if (this.#heldBytes > MAX_HELD_BYTES) this.#connection?.stream.pause()
  }

  #begin(): void {
    this.#started.resolve()
    this.#timer = setInterval(() => {
      // While nobody takes the messages, no sign of life is read either.
      if (this.#connection?.stream.isPaused() === false) this.#silent += 1
      if (this.#silent > MAX_SILENT_INTERVALS)
        this.#connection?.stream.destroy(new Error('the server has given no sign of life'))
      else this.#tell(this.#silent > 0)
    }, STATUS_EVERY_MS)
  }

  #keep(piece: Buffer): void {
    if (!this.#isWhole && this.#pieceBytes >= KEPT_BYTES) return
    this.#pieces.push(piece)
    this.#pieceBytes += piece.length
  }

  #takeWhole(): void {
    const [first = Buffer.alloc(0), ...more] = this.#pieces
    const data = more.length === 0 ? first : Buffer.concat(this.#pieces)
    this.#pieces = []
    this.#pieceBytes = 0
    if (data[0] === KEEPALIVE && data.length >= 1 + 8 + 8 + 1) {
      const lsn = data.readBigUInt64BE(1)
      this.#see(lsn)
      const last = this.#held.at(-1)
      if (last?.kind === 'alive' && !this.isEmpty) this.#held.pop()
      this.#held.push({ kind: 'alive', lsn })
      if (data[17] === 1) this.#tell(false)
    } else if (data[0] === LOG_DATA && data.length > LOG_HEADER_BYTES) {
      this.#see(data.readBigUInt64BE(1))
      const message = data.subarray(LOG_HEADER_BYTES)
      this.#held.push({ kind: 'message', data: message, isWhole: this.#isWhole })
      this.#heldBytes += message.length
    }
  }

  #see(lsn: bigint): void {
    if (lsn > this.#received) this.#received = lsn
  }

  /** Tells the server what is received, and what it may forget. */
  #tell(asks: boolean): void {
    const socket = this.#connection?.stream
    if (socket?.writable !== true) return
    const status = Buffer.alloc(HEADER_BYTES + 34)
    status.write('d', 0)
    status.writeInt32BE(status.length - 1, 1)
    status.write('r', HEADER_BYTES)
    const received = this.#received > this.#flushed ? this.#received : this.#flushed
    status.writeBigUInt64BE(received, HEADER_BYTES + 1)
    status.writeBigUInt64BE(this.#flushed, HEADER_BYTES + 9)
    status.writeBigUInt64BE(this.#flushed, HEADER_BYTES + 17)
    status.writeBigInt64BE(BigInt(Date.now() - EPOCH_MS) * 1000n, HEADER_BYTES + 25)
    status[HEADER_BYTES + 33] = asks ? 1 : 0
    socket.write(status)
    this.#told = this.#flushed
  }
}
