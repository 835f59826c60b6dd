/**
 * The messages of a PostgreSQL server, each whole and of the right form. pg takes a server at its word: an
 * error without its end is read for ever, and a value may begin before the message that has it.
 *
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import { MAX_TALK_BYTES, SaysTooMuch } from '../server/errors.ts'

/** A message's type and, in four bytes, its length without the type. */
const HEADER_BYTES = 5
const [ERROR, NOTICE, ROW] = ['E', 'N', 'D'].map(letter => letter.charCodeAt(0))

export class WholeMessages {
  /** The beginning of a message that is not whole yet. */
  #pieces: Buffer[] = []
  #held = 0
  #wanted = HEADER_BYTES
  #said = 0

  /** The messages that are whole with this piece. Throws for what is no message, and for too much of them. */
  of(piece: Buffer): Buffer {
    this.#said += piece.length
    if (this.#said > MAX_TALK_BYTES) throw new SaysTooMuch(MAX_TALK_BYTES)
    this.#pieces.push(piece)
    this.#held += piece.length
    if (this.#held < this.#wanted) return Buffer.alloc(0)
    const data = this.#pieces.length === 1 ? piece : Buffer.concat(this.#pieces)
    let at = 0
    this.#wanted = HEADER_BYTES
    while (data.length - at >= HEADER_BYTES) {
      const length = data.readUInt32BE(at + 1) + 1
      if (length < HEADER_BYTES) throw unreadable()
      this.#wanted = length
      if (data.length - at < length) break
      assertReadable(data.subarray(at, at + length))
      at += length
      this.#wanted = HEADER_BYTES
    }
    this.#pieces = [data.subarray(at)]
    this.#held = data.length - at
    return data.subarray(0, at)
  }
}

function unreadable(): Error {
  return new Error('it sent what is no message of PostgreSQL')
}

function assertReadable(message: Buffer): void {
  const type = message[0]
  const isRight =
    type === ERROR || type === NOTICE ? endsInZeros(message) : type === ROW ? hasItsValues(message) : true
  if (!isRight) throw unreadable()
}

/** The last field ends in a zero, and so does the message. */
function endsInZeros(message: Buffer): boolean {
  const fields = message.length - HEADER_BYTES
  return message.at(-1) === 0 && (fields === 1 || (fields > 1 && message.at(-2) === 0))
}

/** The lengths of the values of a row come to the length of the message. */
function hasItsValues(message: Buffer): boolean {
  if (message.length < HEADER_BYTES + 2) return false
  let at = HEADER_BYTES + 2
  for (let left = message.readInt16BE(HEADER_BYTES); left > 0; left -= 1) {
    if (at + 4 > message.length) return false
    const length = message.readInt32BE(at)
    if (length < -1) return false
    at += 4 + Math.max(length, 0)
  }
  return at === message.length
}
