/**
 * The records of the topics (PROTOCOL.md §1), as the services see them. `avro-schemas.ts` has the same shapes
 * in Avro, and both change together. Offsets, seqs and counts are safe integers. Times are milliseconds since
 * 1970.
 */
import type { DeathsOfRun, Fired, PhaseTimes } from './runs/run-times.ts'
import type {
  CountsByOp,
  KeyStateKind,
  Op,
  Outcome,
  ShownCertificate,
  ReplayOf,
  ReplayScope,
} from './state.ts'
import type { Row } from './values.ts'
import type { ErrorPlace } from './runs/error-place.ts'
import type { HeldRemovals, StateOwner } from './runs/held-removals.ts'
import type { PartitionEnd } from './runs/partition-ends.ts'
import type { Restoring } from './runs/restoring.ts'
import type { Wait } from './runs/waits.ts'

/**
 * Who wrote a record. Readers pass over other incarnations and, after a takeover marker, over other owners
 * (PROTOCOL.md §4).
 */
export interface Owned {
  readonly incarnation: string
  /**
   * Offset, in the partition of this very record, of its writer's takeover marker; −1 in the takeover marker
   * itself.
   */
  readonly owner: number
}

/** A run as pinned by its `run-begin` marker. */
export interface RunBegin {
  readonly run: number
  readonly runId: string
  readonly definition: string
  readonly startedAt: number
  /**
   * True if no run of the sync has been through its model before. If this run is sealed, the next one is
   * first again.
   */
  readonly first: boolean
  /**
   * True if no row is added or changed before all partitions have finished their removals, since an API may
   * take keys of the run for one (PROTOCOL.md §6). Absent or null in earlier versions.
   */
  readonly removalsFirst?: boolean | null
}

/**
 * Delivery's position: every request below `offset` is finished. `counts` are of exactly those requests that
 * are in the open run (PROTOCOL.md §8).
 */
export interface Checkpoint {
  /** The lowest offset of `requests` whose request is not finished. */
  readonly offset: number
  /** The lowest offset of `attempts` that holds an attempt of a request at or above `offset`. */
  readonly from: number
  readonly run: number
  readonly counts: CountsByOp
}

export type MarkerKind = 'takeover' | 'release' | 'run-begin' | 'run-end'

/** A record without data: it says who writes, or where a run begins and ends. */
export interface Marker extends Owned {
  readonly kind: MarkerKind
  /** In `run-begin` and `run-end`. */
  readonly begin: RunBegin | null
  /** In `run-end`: how many seqs this partition has in this topic for the run. */
  readonly count: number | null
  /**
   * In `run-end`: true if the run ends here before all its changes are published: it was cancelled, or a
   * later owner closed it in place of its writer.
   */
  readonly sealed: boolean
  /** On `attempts`: delivery's position once this marker is written. */
  readonly checkpoint: Checkpoint | null
  /**
   * In `run-end`: the first seq of `changes` whose fate is not known, if a gap or a wrong count ended the run
   * here. Otherwise null.
   */
  readonly faultedFrom: number | null
  readonly error: string | null
  /**
   * Input position of the writer: the next offset that it reads. Null for the detector, which reads no topic
   * as its input. In `takeover`: where its owner goes on, if it counts deaths.
   */
  readonly position: number | null
  /**
   * In `takeover` of renderer and delivery: deaths of owners, with that of this one if it writes nothing
   * more. In a `run-end` of the renderer: those of the run, if there were any. Null in other markers, and in
   * earlier versions.
   */
  readonly deaths: DeathsOfRun | null
}

/** What earlier runs left behind for a row that was not delivered. */
export interface Retried {
  readonly idempotencyKey: string | null
  readonly outcome: Outcome
  /** False when the last attempt had no answer. */
  readonly answered: boolean
  /** SHA-256, in hex, of method, URL and body of the request that the row was in. */
  readonly requestHash: string | null
  /** How many rows that request had. */
  readonly requestRows: number
  readonly attempts: number
  readonly runs: number
  readonly since: number
}

