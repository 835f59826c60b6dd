/** The example of the README, end to end: the steps of a first user, and the requests that the API gets. */
import { describe, expect, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { type Opened, type Profile, distributedProfiles, embeddedProfile } from './profiles.ts'

const SYNC = 'algolia-synonyms'
const KEY = 'a-secret-algolia-key'

interface Example extends AsyncDisposable {
  readonly api: ScriptedApi
  readonly opened: Opened
  readonly project: Opened['project']
  readonly edit: (from: string | RegExp, to: string) => Promise<void>
}

async function openExample(profile: Profile, onTestFailed: (then: () => void) => void): Promise<Example> {
  await using opening = new AsyncDisposableStack()
  const api = opening.use(await startScriptedApi())
  const opened = opening.use(
    await profile.open({
      from: 'docs/examples/algolia',
      env: {
        ALGOLIA_URL: api.url,
        SLUICE_SECRET_ALGOLIA_KEY: KEY,
        SLUICE_SECRET_ALGOLIA_KEY_FOR: '127.0.0.1',
      },
      here: true,
    }),
  )
  onTestFailed(() => void process.stderr.write(opened.logs()))
  const { project } = opened
  // The API of the test is at 127.0.0.1. Without this, services on Kafka would not go there.
  const yaml = await project.read('algolia.yaml')
  await project.write('algolia.yaml', yaml.replace(/^baseUrl: .*$/m, '$&\nallowPrivateNetwork: true'))
  const edit = async (from: string | RegExp, to: string): Promise<void> => {
    const csv = await project.read('data/synonyms.csv')
    expect(csv).toMatch(from)
    await project.write('data/synonyms.csv', csv.replace(from, to))
  }
  const parts = opening.move()
  return { api, opened, project, edit, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

function algoliaSuite(profile: Profile): void {
  describe(`the Algolia example, ${profile.name}`, () => {
    it('sends its four rows in one request first, and nothing when nothing changed', async ({
      onTestFailed,
    }) => {
      await using example = await openExample(profile, onTestFailed)
      const { api, project } = example
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
      expect(rows).toContainEqual({
        objectID: 'sofa',
        type: 'synonym',
        synonyms: ['sofa', 'couch', 'settee'],
      })

      const second = await project.run(SYNC)
      expect(second).toMatchObject({ exitCode: 0, view: { status: 'success', rowsRead: 4 } })
      expect(second.view.triggers.added).toMatchObject({ detected: 0, requests: 0 })
      expect(api.requests).toHaveLength(1)
    })

    it('sends an edited row as changed and a removed one as removed', async ({ onTestFailed }) => {
      await using example = await openExample(profile, onTestFailed)
      const { api, project, edit } = example
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

    it('remembers what it did, without the secret', async ({ onTestFailed }) => {
      await using example = await openExample(profile, onTestFailed)
      const { api, opened, project } = example
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
}

/** A first user's view on a day on which the API has a fault. */
function algoliaFaultSuite(profile: Profile): void {
  describe(`the Algolia example, ${profile.name}`, () => {
    it('keeps a row that failed for the next run, which sends it as it is then', async ({ onTestFailed }) => {
      await using example = await openExample(profile, onTestFailed)
      const { api, project, edit } = example
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
  })
}

algoliaSuite(embeddedProfile)
distributedProfiles().forEach(algoliaFaultSuite)
