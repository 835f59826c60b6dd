/** What control needs of a pipeline, be it the embedded one in a project's `.sluice` or one on Kafka. */
import type { Ends } from '@sluice/flow/ends'
import type { MessageLog } from '@sluice/message-log/port'
import type { Logger } from '@sluice/runtime/logger'
import type { RecordIo } from '@sluice/topics/record-io'
import type { RunsView } from '@sluice/runs/runs-view'
import type { Definitions } from '@sluice/resources/stored-documents'

export interface Pipeline extends AsyncDisposable {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly prefix: string
  readonly runs: RunsView
  readonly definitions: Definitions
  readonly newRunId: () => string
  readonly logger: Logger
  /** True where other processes run the services; `start` then does nothing but wait. */
  readonly servicesElsewhere: boolean
  /**
   * Runs the services for these syncs until `drain` aborts, then lets them finish what is under way; `abort`
   * ends them at once. Rejects if one fails for good.
   */
  readonly start: (only: ReadonlySet<string>, ends: Ends) => Promise<void>
}
