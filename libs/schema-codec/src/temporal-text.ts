/**
 * Converts dates, times and timestamps between their text (see contracts/values.ts) and Avro's numbers: days
 * since 1970-01-01, microseconds since midnight, and both together. It is exact in the proleptic Gregorian
 * calendar for every 64-bit timestamp.
 */

export const MICROS_PER_DAY = 86_400_000_000

/** A day, and the microseconds after its midnight. */
export interface Moment {
  readonly days: number
  readonly micros: number
}

const INFINITY = 'infinity'
const MINUS_INFINITY = '-infinity'

/** Returns +1 or −1 for the text of an infinite date or timestamp, and 0 for any other text. */
export function infinitySign(text: string): -1 | 0 | 1 {
  return text === INFINITY ? 1 : text === MINUS_INFINITY ? -1 : 0
}

export function infinityText(sign: -1 | 1): string {
  return sign === 1 ? INFINITY : MINUS_INFINITY
}

// These take the rarer forms: signed or long years, databases' `BC`, a blank for the `T`, any offset of UTC.
const DATE = /^([+-]?\d{1,7})-(\d\d)-(\d\d)( \(?BC\)?)?$/
const TIME = /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6})0*)?)?$/
const TIMESTAMP = /^([+-]?\d{1,7}-\d\d-\d\d(?: \(BC\))?)(?:[T ]([0-9:.]+))?(?:Z|[+-]00(?::?00)?)?( BC)?$/

/** Returns the days of a date's text; undefined if it is no date, such as 2023-02-29. */
export function daysOfDate(text: string): number | undefined {
  if (text.length === 10) {
    const year = digits(text, 0, 4)
    const month = digits(text, 5, 2)
    const day = digits(text, 8, 2)
    const dashed = text.charCodeAt(4) === DASH && text.charCodeAt(7) === DASH
    if (dashed && year >= 0 && month >= 0 && day >= 0) return daysOf(year, month, day)
  }
  const match = DATE.exec(text)
  if (match === null) return undefined
  const year = Number(match[1])
  return daysOf(match[4] === undefined ? year : 1 - year, Number(match[2]), Number(match[3]))
}

/** Returns the microseconds of a time's text, also of `24:00:00`; undefined if it is no time. */
export function microsOfTime(text: string): number | undefined {
  return text.length === 8 ? (clockMicros(text, 0) ?? slowMicrosOfTime(text)) : slowMicrosOfTime(text)
}

function slowMicrosOfTime(text: string): number | undefined {
  const match = TIME.exec(text)
  if (match === null) return undefined
  const fraction = Number((match[4] ?? '').padEnd(6, '0'))
  const seconds = Number(match[1]) * 3600 + Number(match[2]) * 60 + Number(match[3] ?? 0)
  const valid = Number(match[2]) < 60 && Number(match[3] ?? 0) < 60
  const micros = seconds * 1_000_000 + fraction
  return valid && micros <= MICROS_PER_DAY ? micros : undefined
}

/**
 * Returns the moment of a timestamp's text; undefined if it is no timestamp, or has an offset other than UTC,
 * since sources convert to UTC.
 */
export function momentOfTimestamp(text: string): Moment | undefined {
  const fast = fastMoment(text)
  if (fast !== undefined) return fast
  const match = TIMESTAMP.exec(text)
  if (match === null) return undefined
  const days = daysOfDate(`${match[1] ?? ''}${match[3] ?? ''}`)
  const micros = match[2] === undefined ? 0 : microsOfTime(match[2])
  return days === undefined || micros === undefined ? undefined : { days, micros }
}

/** Reads the form of nearly all timestamps: `2024-02-29T12:34:56`, with or without fraction and `Z`. */
function fastMoment(text: string): Moment | undefined {
  const { length } = text
  const end = text.charCodeAt(length - 1) === UPPER_Z ? length - 1 : length
  if (end < 19 || end > 26 || text.charCodeAt(10) !== UPPER_T) return undefined
  const days = daysOfDate(text.slice(0, 10))
  const micros = clockMicros(text, 11)
  if (days === undefined || micros === undefined) return undefined
  if (end === 19) return { days, micros }
  const fraction = digits(text, 20, end - 20)
  if (text.charCodeAt(19) !== POINT || fraction < 0) return undefined
  return { days, micros: micros + fraction * 10 ** (26 - end) }
}

/** Returns the date this many days after 1970-01-01. */
export function dateOfDays(days: number): string {
  // Howard Hinnant's civil_from_days (https://howardhinnant.github.io/date_algorithms.html): years that start
  // in March, eras of 400 years.
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  return `${yearText(year)}-${twoDigits(month)}-${twoDigits(day)}`
}

/** Returns the time this many microseconds after midnight. */
export function timeOfMicros(micros: number): string {
  const seconds = Math.floor(micros / 1_000_000)
  const fraction = micros - seconds * 1_000_000
  const hours = Math.floor(seconds / 3600)
  const minutes = Math.floor((seconds - hours * 3600) / 60)
  const clock = `${twoDigits(hours)}:${twoDigits(minutes)}:${twoDigits(seconds - hours * 3600 - minutes * 60)}`
  return fraction === 0 ? clock : `${clock}.${fractionText(fraction)}`
}

function fractionText(fraction: number): string {
  let text = String(1_000_000 + fraction).slice(1)
  while (text.endsWith('0')) text = text.slice(0, -1)
  return text
}

const DASH = 45
const POINT = 46
const COLON = 58
const UPPER_T = 84
const UPPER_Z = 90

/** Reads `hh:mm:ss` as microseconds; undefined if it is no time. */
function clockMicros(text: string, at: number): number | undefined {
  const hours = digits(text, at, 2)
  const minutes = digits(text, at + 3, 2)
  const seconds = digits(text, at + 6, 2)
  if (text.charCodeAt(at + 2) !== COLON || text.charCodeAt(at + 5) !== COLON) return undefined
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || seconds < 0 || seconds > 59) return undefined
  return (hours * 3600 + minutes * 60 + seconds) * 1_000_000
}

/** Reads digits as a number; −1 if one of the characters is no digit. */
function digits(text: string, start: number, count: number): number {
  let number = 0
  for (let i = start; i < start + count; i++) {
    const digit = text.charCodeAt(i) - 48
    if (!(digit >= 0 && digit <= 9)) return -1
    number = number * 10 + digit
  }
  return number
}

function daysOf(year: number, month: number, day: number): number | undefined {
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined
  // Howard Hinnant's days_from_civil, the inverse of civil_from_days.
  const marchYear = month <= 2 ? year - 1 : year
  const era = Math.floor(marchYear / 400)
  const yearOfEra = marchYear - era * 400
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear
  return era * 146_097 + dayOfEra - 719_468
}

function daysInMonth(year: number, month: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
}

function yearText(year: number): string {
  if (year >= 1000 && year <= 9999) return String(year)
  if (year >= 0 && year <= 9999) return String(year).padStart(4, '0')
  return `${year < 0 ? '-' : '+'}${String(Math.abs(year)).padStart(6, '0')}`
}

const TWO_DIGITS: readonly string[] = Array.from({ length: 100 }, (_, i) => String(i).padStart(2, '0'))

function twoDigits(number: number): string {
  return TWO_DIGITS[number] ?? String(number)
}
