/**
 * The types of the machine of a sync's runs: the life that its owner knows, the facts that the owner learns,
 * and the steps that follow. `step` in `step.ts` is the machine. It does no I/O and looks at no clock: each
 * instant is given, in ms since 1970. docs/RUNS.md has the pictures.
 */
import type {
  Command,
  DeliveredTo,
  Fault,
  Fired,
  HeldRemovals,
  PartitionEnd,
  PartitionReport,
  Restoring,
  StateOwner,
  StreamProgress,
} from '@sluice/contracts/records'
import { isAnother } from '@sluice/domain/held/delivered-to'
import { isEnded } from '@sluice/domain/run-status'
import type { RunState } from './run-events.ts'

/**
 * The progress of the run at work. A run that this owner took out of the queue goes
 *
 *     taken → detecting → publishing → delivering → reported → done
 *
 * and skips phases that it does not need. A run at which an earlier owner was interrupted goes
 *
 *     interrupted → unpublished → done                        if nothing of it is written
 *     interrupted → (closing →) delivering → reported → done  if something is
 */
export type Phase =
  | 'taken' // Its event says `queued`, since its definition is not resolved.
  | 'detecting' // Its event says `running`; nothing of it is published.
  | 'publishing' // A record of it may be in `changes`: from here on only `run-end` markers end it.
  | 'delivering' // Its `run-end` markers are all written; partitions report.
  | 'reported' // All partitions have reported, or the run had nothing to publish.
  | 'done' // It has ended or awaits approval; its last event is being written.
  | 'interrupted' // An earlier owner left it; nobody has looked how much of it is written.
  | 'unpublished' // Nothing of it is written.
  | 'closing' // Some of its markers are missing, and are being written.

export interface AtWork {
  readonly run: RunState
  readonly phase: Phase
  /** True if an earlier owner left it at work. */
  readonly isInterrupted: boolean
  /** True if the run's process is gone, and that process did all the work (the embedded profile). */
  readonly isProcessGone: boolean
  /**
   * True if its markers end the run before all of its changes are published. The run then has only the
   * published changes.
   */
  readonly endsEarly: boolean
  /** True once a record of it may be in `changes`. */
  readonly isWritten: boolean
  /** The reports of its partitions, once all have reported. */
  readonly reports: readonly PartitionReport[]
}

export interface SyncLife {
  /** Number of the last run; 0 if there was none. */
  readonly lastRun: number
  /** True if the next run is the sync's first: no run has been through its model so far. */
  readonly first: boolean
  /**
   * By partition, the first change of an earlier run whose outcome is unknown. A complete run clears them.
   */
  readonly faults: readonly Fault[]
  /** Offset of the last command that is taken; −1 if none is. */
  readonly lastCommand: number
  /** The number of processes in a row that died during the sync's runs (deaths.ts). */
  readonly deaths: number
  /** The instant up to which the schedule has started runs; null if it never did. */
  readonly fired: Fired | null
  /** The destination of the delivered state; null if nobody knows it. */
  readonly deliveredTo: StateOwner | null
  readonly atWork: AtWork | null
  /** The queued runs, in no order: `nextOf` says which one goes next. */
  readonly queued: readonly RunState[]
  /** The run that awaits approval; its event says `held`. The next run to begin takes its place. */
  readonly awaiting: RunState | null
  /**
   * True if somebody cancelled the replacement of the interrupted run at work. Then no other takes its place.
   */
  readonly replacementCancelled: boolean
}

/** The end of one partition of `changes`, as the last run left it. */
export interface PartitionTail {
  /** Number of the last run that wrote here; 0 if none did. */
  readonly run: number
  /** True if its `run-end` marker is written, or no run ever was here. */
  readonly ended: boolean
  /** True if its `run-end` marker says that it ends the run early. */
  readonly sealed: boolean
  /** The number of seqs that the run has in this partition. */
  readonly count: number
}

/** The results of a run's diff. `faults` are the faults of earlier runs that still make a row uncertain. */
export type Found = Pick<
  RunState,
  'faults' | 'rowsRead' | 'rowsInvalid' | 'invalidSamples' | 'undecided' | 'counts' | 'notices'
>

/** A command that somebody gave. `partitions` are the sync's. */
export interface Asked {
  readonly kind: 'asked'
  readonly command: Command
  readonly offset: number
  /** The sync's incarnation; absent if nobody is certain of it. */
  readonly incarnation?: string
  readonly partitions: number
  /** By partition, the last slice of the run at work of which the detector has heard; null: of no stream. */
  readonly heard?: readonly number[] | null
  readonly at: number
}

/** An instant of the schedule has come. `runId` is for the run that it may start. */
export interface Due {
  readonly kind: 'due'
  readonly fired: Fired
  readonly runId: string
  readonly partitions: number
  readonly at: number
}

/** The suspension of a sync: its reason, and what is known of the run that was at work. */
export interface Suspension {
  readonly sync: string
  readonly incarnation: string
  readonly error: unknown
  /** The latest report of each partition. */
  readonly reports: readonly PartitionReport[]
  /** The place at which the run before ended. */
  readonly endsBefore: readonly PartitionEnd[]
  readonly at: number
}

