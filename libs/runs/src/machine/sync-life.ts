/**
 * What the owner of a sync knows of its runs, what it can learn (facts), and what it has to do then. `step`
 * in `step.ts` is the machine: from a life and a fact it makes the next life and what to do. None of it does
 * I/O or looks at a clock. Each instant is given, in ms since 1970. docs/RUNS.md has the pictures.
 */
import type { Command, Fault, PartitionReport } from '@sluice/contracts/records'
import type {
  DeliveredTo,
  HeldRemovals,
  StateOwner,
  PartitionEnd,
  Restoring,
  Fired,
} from '@sluice/contracts/run-records'
import { isAnother } from '@sluice/domain/held/delivered-to'
import { isEnded } from '@sluice/domain/run-status'
import type { RunState } from './run-events.ts'

/**
 * How far the run at work has come. A run that this owner took out of the queue goes
 *
 *     taken → detecting → publishing → delivering → reported → done
 *
 * and skips what it has no need of. A run that an earlier owner left goes
 *
 *     left → lost → done                              where nothing of it is written
 *     left → (sealing →) delivering → reported → done  where something is
 */
export type Phase =
  | 'taken' // Its event says `queued`, since its definition is not resolved.
  | 'detecting' // Its event says `running`; nothing of it is published.
  | 'publishing' // A record of it may be in `changes`: from here on only `run-end` markers end it.
  | 'delivering' // Its `run-end` markers are all written; partitions report.
  | 'reported' // All partitions have reported, or the run had nothing to publish.
  | 'done' // It has ended or awaits approval; its last event is being written.
  | 'left' // An earlier owner left it; nobody has looked how much of it is written.
  | 'lost' // Nothing of it is written.
  | 'sealing' // It was cut; its missing markers are being written.

export interface AtWork {
  readonly run: RunState
  readonly phase: Phase
  /** True where an earlier owner left it. */
  readonly isLeft: boolean
  /** True if the run's process is gone, and that process did all the work (the embedded profile). */
  readonly isInterrupted: boolean
  /** True where its markers end it early. What is published is then all of the run. */
  readonly isSealed: boolean
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
  /** Where earlier runs lost track of changes, and no complete run has taken that into account. */
  readonly faults: readonly Fault[]
  /** Offset of the last command that is taken; −1 if none is. */
  readonly lastCommand: number
  /** How many processes in a row have died in the midst of the sync's runs (parking.ts). */
  readonly deaths: number
  /** How far the schedule has started runs; null if it never did. */
  readonly fired: Fired | null
  /** What the delivered state is of; null if nobody knows. */
  readonly deliveredTo: StateOwner | null
  readonly atWork: AtWork | null
  /** In no order: `nextOf` says which one goes next. */
  readonly queued: readonly RunState[]
  /**
   * The run that awaits approval; its event says `held`. No run comes between it and the run that takes its
   * place.
   */
  readonly awaiting: RunState | null
  /** True if no run takes the place of the run that was left: somebody cancelled the run that did. */
  readonly replacementCancelled: boolean
}

/** What the last run left in one partition of `changes`. */
export interface PartitionTail {
  /** Number of the last run that wrote here; 0 if none did. */
  readonly run: number
  /** True if its `run-end` marker is written, or no run ever was here. */
  readonly ended: boolean
  readonly sealed: boolean
  /** Seqs that the run has in this partition. */
  readonly count: number
}

/** What a run found out by its diff. Its `faults` are those of earlier runs that still put a row in doubt. */
export type Found = Pick<
  RunState,
  'faults' | 'rowsRead' | 'rowsInvalid' | 'invalidSamples' | 'undecided' | 'counts' | 'notices'
>

