/**
 * What the commands that look back ask of whoever holds the history: the embedded pipeline in the project's
 * `.sluice`, later a server.
 */
import type { AttemptsPage, FailedPage, RunsPage, RunView } from '@sluice/contracts/api'

/** `after` is the `next` of the page before. */
export interface Paging {
  readonly limit: number
  readonly after: string | undefined
}

export interface AttemptsQuery extends Paging {
  readonly run: string | undefined
  readonly sync: string | undefined
  /** A primary key as text; a composite one as a JSON array. */
  readonly key: string | undefined
  readonly status: number | undefined
  /** Milliseconds since 1970. */
  readonly since: number | undefined
}

export interface FailedQuery extends Paging {
  readonly sync: string
  /** Only rows whose last try was in this run. */
  readonly run: string | undefined
  readonly key: string | undefined
  readonly status: number | undefined
}

/**
 * All methods may be called concurrently, and throw `not-found` for a sync or run that does not exist. An
 * abort throws the signal's reason.
 */
export interface RunHistory extends AsyncDisposable {
  /** The newest first. */
  runs(query: Paging & { readonly sync: string | undefined }, signal: AbortSignal): Promise<RunsPage>
  run(id: string, signal: AbortSignal): Promise<RunView>
  /** In the order of time, the newest first. */
  attempts(query: AttemptsQuery, signal: AbortSignal): Promise<AttemptsPage>
  /** By key. */
  failed(query: FailedQuery, signal: AbortSignal): Promise<FailedPage>
}
