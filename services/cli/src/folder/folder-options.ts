/** What control of a folder needs. */
import type { Catalog } from '@sluice/control/catalog'
import type { SourceSpec } from '@sluice/contracts/resources'
import type { Pipeline } from '@sluice/control/pipeline'
import type { Control } from '@sluice/control/port'
import type { Place } from '@sluice/control/project-control'
import type { Project } from '@sluice/project/project'
import type { Logger } from '@sluice/runtime/logger'

export interface FolderOptions {
  /** The resources of the project, as they are for this command. */
  readonly catalog: Catalog
  readonly dataDir: string
  readonly logger: Logger
  /** Once it aborts, this process cancels all runs that it works on. */
  readonly signal: AbortSignal
  readonly tell: (notice: string) => void
  readonly hasHistory: () => boolean
  /** Loads the folder as it is now, for another command. */
  readonly loadProject: () => Promise<Project>
  /**
   * Takes the lock. Rejects with `conflict` if another process has it. `expected` is the source that the
   * first run will read, if that is known.
   */
  readonly openPipeline: (expected: SourceSpec | null) => Promise<Pipeline>
  /** Rejects with `conflict` if another process works in the folder. */
  readonly openToRead: () => Promise<Pipeline>
  readonly askHolder: (socket: string) => Promise<Control>
  readonly placeOf: (of: {
    readonly isAtWork: boolean
  }) => Pick<Place, 'assertSecrets' | 'by' | 'onPublished' | 'openNextRun' | 'openTelling' | 'samples'>
  /** Set: the project is another one than another process knows, so that none of those is asked. */
  readonly firstRun?: object | undefined
  readonly patienceMs?: number
}
