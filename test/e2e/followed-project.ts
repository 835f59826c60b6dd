/** A table of a PostgreSQL of its own, which `sluice up` streams to an API. */
import { once } from 'node:events'
import pg from 'pg'
import type { RunView } from '@sluice/contracts/api'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { startServices, type LocalService } from '../../deploy/local/services.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'
import {
  API,
  capturedTable,
  type CapturedTable,
  COLUMNS,
  fillTable,
  ReceivedRows,
  streamedSync,
  untilEqual,
} from './streamed-tables.ts'

export const STREAM = 'things'
const SLOT = `sluice_${STREAM}`

const PROJECT = (fields?: string): string =>
  [
    `
kind: source
name: shop
type: postgres
url: \${POSTGRES_URL}
allowPrivateNetwork: true
follow: {}
`,
    `
kind: model
name: ${STREAM}
source: shop
table: ${STREAM}
primaryKey: id
`,
    API,
    streamedSync(STREAM, fields),
  ].join('---')

export class FollowedProject implements AsyncDisposable {
  readonly slot = SLOT
  readonly received = new ReceivedRows()
  readonly postgres: LocalService
  readonly api: ScriptedApi
  readonly project: ProjectFolder
  readonly table: CapturedTable
  readonly #resources: AsyncDisposableStack
  #client: pg.Client | null = null
  #server: ReturnType<ProjectFolder['start']> | null = null
  #closed: Promise<unknown> = Promise.resolve()
  #printed = ''

  private constructor(parts: {
    readonly postgres: LocalService
    readonly api: ScriptedApi
    readonly project: ProjectFolder
    readonly resources: AsyncDisposableStack
  }) {
    this.postgres = parts.postgres
    this.api = parts.api
    this.project = parts.project
    this.#resources = parts.resources
    this.table = capturedTable(STREAM, sql => this.query(sql))
  }

  /** Makes and fills the table. `fields` are those of the sync. */
  static async open(fields?: string): Promise<FollowedProject> {
    await using resources = new AsyncDisposableStack()
    const services = resources.use(await startServices(['postgres']))
    const postgres = services.get('postgres')
    const api = resources.use(await startScriptedApi())
    const project = resources.use(
      await projectFolder({
        files: { 'project.yaml': PROJECT(fields) },
        env: { API_URL: api.url, POSTGRES_URL: postgres.address, SLUICE_PORT: '0' },
      }),
    )
    const opened = new FollowedProject({ postgres, api, project, resources: resources.move() })
    await opened.query(`CREATE TABLE ${STREAM} (${COLUMNS} text)`)
    await fillTable(opened.table)
    return opened
  }

  /** Connects again after the server has ended the connection. */
  async query(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    if (this.#client === null) {
      const client = new pg.Client({ connectionString: this.postgres.address })
      client.on('error', () => (this.#client = null))
      await client.connect()
      this.#client = client
    }
    return (await this.#client.query<Record<string, unknown>>(sql)).rows
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

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#server?.kill(signal)
    await this.#closed
  }

  /** Resolves once the API has the rows of the table. */
  async equal(what: string): Promise<void> {
    await untilEqual(this, [{ table: this.table, sync: STREAM }], what).catch(async (error: unknown) => {
      const runs = JSON.stringify(await this.project.runs().catch(() => []))
      throw new Error(`${String(error)}\n${runs.slice(0, 5_000)}\n${this.#printed.slice(-3_000)}`)
    })
  }

  /** Each run of the stream, the newest first. */
  async runs(): Promise<readonly RunView[]> {
    const { stdout } = await this.project.sluice('runs', '--each', '--limit', '1000', '--json')
    const { runs } = JSON.parse(stdout) as { readonly runs: readonly RunView[] }
    return runs
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGTERM')
    await this.#client?.end()
    await this.#resources[Symbol.asyncDispose]()
  }
}
