/**
 * Writes single values into a buffer as Avro has them, and returns where they end. Beyond its end, a buffer
 * takes bytes and keeps none. So the caller leaves room, and checks where the last value ends.
 */
import type { TextValues } from '@sluice/contracts/column-values'

/** Up to so many bytes, a loop in JavaScript is faster than a call into V8. */
const SHORT_COPY = 48
const TWO_32 = 4_294_967_296

/** Copies all bytes of another buffer. */
export function putFixed(into: Uint8Array, at: number, bytes: Uint8Array): number {
  const { length } = bytes
  if (length <= SHORT_COPY) for (let i = 0; i < length; i++) into[at + i] = bytes[i] as number
  else into.set(bytes, at)
  return at + length
}

/** The text of a row that has one, with its length before it. */
export function putText(into: Uint8Array, at: number, values: TextValues, row: number): number {
  const { bytes } = values
  const length = values.lengths[row] as number
  const start = values.starts[row] as number
  const from = putLong(into, at, length)
  if (length <= SHORT_COPY) for (let i = 0; i < length; i++) into[from + i] = bytes[start + i] as number
  else into.set(bytes.subarray(start, start + length), from)
  return from + length
}

/** A safe integer: zigzag, in groups of seven bits. */
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

/** A 64-bit integer, given as its signed upper and unsigned lower half. */
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

/** Avro has the low byte first, as all processors have on which Node runs. */
export function putDouble(into: Uint8Array, at: number, value: number): number {
  DOUBLE[0] = value
  return putFixed(into, at, DOUBLE_BYTES)
}

export function putFloat(into: Uint8Array, at: number, value: number): number {
  FLOAT[0] = value
  return putFixed(into, at, FLOAT_BYTES)
}

/** The unscaled number of a decimal, a safe integer: two's complement in as few bytes as it takes. */
export function putDecimal(into: Uint8Array, at: number, unscaled: number): number {
  let length = 1
  for (let limit = 128; unscaled >= limit || unscaled < -limit; limit *= 256) length++
  const end = putLong(into, at, length) + length
  let rest = unscaled
  for (let i = end - 1; i >= end - length; i--) {
    into[i] = rest // The low byte; typed arrays wrap negative numbers as two's complement does.
    rest = Math.floor(rest / 256)
  }
  return end
}
