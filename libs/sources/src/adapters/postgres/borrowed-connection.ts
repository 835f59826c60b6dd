/**
 * Reads a connection of pg in the place of pg's own reader, which parses each message into an object. The
 * borrower gives it back at the start of a message.
 */
import type { Connection } from 'pg'

/** A message's type and, in four bytes, its length without the type. */
export const HEADER_BYTES = 5
export const COPY_DATA = 'd'.charCodeAt(0)
/** Messages that a server may send at any time: settings, notices, notifications. */
export const AT_ANY_TIME: readonly number[] = ['S', 'N', 'A'].map(letter => letter.charCodeAt(0))

type DataListener = (data: Buffer) => void

export class BorrowedConnection {
  readonly stream: Connection['stream']
  /** pg's own reader, while `onData` replaces it. */
  readonly #reader: DataListener
  readonly #onData: DataListener

  /** To be called when it is the turn of the borrower's query, before that is sent. */
  constructor({ stream }: Connection, onData: DataListener) {
    const [reader, ...others] = stream.listeners('data')
    if (reader === undefined || others.length > 0) throw new Error('pg reads its connection in another way')
    this.stream = stream
    this.#reader = reader as DataListener
    this.#onData = onData
    stream.off('data', this.#reader)
    stream.on('data', onData)
  }

  /** pg reads on from here, the start of a message. */
  giveBack(data: Buffer): void {
    this.stream.off('data', this.#onData)
    this.stream.on('data', this.#reader)
    this.#reader.call(this.stream, data)
  }
}
