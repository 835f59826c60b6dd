/**
 * What people ask of Sluice, and what they see. The caller does not know whether the answer comes from a
 * folder, from Kafka or from a server.
 */
import type {
  AttemptOutcome,
  AttemptsPage,
  AttemptView,
  FailedPage,
  PreviewView,
  ReplayView,
  RequestView,
  ResourcesPage,
  RunsPage,
  RunView,
  SecretRemovedView,
  SecretSetView,
  SecretsResealedView,
  SecretsView,
  ResourceView,
  SyncsPage,
  SyncView,
} from '@sluice/contracts/api'
import type { AuditPage, DestinationsPage, HealthView } from '@sluice/contracts/api/operating'
import type { RowLife, RunFigures } from '@sluice/contracts/views/history-views'
import type {
  ChangesView,
  DocumentsView,
  ResourceHistoryView,
  ResourceRemovedView,
  ResourceSetView,
  RowsView,
} from '@sluice/contracts/api/resources'
import type { AlertsView, AlertTestedView } from '@sluice/contracts/specs/alert-views'
import type { Command } from '@sluice/contracts/records'
import type { ResourceKind } from '@sluice/contracts/resources'
import type { Op, ReplayScope, ShownCertificate } from '@sluice/contracts/state'

/** `after` is the `next` of the page before. */
export interface Paging {
  readonly limit: number
  readonly after: string | undefined
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
  /** Milliseconds since 1970: from the first, inclusive, to the second, exclusive. */
  readonly since?: number | undefined
  readonly until?: number | undefined
  /** A text that the error has, whatever its case. */
  readonly search?: string | undefined
  /** True to look for that text in bodies, too, as far as they are held. */
  readonly searchesBodies?: boolean | undefined
  /** False to leave out headers and bodies. Default: with them. */
  readonly details?: boolean | undefined
}

export interface RunsQuery extends Paging {
  readonly sync: string | undefined
  readonly status?: RunView['status'] | undefined
  readonly cause?: RunView['cause'] | undefined
  /** When it was asked for, in ms since 1970: from the first, inclusive, to the second, exclusive. */
  readonly since?: number | undefined
  readonly until?: number | undefined
}

export interface FailedQuery extends Paging {
  readonly sync: string
  /** Only rows whose last try was in this run. */
  readonly run: string | undefined
  readonly key: string | undefined
  readonly status: number | undefined
}

export interface AuditQuery extends Paging {
  /** Only what this person did. */
  readonly by?: string | undefined
  /** Only what was done to resources of this name. */
  readonly name?: string | undefined
}

/** How many last runs a sync is shown with. */
export interface RecentRuns {
  readonly runs?: number | undefined
}

export type SyncsQuery = Paging & RecentRuns

/** What history knows of a sync beside its resource. */
export interface SyncPast {
  /** The last run, and all that are not over, the newest first. Without runs that were refused. */
  readonly runs: readonly RunView[]
  /** The figures of the last runs that began, as many as were asked for, the newest first. */
  readonly figures: NonNullable<SyncView['runs']>
  readonly rows: SyncView['rows']
  /** Those that its last run with encrypted connections has shown. */
  readonly certificates: readonly ShownCertificate[]
  /**
   * Until when its schedule pauses, since processes died at work on it, in ms since 1970; null if it does
   * not.
   */
  readonly pausedUntil: number | null
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
   * The state of a run, and each state that comes after it. It is done once the run has ended. Of a run that
   * was refused because another one was queued, it gives the states of that one.
   */
  follow(id: string, signal: AbortSignal): AsyncIterable<RunView>
  /**
   * In the order of time, the newest first. A page may have fewer than its limit, or none, and still a
   * `next`: a search that takes long goes on there.
   */
  attempts(query: AttemptsQuery, signal: AbortSignal): Promise<AttemptsPage>
  /** A request by its id, with all attempts at it. Throws `not-found` once nothing of it is held. */
  request(id: string, signal: AbortSignal): Promise<RequestView>
  /**
   * All that happened to the row of this key, and what is believed of it now. Throws `not-found` if nothing
   * is known of it.
   */
  row(of: { readonly sync: string; readonly key: string }, signal: AbortSignal): Promise<RowLife>
  /** What the attempts of a run came to over time, in at most `most` buckets (2 or more). */
  figures(run: string, most: number, signal: AbortSignal): Promise<RunFigures>
  /** By key. */
  failed(query: FailedQuery, signal: AbortSignal): Promise<FailedPage>
  /** What became of a sync, with the figures of at most `most` runs. */
  past(sync: string, most: number, signal: AbortSignal): Promise<SyncPast>
  /** What a replay would send. */
  replayable(query: ReplayQuery, signal: AbortSignal): Promise<ReplayView>
}

