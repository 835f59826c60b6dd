/** Takes the folder's lock for this process, and opens a socket through which other commands ask it. */
import { AskedRuns } from '@sluice/console/asked-runs'
import type { SourceSpec } from '@sluice/contracts/resources'
import { listenLazily } from '@sluice/console/socket/listen-lazily'
import { unloadedCatalog, type Catalog } from '@sluice/control/catalog'
import type { Pipeline } from '@sluice/control/pipeline'
import type { Control } from '@sluice/control/port'
import { type FolderHost, ProjectControl } from '@sluice/control/project-control'
import type { Project } from '@sluice/project/project'
import type { Logger } from '@sluice/runtime/logger'
import { SharedServices } from './shared-services.ts'

const NOTICE_AFTER_MS = 1_000
const WAITS_FOR_OTHERS =
  'other commands have asked this process for runs: it waits for them, and Ctrl-C cancels them'

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
  readonly hostOf: (options: { readonly isAtWork: boolean }) => FolderHost
  /** If set, first runs differ from what another process knows, so this command asks no other process. */
  readonly firstRun?: object | undefined
  readonly patienceMs?: number
}

/** A folder whose lock this process has. */
export interface Held extends AsyncDisposable {
  readonly control: Control
}

/**
 * Takes the lock and listens for other commands. Disposing it first waits for the runs that these asked for.
 */
export async function holdFolder(options: FolderOptions, expected: SourceSpec | null): Promise<Held> {
  const { catalog, dataDir, logger, signal, tell, loadProject, openPipeline, hostOf } = options
  await using opening = new AsyncDisposableStack()
  const pipeline = opening.use(await openPipeline(expected))
  const services = new SharedServices(pipeline.start)
  const shared: Pipeline = {
    ...pipeline,
    servicesElsewhere: true,
    start: services.start,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  const host = {
    ...hostOf({ isAtWork: true }),
    hasHistory: true,
    runsSchedules: false,
    open: () => Promise.resolve(shared),
  }
  const controlOf = (resources: Catalog): ProjectControl => new ProjectControl(resources, host)
  const asked = new AskedRuns({ logger, cancel: signal })
  const load = async () => {
    const { createApi } = await import('@sluice/console/api/create-api')
    // A project with mistakes does not keep others from changing the vault.
    const openControl = (): Promise<Control> => Promise.resolve(controlOf(unloadedCatalog(loadProject)))
    return await createApi({ access: { kind: 'socket' }, openControl, asked, logger })
  }
  opening.use(await listenLazily({ dataDir, load, logger }))
  const opened = opening.move()
  return {
    control: controlOf(catalog),
    async [Symbol.asyncDispose]() {
      const waiting = setTimeout(() => tell(WAITS_FOR_OTHERS), NOTICE_AFTER_MS)
      await asked.closeWhenIdle({ signal: new AbortController().signal })
      clearTimeout(waiting)
      await opened.disposeAsync()
    },
  }
}
