/**
 * A moment, by the calendar and the clock of its zone, with all digits of its fraction. A text without a zone
 * is in UTC, so that every machine shows the same.
 */
export interface Moment {
  readonly year: number
  /** 1 to 12. */
  readonly month: number
  readonly day: number
  readonly hour: number
  readonly minute: number
  readonly second: number
  /** The digits behind the second; `5` is half a second. */
  readonly fraction: string
  /** Minutes east of UTC. */
  readonly offsetMinutes: number
  /** Empty if only the offset is known. */
  readonly zone: string
}

const ISO =
  /^([+-]\d{6}|\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?\s*(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?$/i
const OFFSET = /(?:UTC|GMT)?([+-])(\d\d):?(\d\d)?$/i
/** Finds the zone at the end of a text that is not in the ISO form. */
const NAMES_ZONE = /(?:Z|UTC|GMT|[ECMP][SD]T|[+-]\d\d:?\d\d)(?:\s*\(.*\))?$/i

const MINUTE_MS = 60_000
/** A longer text names no moment. */
const MAX_CHARACTERS = 500

/** Reads a moment from text; null for a text that names none, such as `0000-00-00`. */
export function momentOfText(text: string): Moment | null {
  if (text.length > MAX_CHARACTERS && text.trim().length > MAX_CHARACTERS) return null
  const match = ISO.exec(text.trim())
  if (match !== null) return momentOfIso(match)
  // The calendar has no such day. JavaScript would go on counting, so that 31 June is 1 July.
  if (/^[+-]?\d{4,6}-\d\d-\d\d/.test(text.trim())) return null
  const zone = NAMES_ZONE.exec(text.trim())?.[0] ?? ''
  const time = Date.parse(zone === '' ? `${text} UTC` : text)
  return Number.isNaN(time) ? null : momentAt(time, offsetOf(zone), zone === '' ? 'UTC' : '')
}

function momentOfIso(match: RegExpExecArray): Moment | null {
  const [, year = '', month = '', day = '', hour = '0', minute = '0', second = '0', fraction = ''] = match
  const zone = match[8] ?? 'UTC'
  const moment: Moment = {
    year: Number(year),
    month: Number(month),
    day: Number(day),
    hour: Number(hour),
    minute: Number(minute),
    second: Number(second),
    fraction,
    offsetMinutes: offsetOf(zone),
    zone: /^[+-]/.test(zone) ? '' : 'UTC',
  }
  const isDay = moment.month >= 1 && moment.month <= 12 && moment.day >= 1 && moment.day <= daysIn(moment)
  if (!isDay || moment.minute > 59 || moment.second > 60 || moment.hour > 24) return null
  if (moment.hour < 24 && moment.second < 60) return moment
  // The end of a day, and a leap second, are the start of the next day or second.
  const next = momentAt(millisecondsOf(moment), moment.offsetMinutes, moment.zone)
  return { ...next, fraction }
}

function offsetOf(zone: string): number {
  const [, sign, hours = '0', minutes = '0'] = OFFSET.exec(zone) ?? []
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes))
}

function daysIn({ year, month }: Moment): number {
  return new Date(Date.UTC(2000 + (((year % 400) + 400) % 400), month, 0)).getUTCDate()
}

/** Returns the milliseconds since the start of 1970 in UTC, without the fraction of the second. */
export function millisecondsOf({ year, month, day, hour, minute, second, offsetMinutes }: Moment): number {
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  date.setUTCHours(hour, minute, second)
  return date.getTime() - offsetMinutes * MINUTE_MS
}

/** Returns the moment this many milliseconds after the start of 1970 in UTC. They may have a fraction. */
export function momentAt(milliseconds: number, offsetMinutes: number, zone: string): Moment {
  const whole = Math.floor(milliseconds)
  const date = new Date(whole + offsetMinutes * MINUTE_MS)
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
    fraction: String(date.getUTCMilliseconds()).padStart(3, '0'),
    offsetMinutes,
    zone,
  }
}

/** Returns the same moment on the clock of a zone, by its IANA name; null for an unknown name. */
export function inZone(moment: Moment, zone: string): Moment | null {
  try {
    const format = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' })
    const time = millisecondsOf(moment)
    const name = format.formatToParts(time).find(part => part.type === 'timeZoneName')?.value ?? ''
    return { ...momentAt(time, offsetOf(name), zone), fraction: moment.fraction }
  } catch {
    return null
  }
}

/** 0 is Sunday. */
export function weekdayOf(moment: Moment): number {
  return new Date(millisecondsOf({ ...moment, offsetMinutes: 0 })).getUTCDay()
}

/** 1 is the first of January. */
export function dayOfYear(moment: Moment): number {
  const start = millisecondsOf({
    ...moment,
    month: 1,
    day: 1,
    hour: 0,
    minute: 0,
    second: 0,
    offsetMinutes: 0,
  })
  return Math.floor((millisecondsOf({ ...moment, offsetMinutes: 0 }) - start) / (24 * 60 * MINUTE_MS)) + 1
}

/** Year and week as ISO 8601 counts them: a week belongs to the year that its Thursday is in. */
export function isoWeek(moment: Moment): { readonly year: number; readonly week: number } {
  const weekday = weekdayOf(moment) || 7
  const thursday = momentAt(
    millisecondsOf({ ...moment, offsetMinutes: 0 }) + (4 - weekday) * 24 * 60 * MINUTE_MS,
    0,
    'UTC',
  )
  return { year: thursday.year, week: Math.ceil(dayOfYear(thursday) / 7) }
}
