/**
 * The operations of Sluice that people ask for, and their answers. The answer may come from a folder, from
 * Kafka or from a server; the caller need not know. `operations.ts` of libs/contracts lists all operations.
 */
import type {
  AttemptOutcome,
  AttemptsPage,
  FailedPage,
  PreviewView,
  ReplayView,
  RequestView,
  RunsPage,
  RunView,
  StreamView,
  SyncView,
} from '@sluice/contracts/api'
import type { AnswerOf, InputOf } from '@sluice/contracts/api/operation-shapes'
import type { AskName, CallName, PreviewName } from '@sluice/contracts/api/operations'
import type { RowLife, RunAnswers, RunFigures } from '@sluice/contracts/views/history-views'
import type { ModelSpec, ResourceKind } from '@sluice/contracts/resources'
import type { Op, ReplayScope, ShownCertificate } from '@sluice/contracts/state'

/** `after` is the `next` of the page before. */
export interface Paging {
  readonly limit: number
  readonly after?: string | undefined
}

export interface AttemptsQuery extends Paging {
  readonly run?: string | undefined
  readonly sync?: string | undefined
  /** A primary key as text; a composite one as a JSON array. */
  readonly key?: string | undefined
  readonly trigger?: Op | undefined
  /** A status such as `422`, or a class such as `4xx`. */
  readonly status?: string | undefined
  readonly outcome?: AttemptOutcome | undefined
  /** Milliseconds since 1970: from `since`, inclusive, to `until`, exclusive. */
  readonly since?: number | undefined
  readonly until?: number | undefined
  /** A text in the error; case does not matter. */
  readonly search?: string | undefined
  /** True to search bodies, too, as far as they are held. */
  readonly searchesBodies?: boolean | undefined
  /** False to leave out headers and bodies. Default: with them. */
  readonly details?: boolean | undefined
}

export interface RunsQuery extends Paging {
  readonly sync?: string | undefined
  /** Only runs of these syncs. */
  readonly syncs?: ReadonlySet<string> | undefined
  readonly status?: RunView['status'] | undefined
  readonly cause?: RunView['cause'] | undefined
  /** True to list each run of a stream by itself. */
  readonly each?: boolean | undefined
  /**
   * The time at which the run was asked for, in ms since 1970: from `since`, inclusive, to `until`,
   * exclusive.
   */
  readonly since?: number | undefined
  readonly until?: number | undefined
}

export interface FailedQuery extends Paging {
  readonly sync: string
  /** Only rows whose last attempt was in this run. */
  readonly run?: string | undefined
  readonly key?: string | undefined
  readonly status?: number | undefined
  /** The id of a group. */
  readonly group?: string | undefined
  /** True to add the columns of each row. Then a page may be shorter than its limit. */
  readonly columns?: boolean | undefined
}

/** The number of last runs that a sync is shown with. */
export interface RecentRuns {
  readonly runs?: number | undefined
}

export type SyncsQuery = Paging &
  RecentRuns & {
    /** Adds the rows that were delivered since then. */
    readonly deliveredSince?: string | undefined
    /** Only syncs with this label. */
    readonly label?: string | undefined
  }

/** How long the destination of a sync has lacked rows. */
export interface Behind {
  /** The start of the first run after the last run that delivered all rows, in ms since 1970. */
  readonly since: number
  /** The runs since then that have ended. */
  readonly runs: number
}

/** The part of a sync's view that history knows, beside its resource. */
export interface SyncPast {
  /**
   * The last run, the last one that ended and shows whether rows arrive, and all open runs, the newest first.
   * Refused runs are left out.
   */
  readonly runs: readonly RunView[]
  /** The id of the last run that ended and shows whether rows arrive; null if there is none. */
  readonly telling: string | null
  /** The counts of the last runs that began, as many as were asked for, the newest first. */
  readonly figures: NonNullable<SyncView['runs']>
  readonly rows: SyncView['rows']
  /** The stream of its runs; null if they are of none. */
  readonly stream: StreamView | null
  /** The certificates that its last run with encrypted connections showed. */
  readonly certificates: readonly ShownCertificate[]
  /**
   * The end of the pause of its schedule, in ms since 1970; null without a pause. A schedule pauses after
   * processes died at work on the sync.
   */
  readonly pausedUntil: number | null
  /** Null if all rows are at the destination. */
  readonly behind: Behind | null
  /** Null if it was not asked for. */
  readonly delivered: SyncView['delivered'] | null
}

