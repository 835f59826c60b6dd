/** Streams as people see them: over the hourly runs that they are made of. */
import type { RunView, StreamView } from '@sluice/contracts/api'
import type { RunEvent, StreamMinute } from '@sluice/contracts/records'
import { isoTime } from '@sluice/domain/iso-time'
import { isOfStream, streamMinutes } from '@sluice/domain/stream-minutes'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

type Progress = NonNullable<RunEvent['stream']>

export function streamProgress(stream: Progress): NonNullable<RunView['stream']> {
  const { since, comparing, read, unreadable, lagRecords, lagMs, committedAt } = stream
  return {
    since: isoTime(since) ?? new Date(0).toISOString(),
    ...{ comparing, read, unreadable, lagRecords },
    lagSeconds: secondsOf(lagMs),
    committedAt: isoTime(committedAt),
  }
}

/** `events` are the newest first, and `now` is in ms since 1970. Null if none of them is of a stream. */
export function streamView(events: readonly RunEvent[], now: number): StreamView | null {
  const stream = events.find(isOfStream)?.stream ?? null
  if (stream === null) return null
  const minutes = streamMinutes(events).filter(({ at }) => at > now - HOUR_MS - MINUTE_MS)
  return {
    ...streamProgress(stream),
    rowsPerSecond: speedOf(minutes, now),
    minutes: minutes.flatMap(({ at, read, detected, delivered, failed, lagMs }) => {
      const begin = isoTime(at)
      return begin === null
        ? []
        : [{ at: begin, read, detected, delivered, failed, lagSeconds: secondsOf(lagMs) }]
    }),
  }
}

/**
 * Returns the speed of the last whole minute. If nothing was delivered in it, that of the minute that goes
 * on.
 */
function speedOf(minutes: readonly StreamMinute[], now: number): number {
  const current = Math.floor(now / MINUTE_MS) * MINUTE_MS
  const deliveredIn = (minute: number): number => minutes.find(({ at }) => at === minute)?.delivered ?? 0
  return (deliveredIn(current - MINUTE_MS) || deliveredIn(current)) / 60
}

function secondsOf(ms: number | null): number | null {
  return ms === null ? null : Math.max(0, ms) / 1_000
}
