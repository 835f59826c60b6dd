/** The example of the README, end to end: the steps of a first user, and the requests that the API gets. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { bothProfiles, type Opened } from './profiles.ts'
import type { ProjectFolder } from './project-folder.ts'

const SYNC = 'algolia-synonyms'
const KEY = 'a-secret-algolia-key'

describe.for(bothProfiles())('the Algolia example, $name', profile => {
  let api: ScriptedApi
  let opened: Opened
  let project: ProjectFolder

  beforeEach(async ({ onTestFailed }) => {
    api = await startScriptedApi()
    opened = await profile.open({
      from: 'docs/examples/algolia',
      env: {
        ALGOLIA_URL: api.url,
        SLUICE_SECRET_ALGOLIA_KEY: KEY,
        SLUICE_SECRET_ALGOLIA_KEY_FOR: '127.0.0.1',
      },
    })
    project = opened.project
    // The API of the test is at 127.0.0.1. Without this, services on Kafka would not go there.
    const yaml = await project.read('algolia.yaml')
    await project.write('algolia.yaml', yaml.replace(/^baseUrl: .*$/m, '$&\nallowPrivateNetwork: true'))
    onTestFailed(() => void process.stderr.write(opened.logs()))
  })
  afterEach(async () => {
    await opened[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })

  const edit = async (from: string | RegExp, to: string): Promise<void> => {
    const csv = await project.read('data/synonyms.csv')
    expect(csv).toMatch(from)
    await project.write('data/synonyms.csv', csv.replace(from, to))
  }

  it('sends its four rows in one request first, and nothing when nothing changed', async () => {
    const first = await project.run(SYNC)
    expect(first.exitCode, JSON.stringify(first.view)).toBe(0)
    expect(first.view).toMatchObject({
      sync: SYNC,
      status: 'success',
      cause: 'manual',
      rowsRead: 4,
      rowsInvalid: 0,
      error: null,
      triggers: { added: { detected: 4, delivered: 4, requests: 1, attempts: 1 } },
    })
    expect(api.requests).toHaveLength(1)
    const [request] = api.requests
    expect(request).toMatchObject({ method: 'POST', url: '/1/indexes/main/synonyms/batch' })
    expect(request?.headers['content-type']).toContain('application/json')
    expect(request?.headers['x-algolia-api-key']).toBe(KEY)
    const rows: unknown = JSON.parse(request?.body ?? '')
    expect(rows).toHaveLength(4)
    expect(rows).toContainEqual({ objectID: 'sofa', type: 'synonym', synonyms: ['sofa', 'couch', 'settee'] })

    const second = await project.run(SYNC)
    expect(second).toMatchObject({ exitCode: 0, view: { status: 'success', rowsRead: 4 } })
    expect(second.view.triggers.added).toMatchObject({ detected: 0, requests: 0 })
    expect(api.requests).toHaveLength(1)
  })

  it('sends an edited row as changed and a removed one as removed', async () => {
    await project.run(SYNC)
    api.reset()
    await edit('couch', 'Couch')
    await edit(/^trousers.*\n/m, '')
    const run = await project.run(SYNC)
    expect(run.view.triggers).toMatchObject({
      added: { detected: 0 },
      changed: { detected: 1, delivered: 1, requests: 1 },
      removed: { detected: 1, delivered: 1, requests: 1 },
    })
    expect(api.requests.map(({ method, url }) => `${method} ${url}`)).toEqual(
      expect.arrayContaining([
        'DELETE /1/indexes/main/synonyms/trousers',
        'POST /1/indexes/main/synonyms/batch',
      ]),
    )
    expect(api.requests).toHaveLength(2)
    const changed = api.requests.find(({ method }) => method === 'POST')
    expect(JSON.parse(changed?.body ?? '')).toEqual([
      { objectID: 'sofa', type: 'synonym', synonyms: ['sofa', 'Couch', 'settee'] },
    ])
  })

  it('keeps a row that failed for the next run, which sends it as it is then', async () => {
    await project.run(SYNC)
    api.reset()
    await edit(/$/, 'cap,"cap, hat"\n')
    api.on({}, { status: 500, body: 'out of order' }, { times: 1 })
    const failing = await project.run(SYNC)
    expect(failing.exitCode).toBe(3)
    expect(failing.view).toMatchObject({
      status: 'warning',
      triggers: { added: { detected: 1, unknown: 1 } },
    })
    expect(await project.failed(SYNC)).toMatchObject([
      { key: 'cap', op: 'added', outcome: 'unknown', status: 500, attempts: 1, runs: 1 },
    ])
    await edit('cap, hat', 'cap, hat, beret')
    const next = await project.run(SYNC)
    expect(next.exitCode).toBe(0)
    expect(next.view.triggers.added).toMatchObject({ detected: 1, delivered: 1 })
    expect(JSON.parse(api.requests.at(-1)?.body ?? '')).toEqual([
      { objectID: 'cap', type: 'synonym', synonyms: ['cap', 'hat', 'beret'] },
    ])
    expect(await project.failed(SYNC)).toEqual([])
    const keys = api.requests.map(({ headers }) => headers['idempotency-key'])
    expect(new Set(keys).size).toBe(2)
  })

  it('remembers what it did, without the secret', async () => {
    await project.run(SYNC)
    const [run] = await project.runs()
    expect(run).toMatchObject({ sync: SYNC, status: 'success' })
    const [attempt] = await project.attempts('--run', run?.id ?? '')
    expect(attempt).toMatchObject({
      run: run?.id,
      sync: SYNC,
      trigger: 'added',
      attempt: 1,
      method: 'POST',
      status: 200,
      outcome: 'delivered',
      url: `${api.url}/1/indexes/main/synonyms/batch`,
    })
    expect(attempt?.keys).toHaveLength(4)
    expect(attempt?.requestBody).toBe(api.requests[0]?.body)
    expect(JSON.stringify(attempt)).not.toContain(KEY)
    const stored = await opened.stored(SYNC)
    expect(stored).toContain('synonyms/batch')
    expect(stored).not.toContain(KEY)
  })
})
