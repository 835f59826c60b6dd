/**
 * Folds the hourly runs of a stream, so that a list of runs shows one entry for each stretch that streamed
 * without a pause.
 */
import type { RunView } from '@sluice/contracts/api'
import type { RunEvent } from '@sluice/contracts/records'
import { OPS, type CountsByOp } from '@sluice/contracts/state'
import { addCounts, countsOf } from '@sluice/domain/counts'
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
 */
export function foldStreams<Run extends ListedRun>(
  runs: readonly Run[],
): readonly (readonly [Run, ...Run[]])[] {
  const entries = new Map<string, [Run, ...Run[]]>()
  for (const [index, run] of runs.entries()) {
    const name = nameOf(run, () => runs.slice(index + 1))
    const entry = entries.get(name)
    if (entry === undefined) entries.set(name, [run])
    else entry.push(run)
  }
  return [...entries.values()]
}

function nameOf<Run extends ListedRun>({ event }: Run, older: () => readonly Run[]): string {
  const since = event.stream?.since ?? (event.status === 'running' ? sinceOfOlder(event, older()) : null)
  return since === null ? event.runId : `${event.sync} ${since}`
}

function sinceOfOlder<Run extends ListedRun>(event: RunEvent, older: readonly Run[]): number | null {
  const before = older.find(run => run.event.sync === event.sync)?.event
  return sinceOfBefore(before, event.startedAt ?? event.queuedAt)
}

/**
 * Returns the entry of a stream. It has the id, the status and the error of its newest run, whose view this
 * is, and the counts of all these runs. `now` is in ms since 1970.
 */
export function foldedView(newest: RunView, runs: readonly ListedRun[], now: number): RunView {
  const events = runs.map(({ event }) => event)
  const stream = streamView(events, now)
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
    triggers: Object.fromEntries(ops.map(op => [op, countsOf(counts, op)])),
    stream: {
      ...stream,
      read: sum(event => event.stream?.read ?? 0),
      unreadable: sum(event => event.stream?.unreadable ?? 0),
      runs: runs.length,
    },
  }
}