/** The parts of a sync's past that cost more. */
export interface PastWanted {
  /** The counts of at most so many runs. */
  readonly runs: number
  /** In ms since 1970. Null to leave out what was delivered. */
  readonly deliveredSince: number | null
}

export interface ReplayQuery {
  readonly sync: string
  readonly scope: ReplayScope
}

/**
 * All methods may be called concurrently, and throw `not-found` for a sync or run that does not exist. An
 * abort throws the signal's reason.
 */
export interface RunHistory {
  /** The newest first. */
  runs(query: RunsQuery, signal: AbortSignal): Promise<RunsPage>
  run(id: string, signal: AbortSignal): Promise<RunView>
  /**
   * Yields the state of a run, and then each later state, until the run has ended. If the run was refused
   * because another run was queued, it yields the states of the queued run.
   */
  follow(id: string, signal: AbortSignal): AsyncIterable<RunView>
  /**
   * Attempts, the newest first. A page may have fewer than its limit, or none, and still a `next`, where a
   * long search continues.
   */
  attempts(query: AttemptsQuery, signal: AbortSignal): Promise<AttemptsPage>
  /** A request by its id, with all attempts at it. Throws `not-found` once nothing of it is held. */
  request(id: string, signal: AbortSignal): Promise<RequestView>
  /** All that happened to the row of this key, and its state now. Throws `not-found` for an unknown row. */
  row(row: { readonly sync: string; readonly key: string }, signal: AbortSignal): Promise<RowLife>
  /** Counts the attempts of a run over time, in at most `limit` buckets (2 or more). */
  figures(run: string, limit: number, signal: AbortSignal): Promise<RunFigures>
  /** Counts the attempts of a run by status, and the failed ones by reason. */
  answers(run: string, signal: AbortSignal): Promise<RunAnswers>
  /** By key. */
  failed(query: FailedQuery, signal: AbortSignal): Promise<FailedPage>
  past(sync: string, wanted: PastWanted, signal: AbortSignal): Promise<SyncPast>
  /** Finds the requests that a replay would send. */
  replayable(query: ReplayQuery, signal: AbortSignal): Promise<ReplayView>
}

export interface Following {
  /** Called with each new state of the run. */
  readonly onProgress: (view: RunView) => void
  /** Once it aborts, the run is cancelled. The caller still waits for the run's end. */
  readonly cancel: AbortSignal
  /** The name of the caller in the command's record. Absent: the user of this process. */
  readonly by?: string
}

/** A run that has ended, or waits for approval. */
export interface FollowedRun {
  readonly view: RunView
}

export type PreviewedRequest = PreviewView['requests'][number]
export type RejectedRows = NonNullable<PreviewView['rejected']>[number]

/**
 * A request, or rows that cannot become a request. `sample` is true if the trigger has no row to send, so
 * that a row of the model serves as an example.
 */
export type Previewed =
  ({ readonly kind: 'request' } & PreviewedRequest) | ({ readonly kind: 'rejected' } & RejectedRows)

/** Chooses some of the rows. The requests are the same as in a run in which only these rows have changed. */
export interface Narrowing {
  readonly op: Op | undefined
  readonly key: string | undefined
  /** At most this many rows. */
  readonly rows: number | undefined
}

/** A trigger for which no row waits is shown on a sample row. */
export interface PreviewQuery extends Narrowing {
  readonly sync: string
}

/** The preview. It changes nothing, and disposing it removes all that it made. */
export interface Preview extends AsyncDisposable {
  readonly counts: PreviewView['counts']
  readonly rowsRead: number
  readonly rowsInvalid: number
  /** At most ten. */
  readonly invalidRows: NonNullable<PreviewView['invalidRows']>
  /** Sentences about the run for people. */
  readonly notices: readonly string[]
  /** May be iterated once. It renders only as many requests as the caller takes. */
  readonly requests: AsyncIterable<Previewed>
}

export interface ResourceNamed {
  readonly kind: ResourceKind
  readonly name: string
}

/** A document as somebody writes it: the text of YAML documents, or the fields of one. */
export type WrittenDocument =
  | { readonly yaml: string; readonly file?: string | undefined }
  | {
      readonly fields: { readonly [name: string]: unknown }
      readonly file?: string | undefined
    }

/** The conditions under which a resource is changed. */
export interface ChangeTerms {
  /** The name that the history shows. */
  readonly by: string
  /**
   * The version that the change is based on; 0 if the resource must not exist. Undefined to accept any
   * version.
   */
  readonly version?: number | undefined
  /** True to change the resource even if it comes from the folder of another project. */
  readonly takeOver?: boolean | undefined
}

