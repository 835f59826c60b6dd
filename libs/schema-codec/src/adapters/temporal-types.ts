/**
 * avsc types for dates and times as text, exact to the microsecond over all 64 bits (contracts/values.ts).
 */
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
import { avscTypes, type Misfit, type Tap } from './avsc.ts'
import { MAX_INT64, readLong, writeLong } from './number-types.ts'
import { checkByWriting, DoesNotFit, labelled } from './text-types.ts'

const { IntType, LongType } = avscTypes

/** As in databases, the greatest number and its negative stand for infinite dates. */
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

/** The microseconds of up to this many days are safe numbers. */
const MAX_SAFE_DAYS = 104_000

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
  if (days > -MAX_SAFE_DAYS && days < MAX_SAFE_DAYS) writeLong(tap, days * MICROS_PER_DAY + micros)
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
