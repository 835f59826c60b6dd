/** Numbers, times and states in words and colours, the same in all output. */
import type { AttemptView, RunView, WaitView } from '@sluice/contracts/api'
import type { Called } from './called.ts'
import { safe, type Paint } from './paint.ts'

/** The terminal, as far as the pure output functions need it. */
export interface OutputOptions {
  readonly color: boolean
  /** Columns of the terminal. Null if the output is not a terminal; then nothing is cut. */
  readonly columns: number | null
  /** The words with which the command was called, for its hints. */
  readonly called?: Called
  /** An IANA time zone; by default the machine's. */
  readonly timeZone?: string | undefined
}

/** The format is made with the first large number, since that takes some 15 ms. */
let grouping: Intl.NumberFormat | undefined

/** `12,345`. */
export function number(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1000) return String(value)
  grouping ??= new Intl.NumberFormat('en-US')
  return grouping.format(value)
}

/** `1 row`, `12 rows`. */
export function counted(count: number, thing: string): string {
  return `${number(count)} ${count === 1 ? thing : `${thing}s`}`
}

/** `12 ms`, `3.4 s`, `2 min 5 s`, `1 h 3 min`. */
export function elapsed(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
}

/** `5 s`, `3 min`, `2 h`, `4 d`: one unit, so that a column stays narrow. */
export function elapsedShort(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} d`
}

/** `2026-03-01 14:05:09`, in the given time zone. */
export function clockTime(iso: string, timeZone?: string): string {
  const format = new Intl.DateTimeFormat('sv-SE', {
    dateStyle: 'short',
    timeStyle: 'medium',
    ...(timeZone === undefined ? {} : { timeZone }),
  })
  return format.format(new Date(iso))
}

const TIMES = /\bat (\d{4}-\d\d-\d\dT[\d:.]+Z)/g

/**
 * Returns a message of Sluice with `in 14 min` or `3 h ago` in place of its times. `now` in ms since 1970.
 */
export function timesFromNow(text: string, now: number): string {
  return text.replaceAll(TIMES, (whole, iso: string) => {
    const leftMs = Date.parse(iso) - now
    if (Number.isNaN(leftMs)) return whole
    return leftMs > 0 ? `in ${elapsedShort(leftMs)}` : `${elapsedShort(-leftMs)} ago`
  })
}

/** `waits for 42.0 s more, 12.0 s so far: the API asked for a pause`. `now` in ms since 1970. */
export function waitText({ since, until, detail }: WaitView, now: number): string {
  const forMs = now - Date.parse(since)
  const leftMs = until === null ? 0 : Date.parse(until) - now
  const times = [
    leftMs <= 0 ? '' : ` for ${elapsed(leftMs)} more`,
    forMs < 1_000 ? '' : `, ${elapsed(forMs)} so far`,
  ]
  return `waits${times.join('')}: ${safe(detail)}`
}

/** Returns the time that a run took, or has taken so far. Empty for a run that has not started. */
export function runDuration(run: RunView, now: number): string {
  if (run.startedAt === null) return ''
  const end = run.endedAt === null ? now : Date.parse(run.endedAt)
  return elapsed(Math.max(0, end - Date.parse(run.startedAt)))
}

/** Returns the text in the colour of the run's status. */
export function paintStatus(status: RunView['status'], text: string, paint: Paint): string {
  switch (status) {
    case 'success':
      return paint('green', text)
    case 'warning':
    case 'held':
      return paint('yellow', text)
    case 'failed':
      return paint('red', text)
    case 'running':
      return paint('cyan', text)
    case 'queued':
    case 'cancelled':
      return paint('dim', text)
    default:
      return status satisfies never
  }
}

/** Returns the text in the colour of the outcome. */
export function paintOutcome(outcome: AttemptView['outcome'], text: string, paint: Paint): string {
  switch (outcome) {
    case 'delivered':
      return paint('green', text)
    case 'rejected':
    case 'exists':
    case 'missing':
      return paint('red', text)
    case 'unknown':
    case 'throttled':
      return paint('yellow', text)
    case 'unsent':
      return paint('dim', text)
    default:
      return outcome satisfies never
  }
}

/** For example `has streamed for 2 h, 720 rows/min, 340 ms behind (7 records)`. */
export function streamInWords(stream: NonNullable<RunView['stream']>, now: number): string {
  const { since, comparing, lagRecords, lagSeconds, rowsPerSecond, unreadable, waiting = 0 } = stream
  const speed = rowsPerSecond === undefined ? '' : `${number(Math.round(rowsPerSecond * 60))} rows/min, `
  // A stream that has read all of its source is behind by the rows that failed.
  const rest = waiting === 0 ? 'nothing waits' : `${counted(waiting, 'row')} failed`
  const lag = lagSeconds === null ? rest : `${elapsed(lagSeconds * 1_000)} behind`
  const records = (lagRecords ?? 0) === 0 ? '' : ` (${counted(lagRecords ?? 0, 'record')})`
  const compares = comparing === null ? '' : '; it compares the whole table'
  const aside = unreadable === 0 ? '' : `; ${counted(unreadable, 'record')} cannot be read`
  return `has streamed for ${elapsedShort(now - Date.parse(since))}, ${speed}${lag}${records}${compares}${aside}`
}