export interface RunRequest {
  readonly sync: string
  /** Why the sync runs; `manual` by default. */
  readonly cause?: Command['cause']
  /** Limits the run to some of the rows. */
  readonly scope?: Command['scope']
  /**
   * False: a server throws `conflict` if a run of the sync is queued or at work. Default: the run waits for
   * it.
   */
  readonly queues?: boolean
}

export interface Following {
  /** Called with each new state of the run. */
  readonly onProgress: (view: RunView) => void
  /** Once it aborts, the run is cancelled. The caller still waits for the run's end. */
  readonly cancel: AbortSignal
  /** Who asks, as the command's record names them. Absent: the user of this process. */
  readonly by?: string
}

/** A run that has ended, or waits for approval. */
export interface FollowedRun {
  readonly view: RunView
}

export type PreviewedRequest = PreviewView['requests'][number]
export type RejectedRows = NonNullable<PreviewView['rejected']>[number]

/**
 * A request, or rows that cannot become a request. `sample` is true if no row of its trigger waits: a row of
 * the model stands for one.
 */
export type Previewed =
  ({ readonly kind: 'request' } & PreviewedRequest) | ({ readonly kind: 'rejected' } & RejectedRows)

/** Chooses some of the rows. The requests are then those of a run in which no other row has changed. */
export interface Narrowing {
  readonly op: Op | undefined
  readonly key: string | undefined
  /** At most this many rows. */
  readonly rows: number | undefined
}

/** `op` of which no row waits is shown on a sample row. */
export interface PreviewQuery extends Narrowing {
  readonly sync: string
}

/** The request of one row, with the row as it is now, whether it has changed or not. */
export interface TestQuery {
  readonly sync: string
  readonly op: Op
  readonly key: string
}

/** The preview. It changes nothing, and disposing it removes all that it made. */
export interface Preview extends AsyncDisposable {
  readonly counts: PreviewView['counts']
  readonly rowsRead: number
  readonly rowsInvalid: number
  /** At most ten. */
  readonly invalidRows: NonNullable<PreviewView['invalidRows']>
  /** What else people should know about that run. */
  readonly notices: readonly string[]
  /** May be iterated once. It renders only as many requests as the caller takes. */
  readonly requests: AsyncIterable<Previewed>
}

/** A secret that a person sets. */
export interface SecretToSet {
  /** `crm-key` and `CRM_KEY` are one name. */
  readonly name: string
  readonly value: string
  /** Where it may go; null: nobody has said. Absent: it keeps the grants that it has. */
  readonly grants?: string | null
  /** Who sets it, where that is not the user of this process. */
  readonly by?: string
}

/** A secret, or the login of a destination. */
export interface SecretNamed {
  readonly kind: 'secret' | 'login'
  readonly name: string
  /** Who removes it, where that is not the user of this process. */
  readonly by?: string
}

/**
 * The vault, as people change it. No method gives a value. All methods may be called concurrently, and the
 * last of two changes of a name counts. Each throws `config` if the vault has no key where it is.
 */
