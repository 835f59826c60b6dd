/**
 * Reads texts out of DuckDB, byte for byte. DuckDB's binding decodes a VARCHAR with a `TextDecoder`, which
 * takes a leading U+FEFF for a byte order mark and drops it. So no text that may come from a row is read as
 * VARCHAR. It is read as bytes (`asBytes`), and decoded here.
 */
import { isAscii, isUtf8 } from 'node:buffer'
import { DuckDBBlobValue, type DuckDBValue } from '@duckdb/node-api'
import { SluiceError } from '@sluice/contracts/errors'

/** SQL for the bytes of a text; NULL stays NULL. */
export function asBytes(text: string): string {
  return `encode(${text})`
}

/** Decodes a value that was read as bytes; null stays null. Throws `corrupt` for anything else. */
export function textOfBytes(value: DuckDBValue | undefined): string | null {
  if (value === null) return null
  if (!(value instanceof DuckDBBlobValue))
    throw new SluiceError('corrupt', `DuckDB gave a ${typeof value} where the bytes of a text were asked for`)
  const bytes = bufferOf(value.bytes)
  if (!isUtf8(bytes)) throw new SluiceError('corrupt', 'DuckDB gave a text that is no UTF-8')
  return bytes.toString('utf8')
}

/** Cuts the joined bytes of texts at their lengths in bytes; −1 is null. Throws as `startsOfTexts`. */
export function cutTexts(joined: Uint8Array, lengths: ArrayLike<number>): (string | null)[] {
  const starts = startsOfTexts(joined, lengths)
  const bytes = bufferOf(joined)
  if (isAscii(bytes)) return cutAscii(bytes.latin1Slice(0, bytes.length), lengths)
  return Array.from(starts, (start, i) => {
    const length = lengths[i] ?? -1
    return length < 0 ? null : bytes.utf8Slice(start, start + length)
  })
}

/**
 * Returns where each text begins in the joined bytes of all, by their lengths in bytes; −1 is null. Throws
 * `corrupt` unless the texts take up all bytes, and each begins with a character's first byte. A text that
 * has slipped into its neighbour must never be sent.
 */
export function startsOfTexts(joined: Uint8Array, lengths: ArrayLike<number>): Float64Array {
  const starts = new Float64Array(lengths.length)
  let end = 0
  for (let i = 0; i < lengths.length; i++) {
    starts[i] = end
    end += Math.max(0, lengths[i] ?? Number.NaN)
  }
  if (end !== joined.length)
    throw new SluiceError('corrupt', `texts of ${end} bytes came as ${joined.length} bytes`)
  if (isAscii(joined)) return starts
  if (!isUtf8(joined)) throw new SluiceError('corrupt', 'DuckDB gave texts that are no UTF-8')
  for (let i = 0; i < lengths.length; i++)
    if ((lengths[i] ?? 0) > 0 && isContinuation(joined[starts[i] ?? 0]))
      throw new SluiceError(
        'corrupt',
        `a text begins inside of a character, ${starts[i] ?? 0} bytes into its column`,
      )
  return starts
}

function cutAscii(text: string, lengths: ArrayLike<number>): (string | null)[] {
  const parts = new Array<string | null>(lengths.length)
  let start = 0
  for (let i = 0; i < lengths.length; i++) {
    const length = lengths[i] ?? -1
    parts[i] = length < 0 ? null : text.substring(start, start + length)
    if (length > 0) start += length
  }
  return parts
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80
}

/** Node has these methods, and does not document them: they skip looking up the encoding. */
interface TextBuffer extends Buffer {
  utf8Slice(start: number, end: number): string
  latin1Slice(start: number, end: number): string
}

function bufferOf(bytes: Uint8Array): TextBuffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) as TextBuffer
}