/** One row of `changes`. A reader may leave its rows encoded: then R has `EncodedRow`s. */
export interface Change<R = Row> extends Owned {
  readonly run: number
  readonly seq: number
  readonly op: Op | 'settled'
  readonly key: string
  /** The row that the destination is believed to hold before this change, with how certain that is. */
  readonly before: R | null
  readonly beforeState: KeyStateKind
  /** The row in the model; null for `removed`. For `settled`: the row of the resulting state. */
  readonly after: R | null
  /** For `settled`: the resulting state. */
  readonly settledState: KeyStateKind | null
  /**
   * For `settled`: the hash of the row and op that runs pass over until it differs. Null if nothing is muted.
   */
  readonly muted: string | null
  /** Captured values as JSON text. */
  readonly captured: string | null
  readonly retried: Retried | null
  /**
   * In a replay: a recorded request to be sent again as it was, as Avro bytes of `Request`. Otherwise null.
   */
  readonly replayed: Uint8Array | null
}

/** A change as its topic holds it. */
export interface WrittenChange<R = Row> extends Change<R> {
  /**
   * Values of `before` and `after` that do not fit their columns, which had another type when the row was
   * delivered. JSON of an object `{ before, after }`, each by column. The rows themselves have null there.
   */
  readonly unfit: string | null
}

/** A row inside a request. */
export interface RequestRow {
  readonly key: string
  /** The seq of the row's change. */
  readonly seq: number
  readonly op: Op
  /** True if it was uncertain whether the destination has the row. Then 404 or 410 confirms a removal. */
  readonly uncertain: boolean
  /** Values captured from earlier answers, as JSON text. */
  readonly captured: string | null
  readonly retried: Retried | null
  /** Texts of the columns by which answers name rows, as JSON. Earlier versions had none. */
  readonly named: string | null
}

/** One row of `requests`: a request to be sent. Headers hold no secrets. */
export interface Request extends Owned {
  readonly run: number
  /** Offset, in this partition of `requests`, of the run's `run-begin` marker. */
  readonly begin: number
  readonly seq: number
  readonly trigger: Op
  readonly method: string
  /** Appended to the destination's base URL; already percent-encoded. */
  readonly path: string
  readonly headers: { readonly [name: string]: string }
  /** UTF-8 text, or null for no body. */
  readonly body: Uint8Array | null
  readonly rows: readonly RequestRow[]
  /** Offsets of the changes that this record was made of: from, inclusive, to `changesEnd`, exclusive. */
  readonly changesStart: number
  readonly changesEnd: number
  /** Of a request that a replay sends again; null for any other. Earlier versions had none. */
  readonly replayOf: ReplayOf | null
}

/** Rows that could not be rendered. They have a seq of their own in `requests`. */
export interface Unrenderable extends Owned {
  readonly run: number
  readonly begin: number
  readonly seq: number
  readonly trigger: Op
  readonly error: string
  /** If that is the reason: the name of a value that the template needs and that was never captured. */
  readonly lacks: string | null
  readonly rows: readonly RequestRow[]
  readonly changesStart: number
  readonly changesEnd: number
}

/** What became of one row, if that differs from the request as a whole. */
export interface RowResult {
  readonly seq: number
  readonly outcome: Outcome
  readonly error: string | null
  readonly captured: string | null
}

/** Some rows of a request that are sent once more, after an attempt that left them open (PROTOCOL.md §8). */
export interface NextPart {
  /** Their positions in the request, rising. Null: the rows of that attempt. */
  readonly rows: readonly number[] | null
  /** How many tries these rows have used up in the run. */
  readonly tries: number
  /** How long they wait after that attempt, in ms. */
  readonly waitMs: number
}

