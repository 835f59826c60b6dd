/** The pipeline in which tests of syncs run. */
import type { RunView } from '@sluice/contracts/api'
import type { Op } from '@sluice/contracts/state'
import type { SyncTestCase } from './sync-test-schema.ts'

/** A request of a run, as the API of the test received it. */
export interface SentRequest {
  readonly trigger: Op
  readonly method: string
  /** Path and query behind the base URL of the destination. */
  readonly path: string
  /** By names in lower case. */
  readonly headers: { readonly [name: string]: string }
  readonly body: string | null
}

/** The outcome of a case. */
export interface CaseRun {
  readonly run: RunView
  readonly requests: readonly SentRequest[]
  /** The reasons why rows could not become requests. */
  readonly unsent: readonly string[]
}

export interface SyncTesting extends AsyncDisposable {
  /**
   * Delivers the rows of `before`, and then runs the sync with the rows of the case. Rejects with `config` if
   * that cannot be done. One call at a time.
   */
  run(sync: string, test: Omit<SyncTestCase, 'name'>): Promise<CaseRun>
}
