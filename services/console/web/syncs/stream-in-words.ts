/** How a stream stands, in words. */
import type { RunView } from '@sluice/contracts/api'
import { duration, many, rows } from '../ui/format.ts'

type Stream = NonNullable<RunView['stream']>

/**
 * For example `340 ms`. A stream that has read all of its source, and of which rows wait for another try, is
 * behind by these rows. `none` if nothing waits.
 */
export function lagInWords({ lagSeconds, waiting = 0 }: Pick<Stream, 'lagSeconds' | 'waiting'>): string {
  if (lagSeconds !== null) return duration(lagSeconds * 1_000)
  return waiting === 0 ? 'none' : `${rows(waiting)} failed`
}

/** For example `7 records to read`. Null if the source does not tell. */
export function unreadInWords({ lagRecords }: Pick<Stream, 'lagRecords'>): string | null {
  return lagRecords === null ? null : `${many(lagRecords, 'record', 'records')} to read`
}

/** For example `720 rows a minute`. Null while it is not known. */
export function perMinute({ rowsPerSecond }: Pick<Stream, 'rowsPerSecond'>): string | null {
  return rowsPerSecond === undefined
    ? null
    : `${many(Math.round(rowsPerSecond * 60), 'row', 'rows')} a minute`
}

/** For example `lag 340 ms, 7 records to read · 720 rows a minute`. */
export function streamInWords(stream: Stream): string {
  if (stream.comparing !== null) return 'compares the whole table'
  const lag = [`lag ${lagInWords(stream)}`, (stream.lagRecords ?? 0) === 0 ? null : unreadInWords(stream)]
  return [lag.filter(part => part !== null).join(', '), perMinute(stream)]
    .filter(part => part !== null)
    .join(' · ')
}
