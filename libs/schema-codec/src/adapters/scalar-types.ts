/**
 * avsc types for single values, where avsc's own are slower, less exact, or know another form of the value (contracts/values.ts). All write the
 * bytes that Avro prescribes.
 */
import { Decimal } from '@sluice/contracts/values'
import { decimalBytes, decimalText, unscaledOf } from '../decimal-bytes.ts'
import {
  dateOfDays,
  daysOfDate,
  infinitySign,
  infinityText,
  microsOfTime,
  MICROS_PER_DAY,
  momentOfTimestamp,
  timeOfMicros,
} from '../temporal-text.ts'
import { avscTypes, type AvscType, type Misfit, type NodeBuffer, type Tap } from './avsc.ts'

const { StringType, BytesType, IntType, LongType, FloatType } = avscTypes

/** Thrown by a `_write`, or a `_read` of nonsense; encoder and decoder turn it into an error that says where. */
export class DoesNotFit extends Error {}

const LABELS = new WeakMap<AvscType, string>()

/** What a type's values are, in the words of contracts/values.ts. */
export function labelOf(type: AvscType): string {
  return LABELS.get(type) ?? type.name ?? type.typeName
}

function labelled(label: string, type: AvscType): AvscType {
  LABELS.set(type, label)
  return type
}

/** A check made of `write`, which throws for a value that does not fit; called on the way to an error only. */
function checkByWriting(type: AvscType, value: unknown, misfit: Misfit | undefined): boolean {
  try {
    type._write({ ...discarded }, value)
    return true
  } catch {
    misfit?.(value, type)
    return false
  }
}

const discarded = Object.assign(Object.create(null) as Tap, {
  buf: Buffer.alloc(0) as NodeBuffer,
  pos: 0,
  isValid: () => true,
  readLong: () => 0,
  writeLong: () => undefined,
  skipLong: () => undefined,
  readFixed: () => undefined,
  readFloat: () => 0,
  writeFloat: () => undefined,
})

/** Up to so many characters a loop in JavaScript beats the way into V8. */
const SHORT_WRITE = 40
const SHORT_READ = 12

/** The length of text is written in two bytes if it has so many characters, at up to three bytes each. */
const TWO_BYTE_LENGTH_MIN = 64
const TWO_BYTE_LENGTH_MAX = 8191 / 3

/** Text as UTF-8; lone surrogates become U+FFFD. */
class Text extends StringType {
  override _read(tap: Tap): string {
    return readText(tap)
  }

  override _write(tap: Tap, value: unknown): void {
    if (typeof value !== 'string') throw new DoesNotFit()
    writeText(tap, value)
  }
}
export const TEXT = labelled('text', new Text())

export function readText(tap: Tap): string {
  const length = tap.readLong()
  const { buf, pos } = tap
  const end = pos + length
  tap.pos = end
  if (length < 0 || end > buf.length) {
    tap.pos = buf.length + 1
    return ''
  }
  if (length <= SHORT_READ) {
    let text = ''
    for (let i = pos; i < end; i++) {
      const byte = buf[i] ?? 0
      if (byte > 127) return buf.utf8Slice(pos, end)
      text += String.fromCharCode(byte)
    }
    return text
  }
  return buf.utf8Slice(pos, end)
}

export function writeText(tap: Tap, text: string): void {
  const { length } = text
  if (length <= SHORT_WRITE && writeShortAscii(tap, text)) return
  const { buf, pos } = tap
  if (length >= TWO_BYTE_LENGTH_MIN && length <= TWO_BYTE_LENGTH_MAX && pos + 2 + 3 * length <= buf.length) {
    const written = buf.utf8Write(text, pos + 2, 3 * length)
    buf[pos] = ((written << 1) & 0x7f) | 0x80
    buf[pos + 1] = written >> 6
    tap.pos = pos + 2 + written
    return
  }
  const bytes = Buffer.byteLength(text)
  tap.writeLong(bytes)
  if (tap.pos + bytes <= buf.length) buf.utf8Write(text, tap.pos, bytes)
  tap.pos += bytes
}