export interface SecretKeeping {
  /** All of them, by kind and name. */
  secrets(signal: AbortSignal): Promise<SecretsView>
  /**
   * Resolves once the secret counts for every run that begins from then on. Throws `config` for a name or
   * grants that are none, and for a value that is too long.
   */
  setSecret(secret: SecretToSet, signal: AbortSignal): Promise<SecretSetView>
  /** Throws `not-found` if there is none. */
  removeSecret(secret: SecretNamed, signal: AbortSignal): Promise<SecretRemovedView>
  /** Encrypts with the first key what another one encrypted. */
  resealSecrets(signal: AbortSignal): Promise<SecretsResealedView>
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

/** Under which conditions a resource is changed. */
export interface ChangeTerms {
  /** Whom the history names. */
  readonly by: string
  /** The version that the change is based on; 0: there must be none. Undefined: whatever is there. */
  readonly version?: number | undefined
  /** True: also if it comes from the folder of another project. */
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
  /** The folder of a project that is called like its folder. */
  readonly folder?: string | null | undefined
  readonly resources: readonly WrittenResource[]
  /** True: what belongs to the project and is not among these is deleted. */
  readonly prune: boolean
  readonly takeOver: boolean
}

export interface SampleQuery extends PreviewQuery {
  /** They take the place of stored ones of the same kind and name. */
  readonly documents: readonly WrittenDocument[]
  /** True: the first rows of the model, whatever was delivered. */
  readonly sample: boolean
}

export interface RowsQuery {
  readonly source: string
  readonly sql: string | undefined
  readonly table: string | undefined
  readonly limit: number
  readonly documents: readonly WrittenDocument[]
}

/**
 * The resources as people change them. All methods may be called concurrently. A change is made as a whole or
 * not at all. It throws `conflict` if somebody else has changed the resource since `version`, with what
 * differs, or if the resource is another project's. It throws `config` with a detail for each mistake in a
 * document, and `not-found` for a resource that does not exist. A run that begins afterwards uses the change.
 */
export interface ResourceKeeping {
  resource(of: ResourceNamed, signal: AbortSignal): Promise<ResourceView>
  /** Writes a resource. The document may leave out its kind and name. */
  putResource(
    of: ResourceNamed & { readonly document: WrittenDocument },
    terms: ChangeTerms,
    signal: AbortSignal,
  ): Promise<ResourceSetView>
  /**
   * Throws `conflict` for a resource that others use, with their names, and for a sync with a run that has
   * not ended. A sync goes with all of its incarnation.
   */
  deleteResource(of: ResourceNamed, terms: ChangeTerms, signal: AbortSignal): Promise<ResourceRemovedView>
  resourceHistory(of: ResourceNamed, signal: AbortSignal): Promise<ResourceHistoryView>
  /** Makes a resource what it was in a version; by default in the one before the present one. */
  rollbackResource(
    of: ResourceNamed & { readonly to: number | undefined },
    terms: ChangeTerms,
    signal: AbortSignal,
  ): Promise<ResourceSetView>
  /** What `apply` would change. */
  diff(of: ProjectResources, signal: AbortSignal): Promise<ChangesView>
  apply(of: ProjectResources, by: string, signal: AbortSignal): Promise<ChangesView>
  /** Checks documents together with what is stored. Mistakes are in the answer. */
  checkDocuments(documents: readonly WrittenDocument[], signal: AbortSignal): Promise<DocumentsView>
  /** A preview that takes documents in place of what is stored. Its errors have the places in these. */
  previewDocuments(query: SampleQuery, signal: AbortSignal): Promise<Preview>
  /** Some rows of a query. They are bounded in number, bytes and time. */
  rows(query: RowsQuery, signal: AbortSignal): Promise<RowsView>
}

/** The answer of a person to a held run. */
export interface Approval {
  readonly run: string
  /**
   * A run whose destination changed wants one of these: `same` goes on with the delivered state, `new`
   * forgets it.
   */
  readonly destination?: 'same' | 'new' | undefined
}

/**
 * Each method that asks for something publishes the project as it is. It follows the run until it ends or
 * waits for approval, and resolves with it. It throws `not-found` for a sync or run that does not exist, and
 * `usage` if there is nothing to do in the run's state.
 */
export interface Control extends Omit<RunHistory, 'past'>, SecretKeeping, AsyncDisposable {
  askForRun(request: RunRequest, following: Following): Promise<FollowedRun>
  /** Forgets what was delivered, so that the next run is the first again. */
  reset(sync: string, following: Following): Promise<FollowedRun>
  /**
   * Approves a run that waits for it. The run goes on, and may wait for approval again. With a new
   * destination, the sync is reset, and a resync sends every row. Rejects with `usage` if
   * `destination` does not answer to what the run is held for.
   */
  approve(approval: Approval, following: Following): Promise<FollowedRun>
  /** Ends a run in good order. */
  cancel(run: string, following: Following): Promise<FollowedRun>
  /**
   * What the next run of a sync would send. Rejects with the error with which the run would fail, and with
   * `usage` for a trigger that the sync does not have.
   */
  preview(query: PreviewQuery, signal: AbortSignal): Promise<Preview>
  /** The syncs by name, and how each is. */
  syncs(query: SyncsQuery, signal: AbortSignal): Promise<SyncsPage>
  /** One sync. Throws `not-found` if it does not exist. */
  sync(name: string, query: RecentRuns, signal: AbortSignal): Promise<SyncView>
  /**
   * Sends one request, as the run of the sync would send it, and records it as an attempt with the mark
   * `test`. It changes no state: no run counts it, and no row is tried again for it. Rejects with `not-found`
   * for a row that the model does not have, with `usage` for one that cannot become a request, and with
   * `unreachable` if no delivery takes it up. Whatever else keeps it from being sent makes it `unsent`.
   */
  sendTest(query: TestQuery, signal: AbortSignal): Promise<AttemptView>
  /** The alerts by name, and what is known of what they watch. */
  alerts(signal: AbortSignal): Promise<AlertsView>
  /**
   * Tells a test notice to whom the alert names. Resolves once it was taken. Throws `not-found` for an alert
   * that does not exist, and `unreachable` with the reason if it was not taken.
   */
  testAlert(name: string, signal: AbortSignal): Promise<AlertTestedView>
  /** What people changed and asked for, the newest first. */
  audit(query: AuditQuery, signal: AbortSignal): Promise<AuditPage>
  /**
   * How the server is, and what it works with. What cannot be found out is told in it. Throws `usage` where
   * there is no server.
   */
  health(signal: AbortSignal): Promise<HealthView>
  /**
   * The destinations by name, and how much of their limits is in use. What cannot be found out soon is null
   * in it.
   */
  destinations(paging: Paging, signal: AbortSignal): Promise<DestinationsPage>
  /** By kind and name. */
  resources(paging: Paging, signal: AbortSignal): Promise<ResourcesPage>
  /** The resources as they are stored. */
  readonly keeping: ResourceKeeping
}
