/** When the runs of a stream begin: one after the other, and after ever longer pauses while they fail. */
import type { RunEvent } from '@sluice/contracts/records'
import { isEnded } from '@sluice/domain/run-status'

const FIRST_PAUSE_MS = 1_000
const MAX_PAUSE_MS = 60_000

type StreamRun = Pick<RunEvent, 'status' | 'cause' | 'endedAt'>

/**
 * Returns the time from which on the next run may begin, in ms since 1970; null while a run is queued, at
 * work or awaits approval. `events` are the known runs of the sync, and `now` is the time of the asker's
 * clock: an end in the future was written by a clock that was wrong.
 */
export function nextOfStream(events: Iterable<StreamRun>, now: number): number | null {
  const ended: { readonly at: number; readonly failed: boolean }[] = []
  for (const { status, cause, endedAt } of events) {
    if (!isEnded(status)) return null
    if (cause !== 'reset') ended.push({ at: Math.min(endedAt ?? 0, now), failed: status === 'failed' })
  }
  ended.sort((one, other) => other.at - one.at)
  const [last] = ended
  const failures = ended.findIndex(({ failed }) => !failed)
  return (last?.at ?? 0) + pauseMs(failures < 0 ? ended.length : failures)
}

function pauseMs(failures: number): number {
  return failures === 0 ? 0 : Math.min(FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 30), MAX_PAUSE_MS)
}