/** A fact that the owner finds out about the run at work. */
export type WorkFact =
  /** The tails of all partitions of `changes`, which say how much of the interrupted run is written. */
  | { readonly kind: 'inspected'; readonly tails: readonly PartitionTail[] }
  /** The markers that were missing are written. */
  | { readonly kind: 'closed' }
  /** The definition is resolved and stored under this hash. */
  | { readonly kind: 'begun'; readonly definition: string }
  /** The delivered state is being restored. Null once it is restored, if an event has reported progress. */
  | { readonly kind: 'restoring'; readonly restoring: Restoring | null }
  /** The delivered state is up to date. */
  | { readonly kind: 'restored' }
  /** The diff is made. `records` counts the records to be published. */
  | {
      readonly kind: 'detected'
      readonly found: Found
      readonly records: number
      /** The destination or the removals that somebody has to approve first; null if none. */
      readonly toApprove: HeldRemovals | null
      /** The destination of the run's rows. */
      readonly to: DeliveredTo
    }
  /** The run is to await approval. */
  | { readonly kind: 'held'; readonly toApprove: HeldRemovals; readonly at: number }
  /** All is ready to be published. People who watch the run may see the results of its diff. */
  | { readonly kind: 'prepared'; readonly at: number }
  /** The first record is about to be written. */
  | { readonly kind: 'publishing'; readonly at: number }
  /** How a stream stands, with the counts of its run so far. */
  | { readonly kind: 'streamed'; readonly stream: StreamProgress; readonly found: Partial<Found> }
  | { readonly kind: 'published'; readonly at: number }
  /** Somebody cancelled the run while it was published: its markers are written, marked as sealed. */
  | { readonly kind: 'publishing-cancelled'; readonly at: number }
  | { readonly kind: 'failed'; readonly error: unknown; readonly at: number }
  /** The process stops in good order, and leaves the run to its successor. */
  | { readonly kind: 'let-go' }
  /** All partitions have reported. */
  | { readonly kind: 'reported'; readonly reports: readonly PartitionReport[]; readonly at: number }
  /** A run may replace the interrupted one, under this id. */
  | { readonly kind: 'replaced'; readonly newRunId: string; readonly at: number }
  /**
   * Nothing more is to be done before the end. `endsBefore` says where the run before ended, for partitions
   * whose end this run has not reached.
   */
  | { readonly kind: 'ended'; readonly endsBefore: readonly PartitionEnd[]; readonly at: number }
  /** Its last event is acknowledged, and its files are closed. */
  | { readonly kind: 'released' }

export type Fact =
  | Asked
  | Due
  /** Nothing is at work: what is queued may begin. */
  | { readonly kind: 'idle'; readonly at: number }
  | WorkFact
  /** Nobody can own the sync. */
  | { readonly kind: 'suspended'; readonly aside: Suspension }
  /** Somebody asks for something while nobody can own the sync. */
  | { readonly kind: 'asked-suspended'; readonly asked: Asked; readonly aside: Suspension }
  /** An instant of the schedule has come while nobody can own the sync. */
  | { readonly kind: 'due-suspended'; readonly due: Due; readonly aside: Suspension }
  /** The reset of a suspended sync could not be carried out either. */
  | { readonly kind: 'reset-failed'; readonly error: unknown; readonly at: number }

/** The owner's next action; in brackets the fact that follows from it. */
export type Next =
  | 'go-on' // Continue the present work.
  | 'wait' // Wait for a command [asked].
  | 'detect' // Resolve the definition [begun], restore [restored], compare [detected].
  | 'reset' // Delete the topics, write the new incarnation, end the reset: this life is over.
  | 'hold' // Let somebody approve it first [held].
  | 'publish' // [prepared, publishing, then published, publishing-cancelled or failed]
  | 'close' // Write the missing markers [closed].
  | 'await-reports' // Wait until all partitions have reported [reported].
  | 'replace' // Give an id to the run that replaces the interrupted one [replaced].
  | 'end' // Forget old runs, and trim old records [ended].
  | 'release' // Close the files of the ended run [released].
  | 'take-over' // The owner takes over from itself: a takeover writes the missing markers and so ends the run.

export interface Step {
  readonly life: SyncLife
  /**
   * True if the run at work is to stop, since somebody cancelled it. It stops before the events are written.
   */
  readonly stops: boolean
  /** Events to be written to `runs` in this order. None waits until the one before is acknowledged. */
  readonly events: readonly RunState[]
  readonly next: Next
}

export function stepOf(life: SyncLife, events: readonly RunState[], next: Next): Step {
  return { life, stops: false, events, next }
}

/** True for a run that was interrupted before all of its changes were published. */
export function lacksChanges({ phase, isInterrupted, endsEarly }: AtWork): boolean {
  return isInterrupted && (phase === 'unpublished' || endsEarly)
}

export function withRun(life: SyncLife, atWork: AtWork, changed: Partial<RunState>): SyncLife {
  return { ...life, atWork: { ...atWork, run: { ...atWork.run, ...changed } } }
}

/**
 * Returns the owner of the delivered state once this destination has it. If a secret now hides an account,
 * the account keeps the value that was known.
 */
export function deliveredToNow(
  { deliveredTo: before }: SyncLife,
  { url, accounts }: DeliveredTo,
): StateOwner {
  const change = (before?.change ?? 0) + 1
  if (before === null || isAnother(before, { url, accounts })) return { url, accounts, change }
  const isNews = ([name, value]: readonly [string, string | null]): boolean =>
    before.accounts[name] === undefined || (value !== null && value !== before.accounts[name])
  const news = Object.entries(accounts).filter(isNews)
  return news.length === 0
    ? before
    : { url, accounts: { ...before.accounts, ...Object.fromEntries(news) }, change }
}

/** Takes faults and deaths from the end of a run, for the next run. A run without a number has none. */
export function withEnd(life: SyncLife, ended: RunState): SyncLife {
  const { faults, deaths } = ended
  if (ended.run === null || !isEnded(ended.status)) return life
  return { ...life, faults, deaths: deaths ?? 0 }
}
