/**
 * A database that hangs in the middle of a result. The source's time-out ends the run, or the sync's
 * maxDuration if the network swallows every answer. Sluice never takes rows that did not come as removed.
 */
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { TcpProxy } from '@sluice/testkit/tcp-proxy'
import { SYNC } from '../e2e/people-project.ts'
import { finished, projectFolder, type ProjectFolder } from '../e2e/project-folder.ts'

const PEOPLE = 2000
/** Enough rows that some of them arrive before the query waits. */
const BEFORE_WAITING = 60_000
const IDS = `'[{% for row in rows %}{{ row.id }},{% endfor %}]'`

function project(of: { readonly sql: string; readonly source?: string; readonly sync?: string }): string {
  return `
kind: source
name: db
type: \${TYPE}
url: \${DATABASE}
password: \${secret:db-password}
${of.source ?? ''}
---
kind: model
name: people
source: db
sql: ${of.sql}
primaryKey: id
---
kind: destination
name: api
baseUrl: \${API_URL}
allowPrivateNetwork: true
---
kind: sync
name: ${SYNC}
model: people
destination: api
removalGuard: false
${of.sync ?? ''}
triggers:
  added: { method: PUT, path: /people, batch: { size: 500 }, body: { json: ${IDS} } }
  removed: { method: DELETE, path: /people, batch: { size: 500 }, body: { json: ${IDS} } }
`
}

const DATABASES = [
  {
    name: 'PostgreSQL',
    type: 'postgres',
    url: inject('postgresUrl'),
    rows: (count: number) => `SELECT g AS id, '' AS waits FROM generate_series(1, ${count}) AS g`,
    waiting: `SELECT g AS id, CASE WHEN g > ${BEFORE_WAITING} THEN pg_sleep(600)::text ELSE repeat('x', 100) END AS waits FROM generate_series(1, ${BEFORE_WAITING + 1}) AS g`,
  },
  {
    name: 'MariaDB',
    type: 'mysql',
    url: inject('mariadbUrl'),
    rows: (count: number) => `SELECT seq AS id, '' AS waits FROM seq_1_to_${count}`,
    waiting: `SELECT seq AS id, CASE WHEN seq > ${BEFORE_WAITING} THEN SLEEP(600) ELSE repeat('x', 100) END AS waits FROM seq_1_to_${BEFORE_WAITING + 1}`,
  },
]

describe.each(DATABASES)('$name that hangs in the middle of a result', ({ type, url, rows, waiting }) => {
  let api: ScriptedApi
  let proxy: TcpProxy
  let folder: ProjectFolder
  const target = new URL(url ?? 'none://nobody@127.0.0.1:1/none')

  beforeEach(async () => {
    api = await startScriptedApi()
    proxy = await TcpProxy.start({ target: { host: target.hostname, port: Number(target.port) } })
    const through = new URL(target)
    through.port = String(proxy.port)
    // The PostgreSQL of the tests accepts any password.
    const password = decodeURIComponent(through.password) || 'any'
    through.password = ''
    folder = await projectFolder({
      files: { 'project.yaml': project({ sql: rows(PEOPLE) }) },
      env: { API_URL: api.url, TYPE: type, DATABASE: through.href, SLUICE_SECRET_DB_PASSWORD: password },
    })
  })
  afterEach(async () => {
    await folder[Symbol.asyncDispose]()
    await proxy[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })

  it.skipIf(url === null)('costs a run, and no row', async () => {
    expect(await folder.run(SYNC)).toMatchObject({ exitCode: 0, view: { rowsRead: PEOPLE } })

    await folder.write('project.yaml', project({ sql: waiting, source: 'timeout: 1s' }))
    const slow = await folder.run(SYNC)
    expect(slow).toMatchObject({
      exitCode: 2,
      view: {
        status: 'failed',
        rowsRead: 0,
        error: 'The query of model people took longer than the time-out of source db, 1000 ms.',
      },
    })

    await folder.write('project.yaml', project({ sql: waiting, sync: 'maxDuration: 3s' }))
    const before = proxy.bytesDown
    const child = folder.start('run', SYNC, '--json')
    const ending = finished(child)
    // Once rows have begun to come, no answer comes through any more.
    while (proxy.bytesDown < before + 100_000 && child.exitCode === null)
      await new Promise(resolve => setImmediate(resolve))
    await proxy.set({ kind: 'swallow' })
    const { exitCode, stdout } = await ending
    expect(exitCode).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({
      status: 'failed',
      rowsRead: 0,
      error: expect.stringContaining('longer than its maxDuration'),
    })

    await proxy.set({ kind: 'pass' })
    proxy.cut()
    await folder.write('project.yaml', project({ sql: rows(PEOPLE - 1) }))
    expect(await folder.run(SYNC)).toMatchObject({
      exitCode: 0,
      view: { triggers: { added: { detected: 0 }, removed: { delivered: 1 } } },
    })
    const removed = api.requests.filter(({ method }) => method === 'DELETE').map(({ body }) => body)
    expect(removed).toEqual([`[${PEOPLE}]`])
  })
})
