/** `sluice up`: its API, and commands that speak to it. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  attemptsPage,
  failedPage,
  previewView,
  problem,
  resourcesPage,
  resourceView,
  runsPage,
  runView,
  syncsPage,
} from '@sluice/contracts/api'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import type { z } from 'zod'
import { servedFolder, type ServedFolder } from './one-folder.ts'
import { ADDED, peopleYaml } from './people-project.ts'
import { projectFolder, type ProjectFolder } from './project-folder.ts'

const TOKEN = 'a-token-that-writes'
const READ_TOKEN = 'a-token-that-reads'

let api: ScriptedApi
let project: ProjectFolder
/** Commands elsewhere, which know the server's address only. */
let client: ProjectFolder
let served: ServedFolder
let url: string

beforeAll(async () => {
  api = await startScriptedApi()
  api.on({ url: '/people/2' }, { status: 422, body: '{"error":"no"}' })
  served = await servedFolder(api, { SLUICE_TOKEN: TOKEN, SLUICE_READ_TOKEN: READ_TOKEN })
  ;({ project, url } = served)
  client = await projectFolder({ env: { SLUICE_URL: url, SLUICE_TOKEN: TOKEN }, here: true })
})
afterAll(async () => {
  await client[Symbol.asyncDispose]()
  await served[Symbol.asyncDispose]()
  await api[Symbol.asyncDispose]()
})

