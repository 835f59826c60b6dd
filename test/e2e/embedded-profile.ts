/**
 * A profile as tests see it, and the embedded one. A test that needs no other imports this file and not
 * `profiles.ts`, so that no services are started for it.
 */
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

export interface ProfileOptions {
  /** A folder below the repository's root to copy. */
  readonly from?: string
  readonly files?: { readonly [file: string]: string }
  /** Environment variables for the command and the services, wherever they run. */
  readonly env: { readonly [name: string]: string }
  /**
   * True: commands run in the process of the test, where nothing but their output matters. Default: false.
   */
  readonly here?: boolean
}

export interface Opened extends AsyncDisposable {
  readonly project: ProjectFolder
  /** All records of a sync in the profile's log, as text in which a test can search for a secret. */
  stored(sync: string): Promise<string>
  /**
   * Resolves once every owner of a partition has handed over after a run that had changes. From then on no
   * service writes to the topics of the sync. A run ends a moment before.
   */
  handedOver(sync: string): Promise<void>
  /** Starts the API, which lives until the profile is disposed, and gives its URL. */
  serve(): Promise<string>
  /**
   * The text to print when the test fails, at most so many lines of each process. Empty if the command's own
   * output is all there is.
   */
  logs(lines?: number): string
}

export interface Profile {
  readonly name: 'embedded' | 'distributed'
  /** A profile of the test's own: no other test sees its topics. */
  open(options: ProfileOptions): Promise<Opened>
}

export const embeddedProfile: Profile = { name: 'embedded', open: openEmbedded }

async function openEmbedded(options: ProfileOptions): Promise<Opened> {
  const opening = new AsyncDisposableStack()
  const project = opening.use(await projectFolder(options))
  return {
    project,
    // The command has ended, and with it the log's journal is in the file.
    stored: () => project.read('.sluice/log.db'),
    handedOver: () => Promise.resolve(),
    serve: async () => {
      const server = opening.use(await served(project))
      return server.url
    },
    logs: () => '',
    [Symbol.asyncDispose]: () => opening.disposeAsync(),
  }
}

async function served(project: ProjectFolder): Promise<{ readonly url: string } & AsyncDisposable> {
  const server = project.start('up', '--json')
  const ended = once(server, 'exit')
  if (server.stdout === null) throw new Error('the server has no output')
  const [line]: unknown[] = await once(createInterface({ input: server.stdout }), 'line')
  const { url }: { url: string } = JSON.parse(String(line))
  return {
    url,
    async [Symbol.asyncDispose]() {
      server.kill('SIGTERM')
      await ended
    },
  }
}