/** One try at sending a request or a part of it, or attempt 0 for one that was not sent. */
export interface Attempt extends Owned {
  readonly run: number
  readonly runId: string
  /** The request's seq and its offset in `requests`. */
  readonly seq: number
  readonly requestOffset: number
  readonly attempt: number
  /** Positions of its rows in the request, rising; null: all. Earlier versions had no parts. */
  readonly part: readonly number[] | null
  /** Of a part: at most 64 KiB of the body that was sent, as text. */
  readonly partBody: string | null
  readonly trigger: Op
  readonly outcome: Outcome | 'throttled'
  /** True for the attempt that finishes the request. */
  readonly final: boolean
  /** The parts in which open rows go on. Null: all go on together, or none, as `final` says. */
  readonly parts: readonly NextPart[] | null
  /**
   * For a failed try that more tries follow in the same run: when the next one may be sent at the earliest,
   * in ms since 1970. Null for any other attempt. An attempt of an earlier version lacks it.
   */
  readonly nextTryAt: number | null
  readonly answered: boolean
  readonly status: number | null
  readonly error: string | null
  readonly method: string
  readonly url: string
  readonly requestHash: string
  readonly idempotencyKey: string | null
  readonly requestHeaders: { readonly [name: string]: string }
  readonly responseHeaders: { readonly [name: string]: string }
  /** At most 64 KiB of the answer, as text. */
  readonly responseBody: string | null
  readonly startedAt: number
  readonly durationMs: number
  /** What became of its rows, where that differs from the outcome of the attempt. */
  readonly rows: readonly RowResult[]
  readonly checkpoint: Checkpoint | null
}

/** The record that a row was not delivered, on `retry`, by primary key. */
export interface RetryEntry extends Owned, Retried {
  readonly run: number
  readonly seq: number
  readonly op: Op
  readonly status: number | null
  readonly error: string | null
}

/** Values captured from an answer, on `captured`, by primary key. */
export interface Captured extends Owned {
  readonly run: number
  readonly seq: number
  /** JSON text: name → value. */
  readonly values: string
}

/**
 * Something that a user or the schedule asks of a sync's detector. `id` is a ULID; for `run` it becomes the
 * run's id.
 */
export interface Command {
  readonly id: string
  readonly kind: 'run' | 'cancel' | 'approve' | 'reset'
  readonly sync: string
  readonly cause: RunCause
  readonly run: string | null
  readonly at: number
  readonly scope: RunScope | null
  /** Who asked: the name of a token, or of the user of a command. Null if nobody knows. */
  readonly by?: string | null
  /**
   * The approval of a changed destination has it: `same` goes on with the delivered state, `new` forgets it.
   * The run behind such an approval has `new`, too.
   */
  readonly destination?: 'same' | 'new' | null
}

export type RunCause = 'manual' | 'schedule' | 'retry' | 'resync' | 'replay' | 'discard' | 'reset'

/** What a run is asked to do, if it is no ordinary run. Only fields that go with its cause are set. */
export interface RunScope {
  /** Of a resync: the trigger that sends every row. */
  readonly as: 'added' | 'changed' | null
  /** A discard or a retry has the key of its row, or the status of the answers (5 is 5xx). Null means any. */
  readonly key: string | null
  readonly status: number | null
  /** Of a replay: the recorded requests that are meant. Absent or null for any other run. */
  readonly replay?: ReplayScope | null
}

export type RunStatus = 'queued' | 'running' | 'held' | 'success' | 'warning' | 'failed' | 'cancelled'

export interface InvalidSample {
  readonly key: string | null
  readonly reason: string
}

/** From this seq of a run on, the fate of the changes in a partition is not known (PROTOCOL.md §11). */
export interface Fault {
  readonly partition: number
  readonly run: number
  readonly from: number
}

