/** Two syncs of a destination that does not answer the first of them (R12, PROTOCOL.md §9). */
import { once } from 'node:events'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

const CONCURRENCY = 4
const ROWS = 20

const syncYaml = (name: string): string => `---
kind: sync
name: ${name}
model: rows
destination: api
timeout: 5m
triggers:
  added: { method: POST, path: '/${name}/{{ row.id }}' }
`
const PROJECT = `kind: source
name: numbers
type: duckdb
path: .
---
kind: model
name: rows
source: numbers
sql: select range as id from range(${ROWS})
primaryKey: id
---
kind: destination
name: api
baseUrl: \${API_URL}
limits: { concurrency: ${CONCURRENCY} }
${syncYaml('slow')}${syncYaml('quick')}`

let api: ScriptedApi
let folder: ProjectFolder
beforeEach(async () => {
  api = await startScriptedApi()
  folder = await projectFolder({ files: { 'project.yaml': PROJECT }, env: { API_URL: api.url } })
})
afterEach(async () => {
  await folder[Symbol.asyncDispose]()
  await api.close()
})

it('a sync gets through at once beside another whose requests are never answered', async () => {
  const sentBy = (name: string): number =>
    api.requests.filter(({ url }) => url.startsWith(`/${name}/`)).length
  api.on({}, ({ url }) => (url.startsWith('/slow/') ? { fault: 'hang' } : {}))
  const slow = folder.start('run', 'slow')
  try {
    await api.waitFor(CONCURRENCY - 1)
    const { exitCode, view } = await folder.run('quick')
    expect(exitCode, JSON.stringify(view)).toBe(0)
    expect(sentBy('quick')).toBe(ROWS)
    expect(sentBy('slow')).toBe(CONCURRENCY - 1)
  } finally {
    const gone = once(slow, 'exit')
    slow.kill('SIGKILL')
    await gone
  }
}, 60_000)
