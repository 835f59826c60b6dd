/** What the topics tell of a sync's runs so far, to whoever goes on from there. */
import { SluiceError } from '@sluice/contracts/errors'
import type { Fault } from '@sluice/contracts/records'
import type { SyncRuns } from '@sluice/stage/runs-view'
import type { PartitionTail } from './own-sync.ts'
import { hasSeenModel, isAnewOf, type RunState } from '../run/run-events.ts'

export interface FoundRuns {
  /** Number of the last run; 0 if there was none. */
  readonly lastRun: number
  /** True if the next run is the sync's first: none has been through its model so far. */
  readonly first: boolean
  readonly faults: readonly Fault[]
  /** A run that began and did not end. */
  readonly open: RunState | null
  /** True if somebody cancelled the run that was begun anew for the open one. */
  readonly anewCancelled: boolean
  readonly queued: RunState | null
  /** A run that waits for approval. */
  readonly held: RunState | null
  readonly lastCommand: number
}

/** `runs` are as the view of `runs` has them; undefined where the sync never had one. */
export function findRuns(
  runs: SyncRuns | undefined,
  sync: string,
  tails: readonly PartitionTail[],
): FoundRuns {
  const events = [...(runs?.events.values() ?? [])]
  const lastRun = Math.max(0, ...tails.map(tail => tail.run), ...events.map(event => event.run ?? 0))
  const last = events.find(event => event.run === lastRun)
  const cut = tails.find(tail => !tail.ended)
  const open = events.find(
    event => event.status === 'running' || (cut !== undefined && event.run === cut.run),
  )
  if (open === undefined && cut !== undefined)
    throw new SluiceError(
      'corrupt',
      `run ${cut.run} of ${sync} is open, and no event on the runs topic tells of it`,
    )
  return {
    lastRun,
    first: lastRun === 0 || (last !== undefined && last.first && !hasSeenModel(last)),
    faults: last?.faults ?? [],
    open: open ?? null,
    anewCancelled:
      open !== undefined && events.some(event => event.status === 'cancelled' && isAnewOf(event, open)),
    queued: events.find(event => event.status === 'queued') ?? null,
    held: events.findLast(event => event.status === 'held') ?? null,
    lastCommand: Math.max(-1, ...events.map(event => event.command)),
  }
}
