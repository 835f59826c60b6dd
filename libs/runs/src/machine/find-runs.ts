/** Finds a sync's runs so far in the topics, for an owner that goes on from there. */
import { SluiceError } from '@sluice/contracts/errors'
import type { Fault, RunEvent } from '@sluice/contracts/records'
import { hasSeenModel, isReplacementOf, laterFired, laterDestination, type RunState } from './run-events.ts'
import type { AtWork, PartitionTail, SyncLife } from './sync-life.ts'

/**
 * Makes the life of a sync. `runs` are as the view of the topic has them; undefined if the sync never had
 * one. A run that began and did not end is at work: its owner was interrupted.
 */
export function findRuns(
  runs: { readonly events: ReadonlyMap<string, RunEvent> } | undefined,
  sync: string,
  tails: readonly PartitionTail[],
): SyncLife {
  const events = [...(runs?.events.values() ?? [])]
  const lastRun = Math.max(0, ...tails.map(tail => tail.run), ...events.map(event => event.run ?? 0))
  const last = events.find(event => event.run === lastRun)
  const open = tails.find(tail => !tail.ended)
  const queued = events.filter(event => event.status === 'queued')
  const interrupted =
    events.find(event => event.status === 'running' || (open !== undefined && event.run === open.run)) ??
    // A run in the queue ends at once when it is cancelled. So a queued event that is cancelling belongs to a
    // run that had left the queue.
    queued.find(event => event.cancelling)
  if (interrupted === undefined && open !== undefined)
    throw new SluiceError(
      'corrupt',
      `run ${open.run} of ${sync} is open, and the topic runs has no event of it`,
    )
  return {
    lastRun,
    first: lastRun === 0 || (last !== undefined && last.first && !hasSeenModel(last)),
    faults: last?.faults ?? lostRunFaults(tails, lastRun),
    deaths: last?.deaths ?? 0,
    lastCommand: Math.max(-1, ...events.map(event => event.command)),
    fired: events.map(({ fired }) => fired).reduce(laterFired, null),
    // Events of an earlier version have no such field.
    deliveredTo: events.map(event => event.deliveredTo ?? null).reduce(laterDestination, null),
    atWork: interrupted === undefined ? null : interruptedRun(interrupted),
    queued: queued.filter(event => event !== interrupted),
    awaiting: events.findLast(event => event.status === 'held') ?? null,
    replacementCancelled:
      interrupted !== undefined &&
      // A refused command has a run with the same offset that cancelled nothing. `cancelling` leaves that run
      // out.
      events.some(
        event => event.status === 'cancelled' && event.cancelling && isReplacementOf(event, interrupted),
      ),
  }
}

/**
 * Returns faults for all changes of the last run. Its event is lost, for example because the topics come from
 * a mirror. So nobody knows whether delivery was done with the changes, and they are sent again. Other events
 * may be there, such as those of a run that is queued, or that failed before it had a number.
 */
function lostRunFaults(tails: readonly PartitionTail[], lastRun: number): readonly Fault[] {
  return tails.flatMap(({ run, count }, partition) =>
    run === lastRun && run > 0 && count > 0 ? [{ partition, run, from: 0 }] : [],
  )
}

/** Makes an interrupted run the run at work. Nobody knows yet how much of it is written. */
export function interruptedRun(run: RunState, isProcessGone = false): AtWork {
  return {
    ...{ run, phase: 'interrupted', isInterrupted: true, isProcessGone },
    ...{ endsEarly: false, isWritten: false, reports: [] },
  }
}
