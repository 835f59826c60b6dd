/**
 * Writes single values into a buffer as Avro has them. Each function returns the offset of the value's end.
 * Writes beyond the end of a buffer are lost without an error. So the caller leaves room, and checks the last
 * offset.
 */
import type { TextValues } from '@sluice/contracts/column-values'

/** Up to this many bytes, a loop in JavaScript is faster than a call into V8. */
const MAX_LOOP_BYTES = 48
const TWO_32 = 4_294_967_296

/** Copies all bytes of another buffer. */
export function putFixed(into: Uint8Array, at: number, bytes: Uint8Array): number {
  const { length } = bytes
  if (length <= MAX_LOOP_BYTES) for (let i = 0; i < length; i++) into[at + i] = bytes[i] as number
  else into.set(bytes, at)
  return at + length
}

/** Writes the length of a row's text, and then the text. The text must not be null. */
export function putText(into: Uint8Array, at: number, values: TextValues, row: number): number {
  const { bytes } = values
  const length = values.lengths[row] as number
  const start = values.starts[row] as number
  const from = putLong(into, at, length)
  if (length <= MAX_LOOP_BYTES) for (let i = 0; i < length; i++) into[from + i] = bytes[start + i] as number
  else into.set(bytes.subarray(start, start + length), from)
  return from + length
}

/** Writes a safe integer: zigzag, in groups of seven bits. */
export function putLong(into: Uint8Array, start: number, value: number): number {
  let at = start
  if (value >= -1_073_741_824 && value < 1_073_741_824) {
    let rest = (value << 1) ^ (value >> 31)
    while (rest > 0x7f) {
      into[at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    into[at++] = rest
    return at
  }
  return putHalves(into, at, Math.floor(value / TWO_32), value >>> 0)
}

/** Writes a 64-bit integer, given as its signed upper and unsigned lower half. */
export function putHalves(into: Uint8Array, start: number, upper: number, lower: number): number {
  const sign = upper < 0 ? -1 : 0
  let low = ((lower << 1) ^ sign) >>> 0
  let high = (((upper << 1) | (lower >>> 31)) ^ sign) >>> 0
  let at = start
  while (high !== 0 || low > 127) {
    into[at++] = (low & 0x7f) | 0x80
    low = ((low >>> 7) | (high << 25)) >>> 0
    high >>>= 7
  }
  into[at++] = low
  return at
}

const DOUBLE = new Float64Array(1)
const DOUBLE_BYTES = new Uint8Array(DOUBLE.buffer)
const FLOAT = new Float32Array(1)
const FLOAT_BYTES = new Uint8Array(FLOAT.buffer)

/** Avro has the low byte first, like all processors on which Node runs. */
export function putDouble(into: Uint8Array, at: number, value: number): number {
  DOUBLE[0] = value
  return putFixed(into, at, DOUBLE_BYTES)
}

export function putFloat(into: Uint8Array, at: number, value: number): number {
  FLOAT[0] = value
  return putFixed(into, at, FLOAT_BYTES)
}

/** Writes the unscaled number of a decimal, a safe integer: two's complement in the fewest bytes. */
export function putDecimal(into: Uint8Array, at: number, unscaled: number): number {
  let length = 1
  for (let limit = 128; unscaled >= limit || unscaled < -limit; limit *= 256) length++
  const end = putLong(into, at, length) + length
  let rest = unscaled
  for (let i = end - 1; i >= end - length; i--) {
    into[i] = rest // This stores the low byte, since typed arrays wrap negative numbers as two's complement does.
    rest = Math.floor(rest / 256)
  }
  return end
}
