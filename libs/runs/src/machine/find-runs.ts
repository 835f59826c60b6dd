/** What the topics tell of a sync's runs so far, to an owner that goes on from there. */
import { SluiceError } from '@sluice/contracts/errors'
import type { RunEvent } from '@sluice/contracts/records'
import { hasSeenModel, isReplacementOf, laterFired, laterOwner, type RunState } from './run-events.ts'
import type { AtWork, PartitionTail, SyncLife } from './sync-life.ts'

/**
 * `runs` are as the view of the topic has them; undefined if the sync never had one. A run that began and did
 * not end is at work, and an earlier owner left it.
 */
export function findRuns(
  runs: { readonly events: ReadonlyMap<string, RunEvent> } | undefined,
  sync: string,
  tails: readonly PartitionTail[],
): SyncLife {
  const events = [...(runs?.events.values() ?? [])]
  const lastRun = Math.max(0, ...tails.map(tail => tail.run), ...events.map(event => event.run ?? 0))
  const last = events.find(event => event.run === lastRun)
  const cut = tails.find(tail => !tail.ended)
  const queued = events.filter(event => event.status === 'queued')
  const left =
    events.find(event => event.status === 'running' || (cut !== undefined && event.run === cut.run)) ??
    // It was taken out of the queue, and cancelled then. Without that, it is queued, as its event says.
    queued.find(event => event.cancelling)
  if (left === undefined && cut !== undefined)
    throw new SluiceError(
      'corrupt',
      `run ${cut.run} of ${sync} is open, and no event on the runs topic tells of it`,
    )
  return {
    lastRun,
    first: lastRun === 0 || (last !== undefined && last.first && !hasSeenModel(last)),
    faults: last?.faults ?? [],
    deaths: last?.deaths ?? 0,
    lastCommand: Math.max(-1, ...events.map(event => event.command)),
    fired: events.map(({ fired }) => fired).reduce(laterFired, null),
    // Events of an earlier version have no such field.
    deliveredTo: events.map(event => event.deliveredTo ?? null).reduce(laterOwner, null),
    atWork: left === undefined ? null : leftRun(left),
    queued: queued.filter(event => event !== left),
    awaiting: events.findLast(event => event.status === 'held') ?? null,
    replacementCancelled:
      left !== undefined &&
      // A command that was refused, since that run does as much, has the same offset, and cancelled nothing.
      events.some(event => event.status === 'cancelled' && event.cancelling && isReplacementOf(event, left)),
  }
}

/** A run that an earlier owner left, before anybody has looked how much of it is written. */
export function leftRun(run: RunState, isInterrupted = false): AtWork {
  return {
    ...{ run, phase: 'left', isLeft: true, isInterrupted },
    ...{ isSealed: false, isWritten: false, reports: [] },
  }
}