/** The state of a run, on `runs`, keyed by sync/run; the last one written counts. */
export interface RunEvent {
  readonly sync: string
  readonly incarnation: string
  readonly runId: string
  readonly run: number | null
  readonly status: RunStatus
  readonly cause: RunCause
  readonly scope: RunScope | null
  /** Offset of the writer's takeover marker in partition 0 of `changes`; −1 before it has one. */
  readonly marker: number
  /** Offset in `commands` of the command that caused the run; −1 if no command did. */
  readonly command: number
  /** True once somebody asked to cancel the run. Requests that are not sent yet are to become unsent. */
  readonly cancelling: boolean
  readonly definition: string | null
  /** True if no run of the sync had been through its model when this one started. */
  readonly first: boolean
  /** True once all its changes are published, or there were none. */
  readonly complete: boolean
  readonly partitions: number
  readonly queuedAt: number
  readonly startedAt: number | null
  readonly endedAt: number | null
  readonly rowsRead: number
  readonly rowsInvalid: number
  readonly invalidSamples: readonly InvalidSample[]
  /** Rows that it passed over since nobody has decided about them. Earlier versions did not say. */
  readonly undecided: number | null
  /** Changes found, per op with a trigger; final outcomes once the run has ended. */
  readonly counts: CountsByOp
  readonly error: string | null
  /** The ErrorCode that goes with `error`. */
  readonly errorCode: string | null
  /** What the run did that its user should know. */
  readonly notices: readonly string[]
  readonly ends: readonly PartitionEnd[]
  /** Faults of this run, and of earlier runs, until a complete run has taken them into account. */
  readonly faults: readonly Fault[]
  readonly held: HeldRemovals | null
  /** How many removals somebody has approved; null if nobody was asked. */
  readonly approved: number | null
  /**
   * A retry, a discard or a resync is about what runs up to this one left. Null for any other run, and
   * in events of an earlier version.
   */
  readonly upTo: number | null
  /**
   * Offset of the command that asked for the run, if `command` is that of an approval. Null for any other
   * run, and in events of an earlier version.
   */
  readonly asked: number | null
  /** Set while the run brings the delivered state up to date for longer than a second. */
  readonly restoring: Restoring | null
  /**
   * The number of processes in a row that have died at work on the sync, if the process of this run dies
   * before it writes another event of it. Null in events of an earlier version.
   */
  readonly deaths: number | null
  /** Who asked for it, as its command says. Null where nobody did, and in events of an earlier version. */
  readonly by: string | null
  /** How far the schedule has started runs: for one with that cause, the instant that it is due for. */
  readonly fired: Fired | null
  /** True for a run that failed since no process can work on its sync. */
  readonly aside: boolean | null
  readonly phases: PhaseTimes | null
  /** Of each side, the certificate that ends first. Null before the end, and in earlier versions. */
  readonly certificates: readonly ShownCertificate[] | null
  /** Where the mistake is that failed it, if that is known. Null in events of an earlier version. */
  readonly errorPlaces: readonly ErrorPlace[] | null
  readonly deliveredTo: StateOwner | null
}

/** What delivery says of one partition of a run, on `runs`, keyed by sync/partition. */
export interface PartitionReport {
  readonly sync: string
  readonly incarnation: string
  readonly run: number
  readonly partition: number
  /**
   * Offset of the reporter's takeover marker in `attempts`. Readers pass over a smaller one than they have
   * seen.
   */
  readonly marker: number
  readonly counts: CountsByOp
  /** True once the partition's `run-end` is reached, or will not be; false for a report of progress. */
  readonly ended: boolean
  /**
   * A run that removes first sets it once the partition has finished its removals, and none can arrive any
   * more. Absent or null in any other run, and in earlier versions.
   */
  readonly removalsFinished?: boolean | null
  /**
   * Set if a gap in seq or a wrong count ended the run, or if a stage cannot go on: the first seq of
   * `changes` whose fate is not known. In a report of progress it means that the renderer cannot go on, and
   * asks delivery to end the partition.
   */
  readonly faultedFrom: number | null
  readonly error: string | null
  /** The kind of that error. */
  readonly errorCode: string | null
  /** 0 if the partition's `run-end` is not reached though its part of the run is over. */
  readonly requestsEnd: number
  readonly attemptsEnd: number
  /** What the partition waits for, and when it came so far. Null in reports of an earlier version. */
  readonly waits: readonly Wait[] | null
  readonly phases: Pick<PhaseTimes, 'renderingFrom' | 'renderedAt' | 'sendingFrom'> | null
  /** What its connections have shown by the end. Null in reports of progress, and of an earlier version. */
  readonly certificates: readonly ShownCertificate[] | null
  /**
   * The number of processes that died at work on the partition in this run. Null for none, and while it goes
   * on.
   */
  readonly deaths?: number | null
}