/** Writes the text if it is ASCII and has room; the tap has not moved otherwise. */
function writeShortAscii(tap: Tap, text: string): boolean {
  const { length } = text
  const { buf, pos } = tap
  if (pos + 1 + length > buf.length) return false
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127) return false
    buf[pos + 1 + i] = code
  }
  buf[pos] = length << 1
  tap.pos = pos + 1 + length
  return true
}

/** Bytes; the value read is a copy. */
class Bytes extends BytesType {
  override _read(tap: Tap): Uint8Array | undefined {
    return readBytes(tap)
  }

  override _write(tap: Tap, value: unknown): void {
    if (!(value instanceof Uint8Array)) throw new DoesNotFit()
    writeBytes(tap, value)
  }

  override _check(value: unknown, _flags: number, misfit: Misfit | undefined): boolean {
    return checkByWriting(this, value, misfit)
  }
}
export const BYTES = labelled('bytes (Uint8Array)', new Bytes())

function readBytes(tap: Tap): Uint8Array | undefined {
  const length = tap.readLong()
  const { buf, pos } = tap
  tap.pos = pos + length
  if (length < 0 || tap.pos > buf.length) {
    tap.pos = buf.length + 1
    return undefined
  }
  const copy = new Uint8Array(length)
  copy.set(buf.subarray(pos, pos + length))
  return copy
}

function writeBytes(tap: Tap, bytes: Uint8Array): void {
  tap.writeLong(bytes.length)
  if (tap.pos + bytes.length <= tap.buf.length) tap.buf.set(bytes, tap.pos)
  tap.pos += bytes.length
}

const TWO_32 = 4_294_967_296
const MIN_INT64 = -(2n ** 63n)
const MAX_INT64 = 2n ** 63n - 1n

/** 64-bit integers: numbers where safe, bigints beyond, both taken. */
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

function writeLong(tap: Tap, value: number | bigint): void {
  if (typeof value === 'number') {
    if (value >= -1_073_741_824 && value < 1_073_741_824) tap.writeLong(value)
    else writeHalves(tap, Math.floor(value / TWO_32), value >>> 0)
    return
  }
  if (value < MIN_INT64 || value > MAX_INT64) throw new DoesNotFit()
  writeHalves(tap, Number(value >> 32n), Number(BigInt.asUintN(32, value)))
}

/** Writes a 64-bit integer given as its signed upper and unsigned lower half, zigzag, in groups of seven bits. */
function writeHalves(tap: Tap, upper: number, lower: number): void {
  const sign = upper < 0 ? -1 : 0
  let low = ((lower << 1) ^ sign) >>> 0
  let high = (((upper << 1) | (lower >>> 31)) ^ sign) >>> 0
  const { buf } = tap
  let { pos } = tap
  while (high !== 0 || low > 127) {
    buf[pos++] = (low & 0x7f) | 0x80
    low = ((low >>> 7) | (high << 25)) >>> 0
    high >>>= 7
  }
  buf[pos++] = low
  tap.pos = pos
}

