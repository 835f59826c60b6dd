/** A database that answers, goes away and comes back, as the command sees it. */
import mysql from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { TcpProxy } from '@sluice/testkit/tcp-proxy'
import { projectFolder } from './project-folder.ts'

const PROJECT = `
kind: source
name: db
type: \${TYPE}
url: \${DATABASE}
password: \${secret:db-password}
---
kind: model
name: people
source: db
sql: SELECT 1 AS id, 'Ann' AS name UNION ALL SELECT 2, 'Bob'
primaryKey: id
---
kind: destination
name: api
baseUrl: \${API_URL}
allowPrivateNetwork: true
---
kind: sync
name: people
model: people
destination: api
triggers:
  added: { method: PUT, path: '/people/{{ id }}', body: { json: '{"name":{{ row.name | json }}}' } }
  changed: added
  removed: { method: DELETE, path: '/people/{{ id }}' }
`

const DATABASES = [
  { name: 'PostgreSQL', type: 'postgres', url: inject('postgresUrl') },
  { name: 'MariaDB', type: 'mysql', url: inject('mariadbUrl') },
]

describe.each(DATABASES)('$name as a source', ({ type, url }) => {
  let api: ScriptedApi
  let proxy: TcpProxy
  const target = new URL(url ?? 'none://nobody@127.0.0.1:1/none')
  const password = 'hush-hush'

  beforeAll(async () => {
    // The PostgreSQL of the tests accepts any password.
    if (type === 'mysql' && url !== null) {
      const admin = await mysql.createConnection(url)
      await admin.query(`CREATE OR REPLACE USER away IDENTIFIED BY '${password}'`)
      await admin.query('GRANT SELECT ON *.* TO away')
      await admin.end()
      target.username = 'away'
    }
    api = await startScriptedApi()
    proxy = await TcpProxy.start({ target: { host: target.hostname, port: Number(target.port) } })
  })
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })

  it.skipIf(url === null)('may be away, which costs a run and no row', async () => {
    const through = new URL(target)
    through.port = String(proxy.port)
    through.password = ''
    await using project = await projectFolder({
      files: { 'project.yaml': PROJECT },
      env: {
        API_URL: api.url,
        TYPE: type,
        DATABASE: through.href,
        SLUICE_SECRET_DB_PASSWORD: password,
      },
    })
    expect((await project.sluice('validate')).exitCode).toBe(0)
    const first = await project.run('people')
    expect(first.view).toMatchObject({ status: 'success', rowsRead: 2 })

    await proxy.set({ kind: 'refuse' })
    const away = await project.run('people')
    expect(away.exitCode).toBe(5)
    expect(away.view).toMatchObject({
      status: 'failed',
      error: expect.stringContaining(`127.0.0.1:${proxy.port}`),
    })

    await proxy.set({ kind: 'pass' })
    const back = await project.run('people')
    expect(back.view).toMatchObject({ status: 'success', rowsRead: 2 })
    expect(api.requests.map(({ method }) => method)).toEqual(['PUT', 'PUT'])
    const printed = await Promise.all([project.sluice('run', 'people'), project.sluice('runs', '--json')])
    const everything = printed.map(({ stdout, stderr }) => stdout + stderr).join('')
    expect(everything + (await project.read('.sluice/log.db'))).not.toContain(password)
  })
})
