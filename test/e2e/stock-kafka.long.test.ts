/**
 * The distributed profile on a Kafka with its default settings: batches of 1 MB at most, and groups that wait
 * 3 s for their members. Large data here is larger than such a batch.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { sleep } from '@sluice/flow/sleep'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { startKafka } from '../../deploy/local/kafka.ts'
import { Workspace } from '../../deploy/local/workspace.ts'
import { realServices, startDistributed, type Distributed } from './distributed.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

const ROWS = 5_000
const LONG_KEYS = 300
const WIDE = 60

/** A model, and a sync that sends it in batches. */
const sync = (name: string, sql: string, of: { size: number; json: string; partitions?: number }): string => `
---
kind: model
name: ${name}
source: files
sql: ${JSON.stringify(sql)}
primaryKey: id
---
kind: sync
name: ${name}
model: ${name}
destination: api
timeout: 60s
partitions: ${of.partitions ?? 2}
triggers:
  added:
    batch: { size: ${of.size} }
    method: POST
    path: /${name}
    body: { json: ${JSON.stringify(of.json)} }
`

const IDS = '[{% for row in rows %}{{ row.id | json }},{% endfor %}]'
const PROJECT = [
  `
kind: source
name: files
type: duckdb
path: .
---
kind: destination
name: api
baseUrl: \${API_URL}
allowPrivateNetwork: true
`,
  sync('refused', `select i as id from range(${ROWS}) t(i)`, { size: ROWS, json: IDS }),
  sync('keyed', `select repeat('k', 8000) || i as id from range(${LONG_KEYS}) t(i)`, {
    size: 1_000,
    json: IDS,
  }),
  sync('wide', `select i as id, repeat('w', 200000) as text from range(${WIDE}) t(i)`, {
    size: 100,
    json: '[{% for row in rows %}{"id":{{ row.id }},"text":{{ row.text | json }}},{% endfor %}]',
  }),
  sync('wordy', '${file:wordy.sql}', { size: 1, json: IDS }),
].join('')
/** It makes a definition of 2 MB. */
const WORDY = `select 1 as id where '${'x'.repeat(2_000_000)}' <> ''`

describe.skipIf(realServices() === null)('on Kafka as it is shipped', () => {
  let workspace: Workspace
  let api: ScriptedApi
  let services: Distributed
  let project: ProjectFolder
  /** Asks all services for `/readyz` during all tests here, and collects the answers. */
  const readiness: string[] = []
  const stop = new AbortController()
  let asking: Promise<unknown> = Promise.resolve()

  const askOn = async (url: string): Promise<void> => {
    while (!stop.signal.aborted) {
      const answer = await fetch(`${url}/readyz`)
      if (!answer.ok) readiness.push(await answer.text())
      await sleep(100, { signal: stop.signal }).catch(() => undefined)
    }
  }

  beforeAll(async () => {
    workspace = new Workspace()
    const [kafka, started] = await Promise.all([startKafka(workspace, { stock: true }), startScriptedApi()])
    api = started
    const env = { SLUICE_KAFKA_BROKERS: kafka.address, API_URL: api.url }
    services = await startDistributed({ env })
    // A detector joins its group a moment after it has started.
    const [detector] = services.of('change-detector')
    await vi.waitFor(async () => expect((await fetch(`${detector?.url ?? ''}/readyz`)).status).toBe(200), {
      timeout: 30_000,
    })
    asking = Promise.all(services.processes.map(({ url }) => askOn(url)))
    project = await projectFolder({
      files: { 'project.yaml': PROJECT, 'wordy.sql': WORDY },
      env: { ...services.env, ...env },
    })
  })
  afterAll(async () => {
    stop.abort()
    await asking
    await project[Symbol.asyncDispose]()
    await services[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
    await workspace.close({ keepLogs: false })
  })

  for (const { name, rows } of [
    { name: 'refused', rows: ROWS },
    { name: 'keyed', rows: LONG_KEYS },
  ])
    it(`a batch whose rows are all refused with a long text is shown row by row, and sent again (${name})`, async ({
      onTestFailed,
    }) => {
      onTestFailed(() => void process.stderr.write(services.logs()))
      api.reset()
      api.on({ url: `/${name}` }, () => ({ status: 400, body: 'no '.repeat(30_000) }))
      const refused = await project.run(name)
      expect(refused.exitCode, JSON.stringify(refused.view)).toBe(3)
      expect(refused.view.triggers.added).toMatchObject({ detected: rows, rejected: rows })
      const [first] = await project.failed(name)
      expect(first).toMatchObject({
        op: 'added',
        status: 400,
        error: expect.stringMatching(/^HTTP 400: no no /),
      })
      // No process was restarted for it.
      for (const { log } of services.processes) expect(log.filter(({ level }) => level >= 40)).toEqual([])

      api.reset()
      const again = await project.run(name)
      expect(again.exitCode, JSON.stringify(again.view)).toBe(0)
      expect(again.view.triggers.added).toMatchObject({ detected: rows, delivered: rows })
      const sent = api.requests.flatMap(({ body }) => JSON.parse(body) as unknown[])
      expect(new Set(sent).size).toBe(rows)
      expect(await project.failed(name)).toEqual([])
    })

  it('rows of 200 kB in batches of a hundred arrive', async ({ onTestFailed }) => {
    onTestFailed(() => void process.stderr.write(services.logs()))
    api.reset()
    const { exitCode, view } = await project.run('wide')
    expect(exitCode, JSON.stringify(view)).toBe(0)
    const sent = api.requests.flatMap(({ body }) => JSON.parse(body) as { id: number; text: string }[])
    expect(sent.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: WIDE }, (_, i) => i),
    )
    expect(new Set(sent.map(({ text }) => text))).toEqual(new Set(['w'.repeat(200_000)]))
  })

  it('a sync with a definition of megabytes is stored, pinned and delivered', async ({ onTestFailed }) => {
    onTestFailed(() => void process.stderr.write(services.logs()))
    api.reset()
    const { exitCode, view } = await project.run('wordy')
    expect(exitCode, JSON.stringify(view)).toBe(0)
    expect(api.requests.map(({ body }) => body)).toEqual(['[1]'])
  })

  it('every process was ready all the time, even while it joined the groups of a run', () => {
    expect(readiness).toEqual([])
  })
})
