/**
 * Formats dates as Ruby's `strftime` does, which Shopify's `date` uses:
 * https://docs.ruby-lang.org/en/3.4/language/strftime_formatting_rdoc.html. `%q` comes from liquidjs: it is
 * the ending of the day's ordinal.
 */
import { dayOfYear, isoWeek, millisecondsOf, weekdayOf, type Moment } from './moment.ts'

const MONTHS = [
  ...['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October'],
  ...['November', 'December'],
]
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']

const DIRECTIVE = /%([-0^#_]*)(\d{1,4})?([EO]?)(:{0,3})([a-zA-Z%+])/g

/** A number that is filled up with zeros, or with blanks. */
interface Numeric {
  readonly value: number
  /** The width if the format gives none. */
  readonly width: number
  readonly fill?: ' '
}

type Directive = (moment: Moment) => Numeric | string

function number(value: (moment: Moment) => number, width: number): Directive {
  return moment => ({ value: value(moment), width })
}

function blankFilled(value: (moment: Moment) => number): Directive {
  return moment => ({ value: value(moment), width: 2, fill: ' ' })
}

function composed(format: string): Directive {
  return moment => strftime(moment, format)
}

const hour12 = ({ hour }: Moment): number => hour % 12 || 12
const monthName = ({ month }: Moment): string => MONTHS[month - 1] ?? ''
const dayName = (moment: Moment): string => DAYS[weekdayOf(moment)] ?? ''
const weekFrom = (moment: Moment, weekday: number): number =>
  Math.floor((dayOfYear(moment) + 6 - ((weekdayOf(moment) - weekday + 7) % 7)) / 7)
const modulo = (value: number, by: number): number => ((value % by) + by) % by

const DIRECTIVES: { readonly [name: string]: Directive } = {
  Y: number(({ year }) => year, 4),
  C: number(({ year }) => Math.floor(year / 100), 2),
  y: number(({ year }) => modulo(year, 100), 2),
  m: number(({ month }) => month, 2),
  B: monthName,
  b: moment => monthName(moment).slice(0, 3),
  h: moment => monthName(moment).slice(0, 3),
  d: number(({ day }) => day, 2),
  e: blankFilled(({ day }) => day),
  j: number(dayOfYear, 3),
  q: ({ day }) => ordinalEnding(day),
  H: number(({ hour }) => hour, 2),
  k: blankFilled(({ hour }) => hour),
  I: number(hour12, 2),
  l: blankFilled(hour12),
  M: number(({ minute }) => minute, 2),
  S: number(({ second }) => second, 2),
  p: ({ hour }) => (hour < 12 ? 'AM' : 'PM'),
  P: ({ hour }) => (hour < 12 ? 'am' : 'pm'),
  s: number(moment => Math.floor(millisecondsOf(moment) / 1000), 1),
  Z: ({ zone }) => zone,
  A: dayName,
  a: moment => dayName(moment).slice(0, 3),
  u: number(moment => weekdayOf(moment) || 7, 1),
  w: number(weekdayOf, 1),
  G: number(moment => isoWeek(moment).year, 4),
  g: number(moment => modulo(isoWeek(moment).year, 100), 2),
  V: number(moment => isoWeek(moment).week, 2),
  U: number(moment => weekFrom(moment, 0), 2),
  W: number(moment => weekFrom(moment, 1), 2),
  n: () => '\n',
  t: () => '\t',
  '%': () => '%',
  c: composed('%a %b %e %H:%M:%S %Y'),
  D: composed('%m/%d/%y'),
  x: composed('%m/%d/%y'),
  F: composed('%Y-%m-%d'),
  v: composed('%e-%^b-%4Y'),
  T: composed('%H:%M:%S'),
  X: composed('%H:%M:%S'),
  R: composed('%H:%M'),
  r: composed('%I:%M:%S %p'),
  '+': composed('%a %b %e %H:%M:%S %Z %Y'),
}

function ordinalEnding(day: number): string {
  if (day >= 11 && day <= 13) return 'th'
  return ['th', 'st', 'nd', 'rd'][day % 10] ?? 'th'
}

/** Replaces the directives of a format. Other text stays as it is. */
export function strftime(moment: Moment, format: string): string {
  let text = ''
  let from = 0
  for (const match of format.matchAll(DIRECTIVE)) {
    text += format.slice(from, match.index) + directiveText(match, moment)
    from = match.index + match[0].length
  }
  return text + format.slice(from)
}

function directiveText(match: RegExpExecArray, moment: Moment): string {
  const [written, flags = '', width, , colons = '', name = ''] = match
  const wanted = width === undefined ? null : Number(width)
  if (name === 'L' || name === 'N') return fractionOf(moment, wanted ?? (name === 'L' ? 3 : 9))
  if (name === 'z') return offsetText(moment, colons.length, { flags, wanted })
  const directive = DIRECTIVES[name]
  return directive === undefined || colons !== '' ? written : padded(directive(moment), flags, wanted)
}

function padded(value: Numeric | string, flags: string, wanted: number | null): string {
  if (typeof value === 'string') {
    const fill = flags.includes('0') ? '0' : ' '
    return withCase(value, flags).padStart(wanted ?? 0, fill)
  }
  const sign = value.value < 0 ? '-' : ''
  const digits = String(Math.abs(value.value))
  if (flags.includes('-')) return sign + digits
  const width = (wanted ?? value.width + sign.length) - sign.length
  const isBlank = flags.includes('_') || (value.fill === ' ' && !flags.includes('0'))
  return isBlank ? (sign + digits).padStart(width + sign.length) : sign + digits.padStart(width, '0')
}

function withCase(text: string, flags: string): string {
  if (flags.includes('^')) return text.toUpperCase()
  if (!flags.includes('#')) return text
  return text === text.toUpperCase() ? text.toLowerCase() : text.toUpperCase()
}

/** Returns this many digits of the fraction. It cuts off further digits, and fills up with zeros. */
function fractionOf({ fraction }: Moment, digits: number): string {
  return fraction.slice(0, digits).padEnd(digits, '0')
}

function offsetText(
  { offsetMinutes }: Moment,
  colons: number,
  { flags, wanted }: { flags: string; wanted: number | null },
): string {
  const sign = offsetMinutes < 0 ? '-' : '+'
  const minutes = Math.abs(offsetMinutes)
  const colon = colons > 0 ? ':' : ''
  const hours = String(Math.floor(minutes / 60)).padStart(flags.includes('-') ? 1 : 2, '0')
  const rest = String(minutes % 60).padStart(2, '0')
  const text = `${hours}${colon}${rest}${colons > 1 ? ':00' : ''}`
  return sign + text.padStart((wanted ?? 1) - 1, '0')
}
