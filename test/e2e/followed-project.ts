/** A table of a PostgreSQL of its own, which `sluice up` streams to an API. */
import pg from 'pg'
import { startServices, type LocalService } from '../../deploy/local/services.ts'
import { STREAM, StreamedProject } from './streamed-project.ts'
import { capturedTable, type CapturedTable, COLUMNS, fillTable } from './streamed-tables.ts'

const YAML = `
kind: source
name: shop
type: postgres
url: \${POSTGRES_URL}
allowPrivateNetwork: true
follow: {}
---
kind: model
name: ${STREAM}
source: shop
table: ${STREAM}
primaryKey: id
`

export class FollowedProject implements AsyncDisposable {
  readonly slot = `sluice_${STREAM}`
  readonly postgres: LocalService
  readonly stream: StreamedProject
  readonly table: CapturedTable
  readonly #resources: AsyncDisposableStack
  #client: pg.Client | null = null

  private constructor(postgres: LocalService, stream: StreamedProject, resources: AsyncDisposableStack) {
    this.postgres = postgres
    this.stream = stream
    this.#resources = resources
    this.table = capturedTable(STREAM, sql => this.query(sql))
  }

  /** Makes and fills the table. `fields` are those of the sync. */
  static async open(fields?: string): Promise<FollowedProject> {
    await using resources = new AsyncDisposableStack()
    const services = resources.use(await startServices(['postgres']))
    const postgres = services.get('postgres')
    const env = { POSTGRES_URL: postgres.address }
    const stream = resources.use(await StreamedProject.open({ yaml: YAML, env, fields }))
    const opened = new FollowedProject(postgres, stream, resources.move())
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client?.end()
    await this.#resources[Symbol.asyncDispose]()
  }
}