/** Reads a 64-bit integer. More than ten bytes are none; that is noticed by `isValid`. */
function readLong(tap: Tap): number | bigint {
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

/** 32-bit floats as the shortest decimal that names them. */
class Float extends FloatType {
  override _read(tap: Tap): number {
    const value = tap.readFloat()
    const isShort = Number.isInteger(value) && Math.abs(value) < 1_000_000
    return isShort || !Number.isFinite(value) ? value : shortestDecimal(value)
  }
}
export const FLOAT = labelled('float', new Float())

/** Floats nearer to zero have fewer bits. */
const MIN_NORMAL_FLOAT = 2 ** -126

function shortestDecimal(value: number): number {
  // Any six digits survive in a float, so that fewer need no look; those near zero have not even six.
  for (let precision = Math.abs(value) < MIN_NORMAL_FLOAT ? 1 : 6; precision < 9; precision++) {
    const shorter = Number(value.toPrecision(precision))
    if (Math.fround(shorter) === value) return shorter
  }
  return Number(value.toPrecision(9)) // Nine digits tell all 32-bit floats apart.
}

/** Databases count an infinite date as the greatest number, or its negative. */
const INFINITE_DAYS = 2_147_483_647
const INFINITE_MICROS = MAX_INT64

class DateText extends IntType {
  override _read(tap: Tap): string {
    const days = tap.readLong()
    if (days === INFINITE_DAYS || days === -INFINITE_DAYS) return infinityText(days > 0 ? 1 : -1)
    return dateOfDays(days)
  }

  override _write(tap: Tap, value: unknown): void {
    if (typeof value !== 'string') throw new DoesNotFit()
    let days = daysOfDate(value)
    if (days === undefined) {
      const sign = infinitySign(value)
      if (sign === 0) throw new DoesNotFit()
      days = sign * INFINITE_DAYS
    }
    if (days < -INFINITE_DAYS || days > INFINITE_DAYS) throw new DoesNotFit()
    tap.writeLong(days)
  }

  override _check(value: unknown, _flags: number, misfit: Misfit | undefined): boolean {
    return checkByWriting(this, value, misfit)
  }
}
export const DATE = labelled('date', new DateText())

class TimeText extends LongType {
  override _read(tap: Tap): string {
    const micros = tap.readLong()
    if (!(micros >= 0 && micros <= MICROS_PER_DAY)) tap.pos = tap.buf.length + 1
    return timeOfMicros(micros)
  }

  override _write(tap: Tap, value: unknown): void {
    const micros = typeof value === 'string' ? microsOfTime(value) : undefined
    if (micros === undefined) throw new DoesNotFit()
    writeLong(tap, micros)
  }

  override _check(value: unknown, _flags: number, misfit: Misfit | undefined): boolean {
    return checkByWriting(this, value, misfit)
  }
}
export const TIME = labelled('time', new TimeText())

/** Days whose microseconds are safe numbers. */
const SAFE_DAYS = 104_000

class TimestampText extends LongType {
  override _read(tap: Tap): string {
    return readTimestamp(tap)
  }

  override _write(tap: Tap, value: unknown): void {
    if (typeof value !== 'string') throw new DoesNotFit()
    writeTimestamp(tap, value)
  }

  override _check(value: unknown, _flags: number, misfit: Misfit | undefined): boolean {
    return checkByWriting(this, value, misfit)
  }
}

class ZonedTimestampText extends TimestampText {
  override _read(tap: Tap): string {
    const text = readTimestamp(tap)
    return infinitySign(text) === 0 ? `${text}Z` : text
  }
}
export const TIMESTAMP = labelled('timestamp', new TimestampText())
export const ZONED_TIMESTAMP = labelled('timestamp in UTC', new ZonedTimestampText())

function writeTimestamp(tap: Tap, text: string): void {
  const moment = momentOfTimestamp(text)
  if (moment === undefined) {
    const sign = infinitySign(text)
    if (sign === 0) throw new DoesNotFit()
    writeLong(tap, BigInt(sign) * INFINITE_MICROS)
    return
  }
  const { days, micros } = moment
  if (days > -SAFE_DAYS && days < SAFE_DAYS) writeLong(tap, days * MICROS_PER_DAY + micros)
  else writeLong(tap, BigInt(days) * BigInt(MICROS_PER_DAY) + BigInt(micros))
}

function readTimestamp(tap: Tap): string {
  const micros = readLong(tap)
  if (typeof micros === 'number') {
    const days = Math.floor(micros / MICROS_PER_DAY)
    return `${dateOfDays(days)}T${timeOfMicros(micros - days * MICROS_PER_DAY)}`
  }
  if (micros === INFINITE_MICROS || micros === -INFINITE_MICROS) return infinityText(micros > 0n ? 1 : -1)
  const perDay = BigInt(MICROS_PER_DAY)
  const ofDay = ((micros % perDay) + perDay) % perDay
  return `${dateOfDays(Number((micros - ofDay) / perDay))}T${timeOfMicros(Number(ofDay))}`
}

/** Decimals, from `Decimal`, number, bigint or text; see contracts/values.ts for what they are read as. */
export function decimalType(precision: number, scale: number): AvscType {
  class DecimalBytes extends BytesType {
    override _read(tap: Tap): number | bigint | Decimal {
      const bytes = readBytes(tap) ?? new Uint8Array(1)
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

/** Large whole numbers print with an exponent; as a bigint they do not. */
function decimalInput(value: Decimal | bigint | number | string): string {
  return typeof value === 'number' && Number.isInteger(value) ? String(BigInt(value)) : String(value)
}
