/** Attacks of an author, who may write the project of a `sluice up` and is not its operator. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { freePorts } from '../../deploy/local/ports.ts'
import { servedFolder, type ServedFolder } from './one-folder.ts'

const ED = 'a-token-of-eds-own'
const EVE = 'a-token-of-eves-own'
const OPERATOR = 'the-operators-token'
const SECRET = 'hush-hush-0123'
const KEPT = 'kept-kept-4567'

let api: ScriptedApi
let thief: ScriptedApi
let served: ServedFolder

beforeAll(async () => {
  ;[api, thief] = await Promise.all([startScriptedApi(), startScriptedApi()])
  const [port = 0] = await freePorts(1)
  served = await servedFolder(api, {
    ...{ SLUICE_PORT: String(port), SLUICE_SECRET_CRM: SECRET, SLUICE_TOKEN: OPERATOR },
    SLUICE_TOKENS: `ed edit ${ED};eve view,read,edit,run ${EVE}`,
  })
})
afterAll(async () => {
  await served[Symbol.asyncDispose]()
  await Promise.all([api[Symbol.asyncDispose](), thief[Symbol.asyncDispose]()])
})

interface Answered {
  readonly status: number
  readonly text: string
}

async function ask(token: string, method: string, path: string, body?: object): Promise<Answered> {
  const response = await fetch(`${served.url}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return { status: response.status, text: await response.text() }
}

it('a secret without a grant goes to no host of an author, in a test, an alert or a source', async () => {
  expect((await ask(OPERATOR, 'PUT', '/secrets/kept', { value: KEPT })).status).toBe(200)
  const headers = { 'x-one': '${secret:crm}', 'x-two': '${secret:kept}' }
  const spec = { baseUrl: thief.url, allowPrivateNetwork: true, headers }
  const triggers = { added: { method: 'PUT', path: '/p/{{ id }}' } }
  const steps = [
    await ask(EVE, 'PUT', '/resources/destination/thief', { spec }),
    await ask(EVE, 'PUT', '/resources/sync/thief', { model: 'people', destination: 'thief', triggers }),
  ]
  expect(steps.map(({ status }) => status)).toEqual([200, 200])
  const tested = await ask(EVE, 'POST', '/syncs/thief/test', { key: '1', trigger: 'added' })
  expect(tested.text).toContain('may not go to the destination at 127.0.0.1')
  const to = { slack: { url: `${thief.url}/\${secret:crm}` } }
  const alert = { syncs: 'all', when: ['run-failed'], allowPrivateNetwork: true, to }
  expect((await ask(EVE, 'PUT', '/resources/alert/thief', { spec: alert })).status).toBe(200)
  const told = await ask(EVE, 'POST', '/alerts/thief/test', {})
  expect(told.text).toContain('may not go to the alert at 127.0.0.1')
  const { port } = new URL(thief.url)
  const url = `postgres://u@127.0.0.1:${port}/x`
  const login = { password: '${secret:crm}', allowPrivateNetwork: true }
  const documents = [{ kind: 'source', name: 'thief', type: 'postgres', url, ...login }]
  const rows = await ask(EVE, 'POST', '/sources/thief/rows', { sql: 'select 1', documents })
  expect(rows.text).toContain('may not go to the source at 127.0.0.1')
  expect(thief.requests).toEqual([])
  for (const { text } of [tested, told, rows]) expect(text).not.toMatch(new RegExp(`${SECRET}|${KEPT}`))
})

it('a private network is reached for no author who does not ask for it: by a test, an alert or a source', async () => {
  const triggers = { added: { method: 'PUT', path: '/p/{{ id }}' } }
  const to = { slack: { url: `${thief.url}/x` } }
  const steps = [
    await ask(EVE, 'PUT', '/resources/destination/near', { spec: { baseUrl: thief.url } }),
    await ask(EVE, 'PUT', '/resources/sync/near', { model: 'people', destination: 'near', triggers }),
    await ask(EVE, 'PUT', '/resources/alert/near', { spec: { syncs: 'all', when: ['run-failed'], to } }),
  ]
  expect(steps.map(({ status }) => status)).toEqual([200, 200, 200])
  const url = `postgres://u@127.0.0.1:${new URL(thief.url).port}/x`
  const documents = [{ kind: 'source', name: 'near', type: 'postgres', url }]
  const tried = [
    await ask(EVE, 'POST', '/syncs/near/test', { key: '1', trigger: 'added' }),
    await ask(EVE, 'POST', '/alerts/near/test', {}),
    await ask(EVE, 'POST', '/sources/near/rows', { sql: 'select 1', documents }),
  ]
  for (const { text } of tried) expect(text).toMatch(/not a public address|not public/)
  expect(thief.requests).toEqual([])
})

it('rows and the key of the vault are not read by somebody who may only write, and the key by nobody', async () => {
  for (const [path, body] of [
    ['/sources/files/rows', { sql: "select * from 'people.csv'" }],
    ['/preview', { sync: 'people' }],
  ] as const) {
    expect(await ask(ED, 'POST', path, body)).toMatchObject({ status: 403 })
    const { status, text } = await ask(EVE, 'POST', path, body)
    expect([status, text]).toEqual([200, expect.stringContaining('Ann')])
  }
  for (const sql of [
    "select content from read_text('.sluice/key')",
    "select content from read_text('*/key')",
  ]) {
    const { status, text } = await ask(OPERATOR, 'POST', '/sources/files/rows', { sql })
    expect([status, text]).toEqual([422, expect.stringContaining('those of Sluice')])
  }
})

it('sample rows that take too long, or are too large, are refused with the reason', async () => {
  const product = 'select count(*) as n from range(1000000) a, range(1000000) b'
  const [slow, large] = await Promise.all(
    [product, "select repeat('x', 100000000) as x"].map(sql =>
      ask(EVE, 'POST', '/sources/files/rows', { sql }),
    ),
  )
  expect(slow).toMatchObject({ status: 503, text: expect.stringContaining('took longer than 20 s') })
  expect(large).toMatchObject({ status: 422, text: expect.stringContaining('too large to be shown') })
})
