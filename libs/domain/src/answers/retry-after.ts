/** Reads Retry-After (RFC 9110 §10.2.3). */

/** The longest wait that is read. The header may have any number of digits. */
const MAX_S = 1_000_000_000

/**
 * Returns the wait that Retry-After asks for, in ms from now: whole seconds, or an HTTP date; null for
 * anything else, such as `0.5`, `-5` or two values. A date is compared with the answer's own `Date`, since
 * the clock here may differ from the server's. Without one it is compared with `nowMs`. A date in the past
 * asks for 0.
 */
export function parseRetryAfter(
  value: string | null,
  { date, nowMs }: { readonly date: string | null; readonly nowMs: number },
): number | null {
  if (value === null) return null
  if (/^\d+$/.test(value)) return Math.min(Number(value), MAX_S) * 1000
  const atMs = parseHttpDate(value)
  if (atMs === null) return null
  return Math.max(0, atMs - (date === null ? nowMs : (parseHttpDate(date) ?? nowMs)))
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const DAY = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)'
const LONG_DAY = '(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)'
const MONTH = `(?<month>${MONTHS.join('|')})`
const TIME = String.raw`(?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)`
/** The three forms of RFC 9110 §5.6.7: the one to write, and two to be read. */
const FORMS = [
  String.raw`${DAY}, (?<day>\d\d) ${MONTH} (?<year>\d{4}) ${TIME} GMT`,
  String.raw`${LONG_DAY}, (?<day>\d\d)-${MONTH}-(?<year>\d\d) ${TIME} GMT`,
  String.raw`${DAY} ${MONTH} (?<day>[ \d]\d) ${TIME} (?<year>\d{4})`,
].map(form => new RegExp(`^${form}$`))

/** Returns milliseconds since 1970; null for a text that is no HTTP date. */
export function parseHttpDate(text: string): number | null {
  for (const form of FORMS) {
    const parts = form.exec(text)?.groups
    if (parts === undefined) continue
    const number = (name: string): number => Number(parts[name])
    const month = MONTHS.indexOf(parts['month'] ?? '')
    const [day, hour, minute, second] = [number('day'), number('hour'), number('minute'), number('second')]
    // A leap second is a time, too.
    if (hour > 23 || minute > 59 || second > 60) return null
    const ms = Date.UTC(fullYear(parts['year'] ?? ''), month, day, hour, minute, second)
    const isDay = new Date(Date.UTC(fullYear(parts['year'] ?? ''), month, day)).getUTCDate() === day
    return isDay ? ms : null
  }
  return null
}

/** Returns the year of its last two digits that is at most 50 years in the future. */
function fullYear(digits: string): number {
  if (digits.length > 2) return Number(digits)
  const thisYear = new Date().getUTCFullYear()
  const year = thisYear - (thisYear % 100) + Number(digits)
  return year > thisYear + 50 ? year - 100 : year
}