/** Somebody asks for something. `partitions` are the sync's. */
export interface Asked {
  readonly kind: 'asked'
  readonly command: Command
  readonly offset: number
  /** The sync's own; absent where nobody is certain of it. */
  readonly incarnation?: string
  readonly partitions: number
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

/** Why a sync is set aside, and what is known of the run that was at work. */
export interface Aside {
  readonly sync: string
  readonly incarnation: string
  readonly error: unknown
  /** The latest report of each partition. */
  readonly reports: readonly PartitionReport[]
  /** Where the run before ended. */
  readonly endsBefore: readonly PartitionEnd[]
  readonly at: number
}

/** What the owner finds out about the run at work. */
export type WorkFact =
  /** How much of the run that was left is written: the tails of all partitions of `changes`. */
  | { readonly kind: 'inspected'; readonly tails: readonly PartitionTail[] }
  /** The markers that were missing are written. */
  | { readonly kind: 'sealed' }
  /** The definition is resolved and stored under this hash. */
  | { readonly kind: 'begun'; readonly definition: string }
  /** The delivered state is being restored; null once it is restored, after an event told that it was not. */
  | { readonly kind: 'restoring'; readonly restoring: Restoring | null }
  /** The delivered state is up to date. */
  | { readonly kind: 'restored' }
  /** The diff is made. `records` is the number of records that are to be published. */
  | {
      readonly kind: 'detected'
      readonly found: Found
      readonly records: number
      /** What somebody has to approve first: another destination, or so many removals. */
      readonly toApprove: HeldRemovals | null
      /** Where the run sends its rows. */
      readonly to: DeliveredTo
    }
  /** The run is to await approval. */
  | { readonly kind: 'awaits-approval'; readonly toApprove: HeldRemovals }
  /** All is ready to be published. People who watch the run may see what was found. */
  | { readonly kind: 'prepared' }
  /** The first record is about to be written. */
  | { readonly kind: 'publishing'; readonly at: number }
  | { readonly kind: 'published'; readonly at: number }
  /** Somebody cancelled the run while it was published: its markers are written, marked as sealed. */
  | { readonly kind: 'cut-short'; readonly at: number }
  | { readonly kind: 'failed'; readonly error: unknown; readonly at: number }
  /** The process stops in good order, and leaves the run to its successor. */
  | { readonly kind: 'let-go' }
  /** All partitions have reported. */
  | { readonly kind: 'reported'; readonly reports: readonly PartitionReport[]; readonly at: number }
  /** A run may take the place of the one that was cut, under this id. */
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
  | { readonly kind: 'set-aside'; readonly aside: Aside }
  /** Somebody asks for something while nobody can own the sync. */
  | { readonly kind: 'asked-aside'; readonly asked: Asked; readonly aside: Aside }
  /** An instant of the schedule has come while nobody can own the sync. */
  | { readonly kind: 'due-aside'; readonly due: Due; readonly aside: Aside }
  /** The reset of a sync that is set aside could not be carried out either. */
  | { readonly kind: 'reset-failed'; readonly error: unknown; readonly at: number }

/** What the owner does next; in brackets the fact that it tells afterwards. */
export type Next =
  | 'go-on' // with what it is at.
  | 'wait' // for a command [asked].
  | 'detect' // Resolve the definition [begun], restore [restored], compare [detected].
  | 'reset' // Delete the topics, write the new incarnation, end the reset: this life is over.
  | 'await-approval' // Let somebody approve it first [awaits-approval].
  | 'publish' // [prepared, publishing, then published, cut-short or failed]
  | 'seal' // Write the missing markers [sealed].
  | 'await-reports' // Wait until all partitions have reported [reported].
  | 'replace' // Give an id to the run that takes the place of the one that was cut [replaced].
  | 'end' // Forget and trim what is old [ended].
  | 'release' // Let go of the run [released].
  | 'take-over' // from itself: only a takeover, which seals, ends the run.

export interface Step {
  readonly life: SyncLife
  /** True if the work on the run at work is to stop: somebody cancelled it. Comes before what is written. */
  readonly stops: boolean
  /**
   * Events to be written to `runs`, in this order, side by side: none waits for the one before to be
   * acknowledged.
   */
  readonly events: readonly RunState[]
  readonly next: Next
}

export function stepOf(life: SyncLife, events: readonly RunState[], next: Next): Step {
  return { life, stops: false, events, next }
}

export function withRun(life: SyncLife, atWork: AtWork, changed: Partial<RunState>): SyncLife {
  return { ...life, atWork: { ...atWork, run: { ...atWork.run, ...changed } } }
}

/**
 * The delivered state as that of this destination from now on. An account that a secret hides stays known.
 */
export function ownedBy({ deliveredTo: before }: SyncLife, { url, accounts }: DeliveredTo): StateOwner {
  const change = (before?.change ?? 0) + 1
  if (before === null || isAnother(before, { url, accounts })) return { url, accounts, change }
  const isNews = ([name, value]: readonly [string, string | null]): boolean =>
    before.accounts[name] === undefined || (value !== null && value !== before.accounts[name])
  const news = Object.entries(accounts).filter(isNews)
  return news.length === 0
    ? before
    : { url, accounts: { ...before.accounts, ...Object.fromEntries(news) }, change }
}

/** What the end of a run says of the sync counts for the next run. A run without a number says nothing. */
export function withEnd(life: SyncLife, ended: RunState): SyncLife {
  const { faults, deaths } = ended
  if (ended.run === null || !isEnded(ended.status)) return life
  return { ...life, faults, deaths: deaths ?? 0 }
}
