/**
 * Passes on the messages of a PostgreSQL server, each whole and of the right form. pg trusts a server: it
 * reads an error without an end for ever, and takes values from outside of their message.
 *
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import { AnswerTooLong, MAX_ANSWER_BYTES } from '../server/errors.ts'

/** A message's type and, in four bytes, its length without the type. */
const HEADER_BYTES = 5
const [ERROR, NOTICE, ROW] = ['E', 'N', 'D'].map(letter => letter.charCodeAt(0))

export class WholeMessages {
  /** The beginning of a message that is not whole yet. */
  #pieces: Buffer[] = []
  #heldBytes = 0
  #wantedBytes = HEADER_BYTES
  #sentBytes = 0

  /**
   * Takes a piece of the stream, and returns the messages that it completes. Throws for a message of the
   * wrong form, and for too many bytes.
   */
  take(piece: Buffer): Buffer {
    this.#sentBytes += piece.length
    if (this.#sentBytes > MAX_ANSWER_BYTES) throw new AnswerTooLong(MAX_ANSWER_BYTES)
    this.#pieces.push(piece)
    this.#heldBytes += piece.length
    if (this.#heldBytes < this.#wantedBytes) return Buffer.alloc(0)
    const data = this.#pieces.length === 1 ? piece : Buffer.concat(this.#pieces)
    let at = 0
    this.#wantedBytes = HEADER_BYTES
    while (data.length - at >= HEADER_BYTES) {
      const length = data.readUInt32BE(at + 1) + 1
      if (length < HEADER_BYTES) throw unreadable()
      this.#wantedBytes = length
      if (data.length - at < length) break
      assertReadable(data.subarray(at, at + length))
      at += length
      this.#wantedBytes = HEADER_BYTES
    }
    this.#pieces = [data.subarray(at)]
    this.#heldBytes = data.length - at
    return data.subarray(0, at)
  }
}

function unreadable(): Error {
  return new Error('it sent something that is no message of PostgreSQL')
}

function assertReadable(message: Buffer): void {
  const type = message[0]
  const isRight =
    type === ERROR || type === NOTICE ? endsInZeros(message) : type === ROW ? hasItsValues(message) : true
  if (!isRight) throw unreadable()
}

/** An error message is well-formed if its last field and the message itself each end in a zero byte. */
function endsInZeros(message: Buffer): boolean {
  const fields = message.length - HEADER_BYTES
  return message.at(-1) === 0 && (fields === 1 || (fields > 1 && message.at(-2) === 0))
}

/** A row message is well-formed if the lengths of its values add up to the length of the message. */
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
