/** A stream as its runs tell of it: they end hourly, and people see one stream. */
import type { RunEvent, StreamMinute } from '@sluice/contracts/records'

/** An hour is shown. */
const MAX_MINUTES = 60
/** A run that begins so soon after the one before goes on with its stream. */
const SAME_STREAM_MS = 60_000

type StreamRun = Pick<RunEvent, 'stream'>

/** True for a run over a stream, once it has said how the stream stands. */
export function isOfStream({ stream }: StreamRun): boolean {
  return (stream ?? null) !== null
}

/**
 * Returns when the stream of a run began, if the run goes on with that of the run before it; null if it does
 * not. Times are in ms since 1970.
 */
export function sinceOfBefore(
  before: Pick<RunEvent, 'stream' | 'endedAt'> | undefined,
  began: number,
): number | null {
  const since = before?.stream?.since ?? null
  return began - (before?.endedAt ?? 0) < SAME_STREAM_MS ? since : null
}

/**
 * Returns the last minutes of these runs, at most 60, the oldest first. Two runs share the minute in which
 * one ended and the other began: its figures are added up, and the lag of the later run counts.
 */
export function streamMinutes(runs: readonly StreamRun[]): readonly StreamMinute[] {
  const minutes = runs
    .flatMap(({ stream }) => stream?.minutes ?? [])
    .toSorted((one, other) => one.at - other.at)
  const merged: StreamMinute[] = []
  for (const minute of minutes) {
    const before = merged.at(-1)
    if (before === undefined || minuteOf(before) !== minuteOf(minute)) merged.push(minute)
    else merged[merged.length - 1] = sumOf(before, minute)
  }
  return merged.slice(-MAX_MINUTES)
}

function minuteOf({ at }: StreamMinute): number {
  return Math.floor(at / 60_000)
}

function sumOf(one: StreamMinute, other: StreamMinute): StreamMinute {
  return {
    at: one.at,
    read: one.read + other.read,
    detected: one.detected + other.detected,
    delivered: one.delivered + other.delivered,
    failed: one.failed + other.failed,
    lagMs: other.lagMs,
  }
}
