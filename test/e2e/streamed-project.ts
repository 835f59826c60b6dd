/** A project in which `sluice up` streams one table or topic to an API, in one process. */
import { once } from 'node:events'
import type { RunView } from '@sluice/contracts/api'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { projectFolder, type ProjectFolder } from './project-folder.ts'
import { API, ReceivedRows, type StreamedTable, streamedSync, untilEqual } from './streamed-tables.ts'

export const STREAM = 'things'

export interface StreamedProjectOptions {
  /** The documents of the source and of the model `things`, whose key is `id`. */
  readonly yaml: string
  /** The environment that they read. */
  readonly env: { readonly [name: string]: string }
  /** Fields of the sync. */
  readonly fields?: string | undefined
}

export class StreamedProject implements AsyncDisposable {
  readonly received = new ReceivedRows()
  readonly api: ScriptedApi
  readonly project: ProjectFolder
  readonly #resources: AsyncDisposableStack
  #server: ReturnType<ProjectFolder['start']> | null = null
  #closed: Promise<unknown> = Promise.resolve()
  #printed = ''

  private constructor(api: ScriptedApi, project: ProjectFolder, resources: AsyncDisposableStack) {
    this.api = api
    this.project = project
    this.#resources = resources
  }

  static async open({ yaml, env, fields }: StreamedProjectOptions): Promise<StreamedProject> {
    await using resources = new AsyncDisposableStack()
    const api = resources.use(await startScriptedApi())
    const project = resources.use(
      await projectFolder({
        files: { 'project.yaml': [yaml, API, streamedSync(STREAM, fields)].join('---') },
        env: { API_URL: api.url, SLUICE_PORT: '0', ...env },
      }),
    )
    return new StreamedProject(api, project, resources.move())
  }

  up(): void {
    const server = this.project.start('up', '--json')
    const take = (text: Buffer): void =>
      void (this.#printed = `${this.#printed}${text.toString()}`.slice(-20_000))
    server.stdout?.on('data', take)
    server.stderr?.on('data', take)
    this.#server = server
    this.#closed = once(server, 'close')
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#server?.kill(signal)
  }

  async end(signal: 'SIGINT' | 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#server?.kill(signal)
    await this.#closed
  }

  /** Resolves once the API has the rows of the table. */
  async equal(table: StreamedTable, what: string): Promise<void> {
    await untilEqual(this, [{ table, sync: STREAM }], what).catch(async (error: unknown) => {
      const runs = JSON.stringify(await this.runs().catch(() => []))
      throw new Error(`${String(error)}\n${runs.slice(0, 5_000)}\n${this.#printed.slice(-3_000)}`)
    })
  }

  /** Each run of the stream, the newest first. */
  async runs(): Promise<readonly RunView[]> {
    const { stdout } = await this.project.sluice('runs', '--each', '--limit', '1000', '--json')
    const { runs } = JSON.parse(stdout) as { readonly runs: readonly RunView[] }
    return runs
  }

  /** The notices of all runs. */
  async noticed(): Promise<readonly string[]> {
    return (await this.runs()).flatMap(({ notices = [] }) => notices)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGTERM')
    await this.#resources[Symbol.asyncDispose]()
  }
}
