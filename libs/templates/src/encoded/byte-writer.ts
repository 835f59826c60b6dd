/**
 * Writes bodies as UTF-8, one after another, into a shared block of memory. It never overwrites a finished
 * body: the next one begins behind it, or in a new block.
 */

const BLOCK_BYTES = 256 * 1024
/** From this length on, one call copies faster than a loop. */
const MIN_CALL_BYTES = 48

const QUOTE = 0x22
const BACKSLASH = 0x5c
const MINUS = 0x2d
const ZERO = 0x30
const HEX = Buffer.from('0123456789abcdef')
/** The letters of JSON's short escapes, by control character; 0 for a character without one. */
const SHORT_ESCAPES = new Uint8Array(0x20)
for (const [code, letter] of [
  [0x08, 'b'],
  [0x09, 't'],
  [0x0a, 'n'],
  [0x0c, 'f'],
  [0x0d, 'r'],
] as const)
  SHORT_ESCAPES[code] = letter.charCodeAt(0)

export class ByteWriter {
  #bytes = Buffer.allocUnsafeSlow(BLOCK_BYTES)
  #begin = 0
  #at = 0

  /** Begins a body. Drops what was written since the last `take`. */
  begin(): void {
    this.#at = this.#begin
  }

  /** The bytes that are written of the body. */
  get size(): number {
    return this.#at - this.#begin
  }

  /** Ends the body and returns it. It is a part of a larger buffer. */
  take(): Uint8Array {
    const body = this.#bytes.subarray(this.#begin, this.#at)
    this.#begin = this.#at
    return body
  }

  bytes(piece: Uint8Array): void {
    this.#room(piece.length)
    const to = this.#bytes
    let at = this.#at
    if (piece.length >= MIN_CALL_BYTES) {
      to.set(piece, at)
      at += piece.length
    } else for (let from = 0; from < piece.length; from += 1) to[at++] = piece[from] ?? 0
    this.#at = at
  }

  text(text: string): void {
    this.#room(text.length * 3)
    if (text.length < MIN_CALL_BYTES && this.#ascii(text)) return
    this.#at += this.#bytes.write(text, this.#at)
  }

  /** Writes the text if it is ASCII. Returns false otherwise, with nothing written. */
  #ascii(text: string): boolean {
    const to = this.#bytes
    let at = this.#at
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index)
      if (code > 0x7f) return false
      to[at++] = code
    }
    this.#at = at
    return true
  }

  /** Writes a whole number of at most 53 bits. */
  integer(value: number): void {
    this.#room(20)
    const to = this.#bytes
    let rest = value
    if (rest < 0) {
      to[this.#at++] = MINUS
      rest = -rest
    }
    let digits = 1
    for (let power = 10; power <= rest; power *= 10) digits += 1
    const end = this.#at + digits
    let at = end
    // Numbers above 31 bits lose digits first, since division of small integers is faster.
    for (; rest > 0x7fffffff; rest = Math.floor(rest / 10)) to[--at] = ZERO + (rest % 10)
    let small = rest | 0
    for (; at > this.#at; small = (small / 10) | 0) to[--at] = ZERO + (small % 10)
    this.#at = end
  }

  /** Writes UTF-8 as a string of JSON. Returns false, with nothing written, for bytes that are no UTF-8. */
  jsonText(from: Uint8Array, start: number, stop: number): boolean {
    this.#room(stop - start + 2)
    const begin = this.#at
    let to = this.#bytes
    let at = begin
    to[at++] = QUOTE
    for (let index = start; index < stop;) {
      const byte = from[index] ?? 0
      if (byte >= 0x80) {
        const length = lengthOfCharacter(from, index, stop)
        if (length === 0) {
          this.#at = begin
          return false
        }
        for (const end = index + length; index < end; index += 1) to[at++] = from[index] ?? 0
      } else if (byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH) {
        to[at++] = byte
        index += 1
      } else {
        this.#at = at
        // Makes room for the escape, the rest of the text, and the closing quote.
        this.#room(6 + stop - index)
        to = this.#bytes
        at = this.#at
        const letter = byte >= 0x20 ? byte : (SHORT_ESCAPES[byte] ?? 0)
        to[at++] = BACKSLASH
        if (letter !== 0) to[at++] = letter
        else {
          to[at++] = 0x75
          to[at++] = ZERO
          to[at++] = ZERO
          to[at++] = ZERO + (byte >> 4)
          to[at++] = HEX[byte & 0x0f] ?? 0
        }
        index += 1
      }
    }
    to[at++] = QUOTE
    this.#at = at
    return true
  }

  /** Makes room for this many more bytes. */
  #room(bytes: number): void {
    const needed = this.#at + bytes
    if (needed <= this.#bytes.length) return
    const written = this.#bytes.subarray(this.#begin, this.#at)
    const larger = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, 2 * (written.length + bytes)))
    larger.set(written)
    this.#at = written.length
    this.#begin = 0
    this.#bytes = larger
  }
}

/**
 * Counts the bytes of the character that begins here; 0 for bytes that are no UTF-8 (RFC 3629, section 4).
 */
function lengthOfCharacter(bytes: Uint8Array, at: number, stop: number): number {
  const first = bytes[at] ?? 0
  const length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0
  if (length === 0 || at + length > stop) return 0
  const second = bytes[at + 1] ?? 0
  const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
  const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
  if (second < least || second > most) return 0
  for (let index = at + 2; index < at + length; index += 1)
    if (((bytes[index] ?? 0) & 0xc0) !== 0x80) return 0
  return length
}

/** True for UTF-8 that needs no escape in a string of JSON. */
export function needsNoEscape(bytes: Uint8Array, start: number, stop: number): boolean {
  for (let index = start; index < stop;) {
    const byte = bytes[index] ?? 0
    if (byte < 0x20 || byte === QUOTE || byte === BACKSLASH) return false
    const length = byte < 0x80 ? 1 : lengthOfCharacter(bytes, index, stop)
    if (length === 0) return false
    index += length
  }
  return true
}
