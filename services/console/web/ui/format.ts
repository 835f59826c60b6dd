/** Numbers and times as people read them. */

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const KB = 1024
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sept', 'Oct', 'Nov', 'Dec']

// The formatters of the browser are not used on the first screen: it takes many ms to make the first of them.

/** For example `1,234,567`, with at most three digits after the point. */
export function count(value: number): string {
  const [whole = '', ...fraction] = String(Math.round(value * 1_000) / 1_000).split('.')
  return [whole.replaceAll(/\B(?=(\d{3})+$)/g, ','), ...fraction].join('.')
}

export function rows(value: number): string {
  return value === 1 ? '1 row' : `${count(value)} rows`
}

/** For example `1 row` or `3 rows`. */
export const many = (value: number, one: string, several: string): string =>
  `${count(value)} ${value === 1 ? one : several}`

/** The reason for a wait of a sync or a run, as a sentence without its full stop. */
export const waitInWords = ({ kind, detail }: { readonly kind: string; readonly detail: string }): string =>
  kind === 'approval' ? `Waits for ${detail}` : detail.charAt(0).toUpperCase() + detail.slice(1)

/** For how long something has waited, and when it goes on at the latest, if that is known. */
export function waitedInWords(
  { since, until }: { readonly since: string; readonly until: string | null },
  now: number,
): string {
  const ms = Math.max(0, now - Date.parse(since))
  const whole = duration(ms - (ms % SECOND)).replace('.0 s', ' s')
  const waited = `It has waited for ${ms < SECOND ? 'less than 1 s' : whole} so far`
  if (until === null) return `${waited}.`
  return `${waited}, and goes on ${Date.parse(until) <= now ? 'now' : `by ${clockTime(until)}`}.`
}

/** The time of day in the user's time zone, with the date if it is another day than today. */
export function clockTime(iso: string): string {
  const at = new Date(iso)
  return at.toDateString() === new Date().toDateString() ? clockOf(at) : localTime(iso)
}

/** For example `03:07:09`, in the user's time zone. */
export const clockOf = (at: Date): string => at.toTimeString().slice(0, 8)

/** For example `1 Dec 2026, 03:07:09`, in the user's time zone. */
export function localTime(iso: string): string {
  const at = new Date(iso)
  return `${at.getDate()} ${MONTHS[at.getMonth()] ?? ''} ${at.getFullYear()}, ${clockOf(at)}`
}

/** For example `Mon 30 Nov 2026, 05:00:00`, in the named time zone. */
export function inZone(iso: string, timeZone: string): string {
  const parts = { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric' } as const
  const format = new Intl.DateTimeFormat('en-GB', { ...parts, timeZone, ...CLOCK })
  return format.format(new Date(iso))
}
const CLOCK = { hour: '2-digit', minute: '2-digit', second: '2-digit' } as const

/** An instant as the text of a date and time field, in the user's zone. Empty for a text that is no time. */
export function localField(iso: string): string {
  const at = new Date(iso)
  if (Number.isNaN(at.getTime())) return ''
  return new Date(at.getTime() - at.getTimezoneOffset() * MINUTE).toISOString().slice(0, 19)
}

/** The instant in the text of a date and time field. Undefined if the text is empty. */
export function timeOfField(text: string): string | undefined {
  const at = new Date(text)
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString()
}

export const utcTime = (iso: string): string => `${iso.replace('T', ' ').replace(/[.]\d+Z$|Z$/, '')} UTC`

/** For example `3 minutes ago`, `in 2 hours` or `in a moment`. */
export function fromNow(iso: string, now: number): string {
  const ms = Date.parse(iso) - now
  const size = Math.abs(ms)
  if (size < 5 * SECOND) return ms > 2 * SECOND ? 'in a moment' : 'just now'
  const [unit, name] =
    size < MINUTE
      ? ([SECOND, 'second'] as const)
      : size < HOUR
        ? ([MINUTE, 'minute'] as const)
        : size < DAY
          ? ([HOUR, 'hour'] as const)
          : ([DAY, 'day'] as const)
  const amount = Math.round(size / unit)
  if (unit === DAY && amount === 1) return ms > 0 ? 'tomorrow' : 'yesterday'
  const words = many(amount, name, `${name}s`)
  return ms > 0 ? `in ${words}` : `${words} ago`
}

/** The same for something that is to come, such as a run: `in 2 hours`, `in a few seconds` or `due now`. */
export function untilDue(iso: string, now: number): string {
  const ms = Date.parse(iso) - now
  if (ms <= 0) return 'due now'
  return ms < 5 * SECOND ? 'in a few seconds' : fromNow(iso, now)
}

/** For example `380 ms`, `12.4 s`, `3 min 20 s`. */
export function duration(ms: number): string {
  if (ms < SECOND) return `${Math.round(ms)} ms`
  if (ms < MINUTE - 50) return `${(ms / SECOND).toFixed(1)} s`
  const seconds = Math.round(ms / SECOND)
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  const minutes = Math.round(ms / MINUTE)
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

const UNITS: { readonly [unit: string]: string } = {
  ...{ ms: 'millisecond', s: 'second', m: 'minute', h: 'hour', d: 'day' },
}

/** A duration as users write it, in words: `15m` as `15 minutes`. Any other text stays. */
export function writtenDuration(text: string): string {
  const [, amount = '', unit = ''] = /^(\d+)(ms|s|m|h|d)$/.exec(text) ?? []
  const name = UNITS[unit]
  return name === undefined ? text : many(Number(amount), name, `${name}s`)
}

export function bytes(size: number): string {
  if (size < KB) return `${size} B`
  if (size < KB * KB) return `${(size / KB).toFixed(1)} KB`
  return `${(size / KB / KB).toFixed(1)} MB`
}

/** The path of a URL, without the origin that all requests share. */
export function pathOf(url: string): string {
  const match = /^[a-z]+:\/\/[^/]+(\/.*)?$/i.exec(url)
  return match === null ? url : (match[1] ?? '/')
}
