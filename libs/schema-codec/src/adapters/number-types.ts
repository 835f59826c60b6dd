/** avsc types for numbers that JavaScript cannot hold, or prints differently (contracts/values.ts). */
import { Decimal, shortestOfFloat } from '@sluice/contracts/values'
import { decimalBytes, decimalText, unscaledOf } from '../decimal-bytes.ts'
import { avscTypes, type AvscType, type Misfit, type Tap } from './avsc.ts'
import { putHalves } from './put-values.ts'
import { checkByWriting, DoesNotFit, labelled, readBytes, writeBytes } from './text-types.ts'

const { BytesType, LongType, FloatType } = avscTypes

const TWO_32 = 4_294_967_296
const MIN_INT64 = -(2n ** 63n)
export const MAX_INT64 = 2n ** 63n - 1n

/** 64-bit integers. They are read as numbers if safe, else as bigints, and written from both. */
class ExactLong extends LongType {
  override _read(tap: Tap): number | bigint {
    return readLong(tap)
  }

  override _write(tap: Tap, value: unknown): void {
    if (typeof value === 'number' ? !Number.isSafeInteger(value) : typeof value !== 'bigint')
      throw new DoesNotFit()
    writeLong(tap, value as number | bigint)
  }

  override _check(value: unknown, _flags: number, misfit: Misfit | undefined): boolean {
    return checkByWriting(this, value, misfit)
  }
}
export const EXACT_LONG = labelled('long (integer of 64 bits)', new ExactLong())

/** The last instant of JavaScript's dates, in ms since 1970. */
const MAX_MILLIS = 8.64e15

/**
 * Instants. Code that prints dates throws for an instant beyond JavaScript's dates. So reading refuses it,
 * and writing puts the last or first of JavaScript's dates in its place.
 */
class Millis extends LongType {
  override _read(tap: Tap): unknown {
    const value = super._read(tap)
    if (typeof value !== 'number' || Math.abs(value) > MAX_MILLIS) throw new DoesNotFit()
    return value
  }

  override _write(tap: Tap, value: unknown): void {
    const isFar = typeof value === 'number' && Math.abs(value) > MAX_MILLIS
    super._write(tap, isFar ? Math.sign(value) * MAX_MILLIS : value)
  }
}
export const MILLIS = new Millis()

export function writeLong(tap: Tap, value: number | bigint): void {
  if (typeof value === 'number') {
    if (value >= -1_073_741_824 && value < 1_073_741_824) tap.writeLong(value)
    else tap.pos = putHalves(tap.buf, tap.pos, Math.floor(value / TWO_32), value >>> 0)
    return
  }
  if (value < MIN_INT64 || value > MAX_INT64) throw new DoesNotFit()
  tap.pos = putHalves(tap.buf, tap.pos, Number(value >> 32n), Number(BigInt.asUintN(32, value)))
}

/**
 * Reads a 64-bit integer. For more than ten bytes, the tap moves beyond its buffer, so `isValid` is false.
 */
export function readLong(tap: Tap): number | bigint {
  const { buf } = tap
  let { pos } = tap
  let low = 0
  let high = 0
  let byte = 0x80
  for (let shift = 0; byte > 127; shift += 7) {
    if (shift > 63 || pos >= buf.length) {
      tap.pos = buf.length + 1
      return 0
    }
    byte = buf[pos++] ?? 0
    if (shift < 28) low |= (byte & 0x7f) << shift
    else if (shift === 28) {
      low |= (byte & 0x0f) << 28
      high = (byte >>> 4) & 0x07
    } else high |= (byte & 0x7f) << (shift - 32)
  }
  tap.pos = pos
  const sign = -(low & 1)
  const lower = (((low >>> 1) | (high << 31)) ^ sign) >>> 0
  const upper = (high >>> 1) ^ sign
  const value = upper * TWO_32 + lower
  return Number.isSafeInteger(value) ? value : (BigInt(upper) << 32n) | BigInt(lower)
}

/** 32-bit floats. They are read as the number with the shortest digits for the float. */
class Float extends FloatType {
  override _read(tap: Tap): number {
    return shortestOfFloat(tap.readFloat())
  }
}
export const FLOAT = labelled('float', new Float())

/**
 * The largest number of PostgreSQL has 147,455 digits, and fits. Longer numbers are refused, since the time
 * to print them grows faster than their digits.
 */
const MAX_DECIMAL_BYTES = 64 * 1024

/**
 * Decimals. They are written from `Decimal`, number, bigint or text, and read as contracts/values.ts says.
 */
export function decimalType(precision: number, scale: number): AvscType {
  class DecimalBytes extends BytesType {
    override _read(tap: Tap): number | bigint | Decimal {
      const bytes = readBytes(tap) ?? new Uint8Array(1)
      if (bytes.length > MAX_DECIMAL_BYTES) throw new DoesNotFit()
      const unscaled = unscaledOf(bytes)
      return scale === 0 ? unscaled : new Decimal(decimalText(unscaled, scale))
    }

    override _write(tap: Tap, value: unknown): void {
      const isDecimal = value instanceof Decimal || typeof value === 'bigint' || typeof value === 'number'
      if (!isDecimal && typeof value !== 'string') throw new DoesNotFit()
      const bytes = decimalBytes(decimalInput(value), precision, scale)
      if (bytes === undefined) throw new DoesNotFit()
      writeBytes(tap, bytes)
    }

    override _check(value: unknown, _flags: number, misfit: Misfit | undefined): boolean {
      return checkByWriting(this, value, misfit)
    }
  }
  return labelled(`decimal(${precision},${scale})`, new DecimalBytes())
}

/**
 * Returns the text of a value. A large whole number would print with an exponent, which a bigint does not.
 */
function decimalInput(value: Decimal | bigint | number | string): string {
  return typeof value === 'number' && Number.isInteger(value) ? String(BigInt(value)) : String(value)
}
