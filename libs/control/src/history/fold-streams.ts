/**
 * Folds the runs of a stream, so that a list of runs shows one entry for each stretch that streamed without a
 * pause, and one for starts that failed for one reason.
 */
import type { RunView } from '@sluice/contracts/api'
import type { RunEvent } from '@sluice/contracts/records'
import { OPS, type CountsByOp } from '@sluice/contracts/state'
import { addCounts, countsOf } from '@sluice/domain/counts'
import { isoTime } from '@sluice/domain/iso-time'
import { sinceOfBefore } from '@sluice/domain/stream-minutes'
import type { SyncRuns } from '@sluice/runs/runs-view'
import { countsByNow } from './run-views.ts'
import { streamView } from './stream-view.ts'

export interface ListedRun {
  readonly event: RunEvent
  readonly runs: SyncRuns
}

/**
 * Returns the entries of a list of runs, the newest first, as `runs` are: each has the runs that it stands
 * for, and its place is that of the newest of them. All runs of a sync that name the same beginning of their
 * stream are one entry. So is a run at work that has not told of its stream yet, if it follows such a run.
 * Failed starts of a stream are one entry as long as their error stays the same.
 */
export function foldStreams<Run extends ListedRun>(
  runs: readonly Run[],
): readonly (readonly [Run, ...Run[]])[] {
  const entries = new Map<string, [Run, ...Run[]]>()
  /** The entry of the run after, of each sync. */
  const after = new Map<string, [Run, ...Run[]]>()
  for (const [index, run] of runs.entries()) {
    const { sync } = run.event
    const name = nameOf(run, () => runs.slice(index + 1))
    const later = after.get(sync)
    const entry = later !== undefined && isSameStart(later[0].event, run.event) ? later : entries.get(name)
    const own: [Run, ...Run[]] = entry ?? [run]
    if (entry === undefined) entries.set(name, own)
    else entry.push(run)
    after.set(sync, own)
  }
  return [...entries.values()]
}

/** The schedule of a stream, as events tell it. */
const CONTINUOUS = JSON.stringify('continuous')

/** True for a run by which a stream should have started, and that failed before it did. */
function isFailedStart({ cause, fired, status, stream }: RunEvent): boolean {
  return cause === 'schedule' && fired?.by === CONTINUOUS && status === 'failed' && (stream ?? null) === null
}

function isSameStart(one: RunEvent, other: RunEvent): boolean {
  return isFailedStart(one) && isFailedStart(other) && one.error === other.error
}

function nameOf<Run extends ListedRun>({ event }: Run, older: () => readonly Run[]): string {
  const since = event.stream?.since ?? (event.status === 'running' ? sinceOfOlder(event, older()) : null)
  return since === null ? event.runId : `${event.sync} ${since}`
}

function sinceOfOlder<Run extends ListedRun>(event: RunEvent, older: readonly Run[]): number | null {
  const before = older.find(run => run.event.sync === event.sync)?.event
  return sinceOfBefore(before, event.startedAt ?? event.queuedAt)
}

/** The notices of all these runs, each once. */
function noticesOf(events: readonly RunEvent[]): Pick<RunView, 'notices'> {
  const notices = [...new Set(events.flatMap(event => event.notices))]
  return notices.length === 0 ? {} : { notices }
}

/**
 * Returns the entry of a stream. It has the id, the status and the error of its newest run, whose view this
 * is, and the counts of all these runs. `now` is in ms since 1970.
 */
export function foldedView(newest: RunView, runs: readonly ListedRun[], now: number): RunView {
  const events = runs.map(({ event }) => event)
  const stream = streamView(events, now)
  const [event, ...earlier] = events
  if (event !== undefined && earlier.length > 0 && isFailedStart(event)) {
    const first = events.at(-1)
    const startedAt = isoTime(first?.startedAt ?? first?.queuedAt ?? null) ?? newest.startedAt
    return { ...newest, startedAt, failedStarts: events.length }
  }
  if (stream === null) return newest
  let counts: CountsByOp = {}
  for (const { event, runs: own } of runs) counts = addCounts(counts, countsByNow(event, own.reports))
  const ops = [...OPS].reverse().filter(op => newest.triggers[op] !== undefined || counts[op] !== undefined)
  const sum = (of: (event: RunEvent) => number): number => events.reduce((all, event) => all + of(event), 0)
  return {
    ...newest,
    startedAt: stream.since,
    rowsRead: sum(({ rowsRead }) => rowsRead),
    rowsInvalid: sum(({ rowsInvalid }) => rowsInvalid),
    ...noticesOf(events),
    triggers: Object.fromEntries(ops.map(op => [op, countsOf(counts, op)])),
    stream: {
      ...stream,
      read: sum(event => event.stream?.read ?? 0),
      unreadable: sum(event => event.stream?.unreadable ?? 0),
      runs: runs.length,
    },
  }
}
