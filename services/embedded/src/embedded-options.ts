/** What the embedded profile is opened with. */
import type { SourceSpec } from '@sluice/contracts/resources'
import type { Environment } from '@sluice/runtime/environment'
import type { Logger } from '@sluice/runtime/logger'
import type { Metrics } from '@sluice/runtime/metrics'

export interface EmbeddedOptions {
  /** Where the services count what they do; absent: nowhere. */
  readonly metrics?: Metrics
  /** The project folder, absolute. */
  readonly dir: string
  readonly env: Environment
  readonly logger: Logger
  readonly newRunId: () => string
  readonly signal: AbortSignal
  /** No line of the log shows this value from now on. */
  readonly mask: (value: string) => void
  /** Tells a person a sentence beside the result of the command. */
  readonly tell: (notice: string) => void
  /** Folders that sources on files may read if `SLUICE_SOURCE_ROOTS` names none. Default: any folder. */
  readonly sourceRoots?: readonly string[]
  /** The source that the first run will read, if that is known. */
  readonly expected?: SourceSpec | null
  /** True in a server: templates are rendered in a thread of their own, so that it answers meanwhile. */
  readonly serves?: boolean
}
