/**
 * A stream from a followed table of PostgreSQL to an API, in one process that is killed with SIGKILL at
 * random moments: what has arrived equals the table, and no row arrives before an older one.
 */
import { randomInt, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { describe, expect, inject, it } from 'vitest'
import { randomFrom } from '@sluice/testkit/random'
import { startScriptedApi, type RecordedRequest } from '@sluice/testkit/scripted-api'
import { projectFolder } from '../e2e/project-folder.ts'

const postgresUrl = inject('postgresUrl')
const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? randomInt(2 ** 31))
const KILLS = Number(process.env['SLUICE_TEST_KILLS'] ?? 4)
const KEYS = 40

function projectYaml(table: string): string {
  return `
kind: source
name: crm
type: postgres
url: \${POSTGRES_URL}
allowPrivateNetwork: true
follow: {}
---
kind: model
name: people
source: crm
table: ${table}
primaryKey: id
---
kind: destination
name: api
baseUrl: \${API_URL}
allowPrivateNetwork: true
---
kind: sync
name: ${table}
model: people
destination: api
schedule: continuous
timeout: 2s
removalGuard: false
triggers:
  added: &put
    method: PUT
    path: /rows/{{ row.id }}
    body:
      json: |
        { "id": {{ row.id | json }}, "v": "{{ row.v }}" }
  changed: *put
  removed:
    method: DELETE
    path: /rows/{{ row.id }}
`
}

/** The rows that the requests have left, by id. Throws if a row came before an older one. */
function received(requests: readonly RecordedRequest[]): Map<string, string> {
  const rows = new Map<string, string>()
  const newest = new Map<string, number>()
  for (const { method, url, body } of requests) {
    const id = url.split('/').at(-1) ?? ''
    if (method === 'DELETE') rows.delete(id)
    else {
      const { v } = JSON.parse(body) as { readonly v: string }
      expect(Number(v), `row ${id} went back`).toBeGreaterThanOrEqual(newest.get(id) ?? 0)
      newest.set(id, Number(v))
      rows.set(id, v)
    }
  }
  return rows
}

describe.skipIf(postgresUrl === null)(`a stream that is killed (SLUICE_TEST_SEED=${SEED})`, () => {
  it('has delivered what the table has, in the order of each row', async () => {
    const random = randomFrom(SEED)
    const table = `killed${randomUUID().replaceAll('-', '').slice(0, 12)}`
    const client = new pg.Client({ connectionString: postgresUrl ?? '' })
    await client.connect()
    await client.query(`CREATE TABLE ${table} (id text PRIMARY KEY, v bigint NOT NULL)`)
    let version = 0
    const edit = async (): Promise<void> => {
      const id = `k${random.below(KEYS)}`
      version += 1
      if (random.chance(0.15)) await client.query(`DELETE FROM ${table} WHERE id = $1`, [id])
      else
        await client.query(
          `INSERT INTO ${table} VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET v = excluded.v`,
          [id, version],
        )
    }
    await using api = await startScriptedApi()
    await using project = await projectFolder({
      files: { 'project.yaml': projectYaml(table) },
      env: { API_URL: api.url, POSTGRES_URL: postgresUrl ?? '', SLUICE_PORT: '0' },
    })
    const ids = async (): Promise<Map<string, string>> => {
      const { rows } = await client.query<{ id: string; v: string }>(`SELECT id, v FROM ${table}`)
      return new Map(rows.map(({ id, v }) => [id, v]))
    }
    const same = async (): Promise<boolean> => {
      const [has, wants] = [received(api.requests), await ids()]
      return has.size === wants.size && [...wants].every(([id, v]) => has.get(id) === v)
    }
    try {
      for (let edits = 0; edits < 60; edits += 1) await edit()
      for (let kill = 0; kill < KILLS; kill += 1) {
        const server = project.start('up', '--json')
        const closed = once(server, 'close')
        const until = performance.now() + 2_000 + random.below(6_000)
        while (performance.now() < until) {
          await edit()
          await pause(random.below(20))
        }
        server.kill('SIGKILL')
        await closed
      }
      const server = project.start('up', '--json')
      const closed = once(server, 'close')
      let printed = ''
      server.stdout?.on('data', (text: Buffer) => (printed += text.toString()))
      server.stderr?.on('data', (text: Buffer) => (printed += text.toString()))
      const until = performance.now() + 60_000
      while (!(await same()) && performance.now() < until) await pause(100)
      const runs = await project.runs().catch(() => [])
      server.kill('SIGTERM')
      await closed
      const told = `${printed.slice(-3_000)}\n${JSON.stringify(runs.slice(0, 5))}`
      expect(Object.fromEntries(received(api.requests)), told).toEqual(Object.fromEntries(await ids()))
      expect(api.requests.length).toBeGreaterThan(20)
    } finally {
      await client.query(
        `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active`,
        [`sluice_${table}`],
      )
      await client.query(`DROP PUBLICATION IF EXISTS sluice_${table}`)
      await client.query(`DROP TABLE ${table}`)
      await client.end()
    }
  }, 180_000)
})