/** A resource with its fields as people write them: a duration is `30s`, for example. */
export interface WrittenResource {
  readonly kind: ResourceKind
  readonly name: string
  readonly spec: { readonly [name: string]: unknown }
}

/** Resources that a project has in its folder. */
export interface ProjectResources {
  readonly project: string
  /** The folder of a project that is named after it. */
  readonly folder?: string | null | undefined
  readonly resources: readonly WrittenResource[]
  /** True to delete resources that belong to the project and are not among these. */
  readonly prune: boolean
  readonly takeOver: boolean
}

export interface SampleQuery extends PreviewQuery {
  /** These documents replace stored resources of the same kind and name. */
  readonly documents: readonly WrittenDocument[]
  /** True for a preview of the first rows of the model, whatever was delivered. */
  readonly sample: boolean
}

/**
 * The rows to read, as a model names them. If it is empty, they are the names of the topics of a source of
 * type kafka.
 */
export interface RowsFrom extends Pick<ModelSpec, 'sql' | 'table' | 'topic' | 'format'> {
  readonly primaryKey?: readonly string[] | undefined
}

export interface RowsQuery {
  readonly source: string
  readonly from: RowsFrom
  readonly limit: number
  readonly documents: readonly WrittenDocument[]
}

/** The circumstances of a call. */
export interface Calling {
  readonly signal: AbortSignal
  /** The name of the caller, for the record of what they changed. Absent: the user of this process. */
  readonly by?: string | undefined
}

/** All methods may be called concurrently. An abort throws the signal's reason. */
export interface Control extends AsyncDisposable {
  /**
   * Answers with one document. Throws `not-found` for a sync, a run or a resource that does not exist, and
   * `usage` for a text that is no cursor.
   *
   * - `listAttempts`: a page may have fewer than its limit, or none, and still a `next`, where a long search
   *   continues.
   * - `getRequest`, `getRow`: throw `not-found` once nothing of the request or the row is held.
   * - `sendTest`: sends one request, as the run of the sync would send it, and records it as an attempt with
   *   the mark `test`. It changes no state. Throws `not-found` for a row that the model does not have,
   *   `usage` for a row that cannot become a request, and `unreachable` if no delivery takes the request up.
   *   If anything else keeps it from being sent, the attempt is `unsent`. `sendTestOfDocuments` does the same
   *   for a sync that is not stored yet.
   * - `testAlert`: resolves once the target has accepted the notice. Otherwise throws `unreachable` with the
   *   reason.
   * - `getHealth`: throws `usage` where there is no server.
   * - `listDestinations`, `getHealth`: the answer says what could not be found out in time.
   * - `putResource`, `removeResource`, `rollbackResource`, `applyResources`: a change is made as a whole or
   *   not at all. A run that begins afterwards uses the change. They throw `conflict` if somebody else has
   *   changed the resource since `version`, with the differences, or if the resource belongs to another
   *   project. They throw `config` with a detail for each mistake in a document. `removeResource` also throws
   *   `conflict` for a resource that others use, and for a sync with a run that has not ended.
   * - `validateDocuments`: mistakes are in the answer.
   * - `sampleRows`: rows are bounded in number, bytes and time.
   * - `setSecret`, `removeSecret`: no answer has a value. Of two changes of a name, the last one counts.
   *   Every run that begins afterwards uses the secret. They throw `config` if this process lacks the key of
   *   the vault, and for an invalid name, grant or value.
   */
  call<Name extends CallName>(name: Name, input: InputOf<Name>, calling: Calling): Promise<AnswerOf<Name>>
  /**
   * Publishes the project as it is, and follows the run until it ends or waits for approval. Throws `usage`
   * if the state of the run leaves nothing to do. With `queues: false`, `run` on a server throws `conflict`
   * if a run of the sync is queued or at work.
   */
  ask<Name extends AskName>(name: Name, input: InputOf<Name>, following: Following): Promise<FollowedRun>
  /**
   * Rejects with the error with which the run would fail. The error has its places in the documents of the
   * input. Rejects with `usage` for a trigger that the sync does not have.
   */
  preview<Name extends PreviewName>(name: Name, input: PreviewInput<Name>, calling: Calling): Promise<Preview>
  /**
   * Yields the state of a run, and then each later state, until the run has ended. If the run was refused
   * because another run was queued, it yields the states of the queued run.
   */
  follow(run: string, signal: AbortSignal): AsyncIterable<RunView>
}

/** A preview has no limit, since the caller takes as many requests as it needs. */
export type PreviewInput<Name extends PreviewName> = Omit<InputOf<Name>, 'limit'>
