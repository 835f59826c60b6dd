/**
 * A reference for the instants of cron that shares nothing with what it judges: it looks at every minute of a
 * time, asks `Intl` for the local time, and compares that with the fields. For tests.
 */
const MINUTE_MS = 60_000
const ASKED_EVERY = 15

interface Fields {
  readonly minute: (value: number) => boolean
  readonly hour: (value: number) => boolean
  readonly day: (date: Date) => boolean
  readonly isEveryHour: boolean
}

/** An instant and its local time, which is written as the ms since 1970 that UTC has then. */
export interface LocalTime {
  readonly instant: number
  readonly local: number
}

/** All instants of `cron` among these. */
export function referenceInstants(cron: string, local: readonly LocalTime[]): number[] {
  const fields = fieldsOf(cron)
  const fits = (time: number): boolean => {
    const date = new Date(time)
    return fields.minute(date.getUTCMinutes()) && fields.hour(date.getUTCHours()) && fields.day(date)
  }
  if (fields.isEveryHour) return local.filter(each => fits(each.local)).map(each => each.instant)
  const first = new Map<number, number>()
  for (const each of local) if (!first.has(each.local)) first.set(each.local, each.instant)
  const instants = new Set<number>()
  let at = 0
  for (let time = local[0]?.local ?? 0; time <= (local.at(-1)?.local ?? 0); time += MINUTE_MS) {
    while ((local[at]?.local ?? Infinity) < time) at += 1
    if (fits(time)) instants.add(first.get(time) ?? local[at]?.instant ?? 0)
  }
  return [...instants].sort((a, b) => a - b)
}

/** Every minute in `[from, to)`. `Intl` is asked each 15 minutes: no clock changes in between. */
export function localTimes(zone: string, { from, to }: { from: number; to: number }): LocalTime[] {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'short' })
  const times: LocalTime[] = []
  for (let asked = from; asked < to; asked += ASKED_EVERY * MINUTE_MS) {
    const local = Date.parse(`${format.format(asked).replace(' ', 'T')}Z`)
    for (let minute = 0; minute < ASKED_EVERY; minute += 1)
      times.push({ instant: asked + minute * MINUTE_MS, local: local + minute * MINUTE_MS })
  }
  return times
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']

function fieldsOf(cron: string): Fields {
  const [minute = '*', hour = '*', day = '*', month = '*', weekday = '*'] = cron.toLowerCase().split(' ')
  const inMonth = setOf(month, 1, 12, MONTHS)
  const onDay = setOf(day, 1, 31, [])
  const onWeekday = setOf(weekday, 0, 7, DAYS)
  const isDay = (date: Date): boolean => {
    const number = date.getUTCDay()
    const fitsWeekday = onWeekday.has(number) || (number === 0 && onWeekday.has(7))
    const fitsDay = onDay.has(date.getUTCDate())
    return day === '*' || weekday === '*' ? fitsDay && fitsWeekday : fitsDay || fitsWeekday
  }
  const minutes = setOf(minute, 0, 59, [])
  const hours = setOf(hour, 0, 23, [])
  return {
    minute: value => minutes.has(value),
    hour: value => hours.has(value),
    day: date => inMonth.has(date.getUTCMonth() + 1) && isDay(date),
    isEveryHour: hours.size === 24,
  }
}

function setOf(field: string, least: number, most: number, names: readonly string[]): ReadonlySet<number> {
  const all = new Set<number>()
  const offset = names === MONTHS ? 1 : 0
  const number = (text: string): number =>
    names.includes(text) ? names.indexOf(text) + offset : Number(text)
  for (const part of field.split(',')) {
    const [range = '', step = '1'] = part.split('/')
    const [from = '', to = from] = range.split('-')
    const [start, end] = range === '*' ? [least, most] : [number(from), number(to)]
    for (let value = start; value <= end; value += Number(step)) all.add(value)
  }
  return all
}