function ask(method: string, path: string, of: { token?: string; body?: unknown } = {}): Promise<Response> {
  const { token = TOKEN, body } = of
  return fetch(`${url}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : JSON_TYPE) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}
const JSON_TYPE = { 'content-type': 'application/json' }

async function read<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  const response = await ask('GET', path)
  expect([path, response.status]).toEqual([path, 200])
  return schema.parse(await response.json())
}

/** The states of a run as the server tells them, to its end. */
async function followed(id: string): Promise<{ readonly ids: readonly string[]; readonly last: unknown }> {
  const text = await (await ask('GET', `/runs/${id}/events`)).text()
  const events = [...text.matchAll(/^id: (\d+)\nevent: run\ndata: (.*)$/gm)]
  return { ids: events.map(([, eventId = '']) => eventId), last: JSON.parse(events.at(-1)?.[2] ?? 'null') }
}

describe('the API', () => {
  it('answers on every route as its schemas say', async () => {
    const asked = await ask('POST', '/syncs/people/runs')
    const { id } = runView.parse(await asked.json())
    expect([asked.status, asked.headers.get('location')]).toEqual([202, `/api/v1/runs/${id}`])
    const { ids, last } = await followed(id)
    expect(ids.slice(0, 1)).toEqual(['1'])
    const counts = { detected: 2, delivered: 1, rejected: 1 }
    expect(runView.parse(last)).toMatchObject({ id, status: 'warning', triggers: { added: counts } })
    const { errors, ...shown } = await read(`/runs/${id}`, runView)
    // While a run goes on, its reasons are those of its partitions.
    const { errors: _, ...followedTo } = runView.parse(last)
    expect(shown).toEqual(followedTo)
    const metrics = (await (await fetch(`${url}/metrics`)).text()).split('\n')
    expect(metrics).toEqual(
      expect.arrayContaining([
        'sluice_runs_total{sync="people",status="warning"} 1',
        'sluice_runs_total{sync="people",status="failed"} 0',
        'sluice_attempts_total{sync="people",outcome="rejected"} 1',
        'sluice_api_refused_total{reason="wrong-token"} 0',
        expect.stringMatching(/^sluice_sync_info\{sync="people",destination="\w+"\} 1$/),
      ]),
    )
    expect(errors).toMatchObject([{ count: 1, key: '2', status: 422 }])
    expect((await read('/runs?sync=people&limit=5', runsPage)).runs).toHaveLength(1)
    const attempts = await read(`/attempts?run=${id}&limit=1`, attemptsPage)
    expect(attempts.attempts).toHaveLength(1)
    const more = await read(`/attempts?run=${id}&limit=1&after=${attempts.next ?? ''}`, attemptsPage)
    expect([more.attempts.length, more.next]).toEqual([1, null])
    expect(await read('/attempts?status=422&since=2020-01-01T00:00:00Z', attemptsPage)).toMatchObject({
      attempts: [{ keys: ['2'], responseBody: '{"error":"no"}' }],
    })
    expect((await read('/syncs/people/failed?status=422', failedPage)).rows).toMatchObject([{ key: '2' }])
    const preview = await read('/preview?sync=people&key=2&trigger=added', previewView)
    expect(preview).toMatchObject({ counts: { added: 1 }, requests: [{ keys: ['2'] }], rowsRead: 2 })
    expect((await read('/syncs', syncsPage)).syncs).toMatchObject([{ name: 'people', lastRun: { id } }])
    expect((await read('/resources', resourcesPage)).resources).toHaveLength(4)
    expect(await read('/resources/destination/api', resourceView)).toMatchObject({
      spec: { baseUrl: api.url },
    })

    for (const [path, body, cause] of [
      ['/syncs/people/retry', { key: '2' }, 'retry'],
      ['/syncs/people/discard', { status: 422 }, 'discard'],
      ['/syncs/people/resync', { as: 'changed' }, 'resync'],
      ['/syncs/people/reset', {}, 'reset'],
    ] as const) {
      const response = await ask('POST', path, { body })
      const run = runView.parse(await response.json())
      expect([response.status, run.cause]).toEqual([202, cause])
      expect(runView.parse((await followed(run.id)).last).status).toMatch(/^(success|warning)$/)
    }
    for (const verb of ['approve', 'cancel']) {
      const response = await ask('POST', `/runs/${id}/${verb}`)
      expect([verb, response.status]).toEqual([verb, 404])
      problem.parse(await response.json())
    }
  })

  it('is wanted with a token, in health without, and writes only with the one for writing', async () => {
    expect((await ask('GET', '/runs', { token: READ_TOKEN })).status).toBe(200)
    expect((await ask('POST', '/syncs/people/runs', { token: READ_TOKEN })).status).toBe(403)
    expect((await fetch(`${url}/api/v1/runs`)).status).toBe(401)
    expect((await fetch(`${url}/api/v1/runs`, { headers: { cookie: `token=${TOKEN}` } })).status).toBe(401)
    for (const path of ['/healthz', '/readyz', '/metrics'])
      expect([path, (await fetch(`${url}${path}`)).status]).toEqual([path, 200])
  })
})

describe('a command', () => {
  it('runs, looks back and fails as it does in the folder', async () => {
    const { exitCode, view } = await client.run('people')
    expect([exitCode, view.status]).toEqual([3, 'warning'])
    const { errors: _errors, ...listed } = view
    expect((await client.runs())[0]).toEqual(listed)
    expect((await client.failed('people')).map(({ key }) => key)).toEqual(['2'])
    expect((await client.attempts('--run', view.id)).map(({ keys }) => keys[0] ?? '').sort()).toEqual([
      '1',
      '2',
    ])
    const preview = await client.sluice('preview', 'people')
    expect(preview).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('PUT') })
    expect(await client.error('run', 'poeple')).toMatchObject({
      exitCode: 2,
      code: 'not-found',
      message: expect.stringContaining('did you mean `people`?'),
    })
    expect(await client.error('cancel', view.id)).toMatchObject({ exitCode: 2, code: 'usage' })
    expect((await ask('POST', `/runs/${view.id}/cancel`)).status).toBe(409)
    expect(await client.error('runs', '--after', 'x')).toMatchObject({ exitCode: 2, code: 'usage' })
    // In the folder itself it goes through the server, too.
    expect(await project.runs()).toEqual(await client.runs())
  })

  it('in the folder says that its files differ from what is stored, until they are applied', async () => {
    const edited = peopleYaml({ triggers: ` { added: { ${ADDED.replace('/people/', '/humans/')} } }` })
    const before = await readFile(join(project.dir, 'project.yaml'), 'utf8')
    const told = 'and the files of the folder differ (sync people): '
    const preview = async () => await project.sluice('preview', 'people', '--key', '2', '--trigger', 'added')
    expect((await preview()).stderr).not.toContain('differ')
    await project.write('project.yaml', before.replace(peopleYaml(), edited))
    const stale = await preview()
    expect(stale.stdout).toContain('/people/2')
    expect(stale.stderr).toContain(told)
    expect((await project.sluice('run', 'people')).stderr).toContain(told)
    expect((await project.sluice('apply')).exitCode).toBe(0)
    const fresh = await preview()
    expect(fresh.stdout).toContain('/humans/2')
    expect(fresh.stderr).not.toContain('differ')
    await project.write('project.yaml', before)
    await project.sluice('apply')
  })

  it('asks what becomes of the rows of another destination, and tells the server', async () => {
    await using other = await startScriptedApi()
    await client.sluice('run', 'people')
    const spec = { baseUrl: other.url, allowPrivateNetwork: true }
    const put = await ask('PUT', '/resources/destination/api?takeOver=true', { body: { spec } })
    expect(put.status, await put.text()).toBe(200)
    const preview = await client.sluice('preview', 'people')
    expect(preview.stdout).toContain('destination changed')
    const { exitCode, view: held } = await client.run('people')
    expect([exitCode, held.held?.destination]).toMatchObject([4, { from: api.url, to: other.url }])
    expect((await ask('POST', `/runs/${held.id}/approve`)).status).toBe(409)
    expect(other.requests).toEqual([])
    const approved = await client.sluice('approve', held.id, '--new-destination', '--json')
    expect(JSON.parse(approved.stdout)).toMatchObject({
      status: 'success',
      triggers: { added: { delivered: 2 } },
    })
    expect(other.requests).toHaveLength(2)
  })

  it('says what is wrong with its server', async () => {
    const at = (env: { readonly [name: string]: string }) => projectFolder({ env, here: true })
    const cases = [
      [{ SLUICE_URL: 'http://127.0.0.1:1' }, 5, /does not answer/],
      [{ SLUICE_URL: api.url }, 5, /is no Sluice/],
      [{ SLUICE_URL: 'localhost:4747' }, 2, /SLUICE_URL wants the address/],
      [{ SLUICE_URL: url }, 2, /A token is wanted/],
      [{ SLUICE_URL: url, SLUICE_TOKEN: 'a-token-that-nobody-has' }, 2, /does not know this token/],
    ] as const
    for (const [env, exitCode, message] of cases) {
      await using elsewhere = await at(env)
      const error = await elsewhere.error('runs')
      expect(error.message).toMatch(message)
      expect(error.exitCode).toBe(exitCode)
    }
  })
})
