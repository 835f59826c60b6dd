/** Sessions of browsers over real HTTP, with the headers that browsers send and that attackers can send. */
import { once } from 'node:events'
import { request } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sessionView } from '@sluice/contracts/api'
import { SluiceError } from '@sluice/contracts/errors'
import type { Catalog } from '@sluice/control/catalog'
import { ProjectControl } from '@sluice/control/project-control'
import { ALL_ROLES } from '@sluice/control/roles'
import { createLogger } from '@sluice/runtime/logger'
import { createMetrics, type Metrics } from '@sluice/runtime/metrics'
import { sampleDefinition } from '@sluice/testkit/sample-records'
import { AskedRuns } from '../asked-runs.ts'
import type { Access } from './access.ts'
import { createApi } from './create-api.ts'
import { listen } from '../../test/test-listener.ts'

const DEFINITION = sampleDefinition({})
const TOKENS = {
  ...{ write: 'write-token-0123', read: 'read-token-0123' },
  named: [
    { name: 'ann', value: 'a-token-of-anns-own', roles: new Set(['run'] as const) },
    { name: 'bob', value: 'a-token-of-bobs-own', roles: new Set(['read', 'run'] as const) },
  ],
}
const WITH_TOKENS: Access = { kind: 'tokens', tokens: TOKENS }
const BEHIND_TLS: Access = { ...WITH_TOKENS, publicOrigin: 'https://sluice.example.com' }
const catalog: Catalog = {
  syncs: () => Promise.resolve(new Set([DEFINITION.sync.name])),
  definition: () => Promise.resolve(DEFINITION),
  resources: () => Promise.resolve(Object.values(DEFINITION)),
  publish: () => Promise.resolve(null),
}
const control = new ProjectControl(catalog, {
  hasHistory: false,
  open: () => Promise.reject(new SluiceError('unreachable', 'Kafka does not answer')),
  assertSecrets: () => Promise.resolve(),
  openNextRun: () => Promise.reject(new SluiceError('internal', 'no run is wanted')),
  openNoticeSenders: () => Promise.reject(new Error('no alert is told here')),
})
const RUNS = `/api/v1/syncs/${DEFINITION.sync.name}/runs`

interface Asking {
  readonly headers?: { readonly [name: string]: string }
  readonly body?: unknown
}

let opened: AsyncDisposableStack
let base = ''
let logged: string[] = []
let metrics: Metrics
beforeEach(() => {
  opened = new AsyncDisposableStack()
})
afterEach(() => opened.disposeAsync())

async function serve(access: Access): Promise<void> {
  logged = []
  const logger = createLogger({ name: 'test', write: line => logged.push(line) })
  const asked = new AskedRuns({ logger, cancel: new AbortController().signal })
  const openControl = (): Promise<ProjectControl> => Promise.resolve(control)
  metrics = createMetrics()
  const api = opened.use(await createApi({ access, openControl, asked, logger, metrics, badLoginMs: 1 }))
  const { port } = opened.use(await listen(api.listener))
  base = `http://127.0.0.1:${port}`
}

function told(message: string): unknown[] {
  return logged.map(line => JSON.parse(line) as { msg: string }).filter(({ msg }) => msg === message)
}

function ask(method: string, path: string, { headers = {}, body }: Asking = {}): Promise<Response> {
  const json = body === undefined ? {} : { 'content-type': 'application/json' }
  return fetch(base + path, { method, headers: { ...json, ...headers }, body: JSON.stringify(body) ?? null })
}

/** Resolves once the server waits for a body that does not come. */
async function openSlowly(path: string): Promise<void> {
  const headers = { 'content-type': 'application/json', 'content-length': 20, expect: '100-continue' }
  const slow = request(base + path, { method: 'POST', headers, agent: false })
  slow.on('error', () => undefined)
  opened.defer(() => void slow.destroy())
  slow.flushHeaders()
  await once(slow, 'continue')
}

const own = (): { [name: string]: string } => ({ origin: base, 'sec-fetch-site': 'same-origin' })

async function logIn(token: string): Promise<string> {
  const answer = await ask('POST', '/api/v1/session', { headers: own(), body: { token } })
  expect(answer.status).toBe(200)
  return (answer.headers.getSetCookie()[0] ?? '').split(';')[0] ?? ''
}

describe('a browser', () => {
  it('logs in with a token, reads and asks with its cookie, and logs out', async () => {
    await serve(WITH_TOKENS)
    expect((await ask('GET', '/api/v1/session', { headers: own() })).status).toBe(401)
    const login = await ask('POST', '/api/v1/session', { headers: own(), body: { token: TOKENS.write } })
    const view = sessionView.parse(await login.json())
    expect([view.name, view.by, view.roles]).toEqual(['operator', 'session', [...ALL_ROLES]])
    const [set = ''] = login.headers.getSetCookie()
    expect(set).toMatch(/^sluice-session-\d+=.*; HttpOnly; SameSite=Strict$/)
    expect(set).not.toContain(TOKENS.write)
    const cookie = set.split(';')[0] ?? ''
    const as = { headers: { ...own(), cookie } }
    expect(sessionView.parse(await (await ask('GET', '/api/v1/session', as)).json())).toEqual(view)
    expect((await ask('GET', '/api/v1/runs', as)).status).toBe(200)
    expect((await ask('POST', RUNS, as)).status).toBe(503)
    const logout = await ask('DELETE', '/api/v1/session', as)
    expect(await logout.json()).toEqual({ ended: true })
    expect(logout.headers.getSetCookie()).toEqual([
      expect.stringMatching(/^sluice-session-\d+=; .*Max-Age=0/),
    ])
    expect((await ask('GET', '/api/v1/runs', as)).status).toBe(401)
    expect(await (await ask('DELETE', '/api/v1/session', { headers: own() })).json()).toEqual({
      ended: false,
    })
  })

  it('may do what its token may, and its session says so', async () => {
    await serve(WITH_TOKENS)
    const [reader, ann] = [await logIn(TOKENS.read), await logIn('a-token-of-anns-own')]
    const statuses = async (cookie: string): Promise<number[]> => {
      const as = { headers: { ...own(), cookie } }
      const reset = `/api/v1/syncs/${DEFINITION.sync.name}/reset`
      const answers = [
        await ask('GET', '/api/v1/runs', as),
        await ask('POST', RUNS, as),
        await ask('POST', reset, as),
      ]
      return answers.map(({ status }) => status)
    }
    expect(await statuses(reader)).toEqual([200, 403, 403])
    expect(await statuses(ann)).toEqual([403, 503, 403])
    // The route of replays also serves dry runs, for which `read` is enough.
    const replay = `/api/v1/syncs/${DEFINITION.sync.name}/replay`
    const body = { run: '01ARZ3NDEKTSV4RRFFQ69G5FAV' }
    for (const cookie of [reader, await logIn('a-token-of-bobs-own')]) {
      const as = { headers: { ...own(), cookie } }
      expect((await ask('POST', replay, { ...as, body })).status).toBe(403)
      expect((await ask('POST', replay, { ...as, body: { ...body, dryRun: true } })).status).not.toBe(403)
    }
    const session = await ask('GET', '/api/v1/session', { headers: { ...own(), cookie: ann } })
    expect(await session.json()).toMatchObject({ name: 'ann', roles: ['run'] })
  })

  it('behind TLS gets a cookie for TLS alone, whether the operator or its page says so', async () => {
    await serve(BEHIND_TLS)
    const origin = 'https://sluice.example.com'
    const headers = { origin, 'sec-fetch-site': 'same-origin' }
    const login = await ask('POST', '/api/v1/session', { headers, body: { token: TOKENS.write } })
    const [set = ''] = login.headers.getSetCookie()
    expect(set).toMatch(/^__Host-sluice-session=.*; Secure$/)
    expect(login.headers.get('strict-transport-security')).toBe('max-age=31536000')
    const cookie = set.split(';')[0] ?? ''
    expect((await ask('POST', RUNS, { headers: { ...headers, cookie } })).status).toBe(503)
    await serve(WITH_TOKENS)
    const told = { headers: { origin: base.replace('http', 'https') }, body: { token: TOKENS.read } }
    expect((await ask('POST', '/api/v1/session', told)).headers.getSetCookie()[0]).toMatch(
      /^__Host-.*; Secure$/,
    )
  })
})

describe('a page of somebody else', () => {
  it.each([
    ['another site', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
    ['another port of this machine', { origin: 'http://127.0.0.1:1', 'sec-fetch-site': 'same-site' }],
    ['a page without an origin', { origin: 'null', 'sec-fetch-site': 'cross-site' }],
    ['a link', { 'sec-fetch-site': 'cross-site' }],
  ])('of %s may not log in, read or ask with the cookie of a browser', async (_what, headers) => {
    await serve(WITH_TOKENS)
    const cookie = await logIn(TOKENS.write)
    const body = { token: TOKENS.read }
    expect((await ask('POST', '/api/v1/session', { headers, body })).status).toBe(403)
    for (const method of ['GET', 'POST', 'DELETE']) {
      const path = method === 'POST' ? RUNS : '/api/v1/session'
      expect([method, (await ask(method, path, { headers: { ...headers, cookie } })).status]).toEqual([
        method,
        403,
      ])
    }
    expect((await ask('GET', '/api/v1/session', { headers: { ...own(), cookie } })).status).toBe(200)
  })

  it('is refused if the browser does not say which page asks', async () => {
    await serve(WITH_TOKENS)
    const cookie = await logIn(TOKENS.write)
    expect((await ask('POST', RUNS, { headers: { cookie } })).status).toBe(403)
    expect((await ask('GET', '/api/v1/runs', { headers: { cookie } })).status).toBe(200)
    const bearer = { authorization: `Bearer ${TOKENS.write}` }
    expect((await ask('POST', RUNS, { headers: bearer })).status).toBe(503)
  })
})

it('who asked for a change is in the log, by the name of the token and by nothing secret', async () => {
  await serve(WITH_TOKENS)
  const cookie = await logIn(TOKENS.read)
  await ask('POST', RUNS, { headers: { authorization: `Bearer ${TOKENS.named[0]?.value ?? ''}` } })
  await ask('POST', RUNS, { headers: { ...own(), cookie } })
  await ask('POST', RUNS, { headers: { authorization: 'Bearer guess' } })
  await expect
    .poll(() => told('asked by the API').slice(-3))
    .toMatchObject([
      { who: 'ann', by: 'token', operation: 'run', of: { name: DEFINITION.sync.name }, status: 503 },
      { who: 'reader', operation: 'run', status: 403 },
      { who: null, operation: 'run', status: 401, address: '127.0.0.1' },
    ])
  expect(logged.join('')).not.toMatch(/guess|token-0123|of-anns-own|sluice-session/)
})

describe('an attacker', () => {
  it('cannot choose the session of a browser: a login makes a new one, and the planted cookie is none', async () => {
    await serve(WITH_TOKENS)
    const cookie = await logIn(TOKENS.write)
    const name = cookie.split('=')[0] ?? ''
    const planted = `${name}=operator.${'A'.repeat(22)}.k.k.${'A'.repeat(43)}`
    const login = await ask('POST', '/api/v1/session', {
      headers: { ...own(), cookie: planted },
      body: { token: TOKENS.write },
    })
    expect(login.headers.getSetCookie()[0]).not.toContain('A'.repeat(22))
    expect((await ask('GET', '/api/v1/session', { headers: { ...own(), cookie: planted } })).status).toBe(401)
    const both = { ...own(), cookie: `${planted}; ${cookie}` }
    expect((await ask('GET', '/api/v1/session', { headers: both })).status).toBe(200)
  })

  it('cannot plant a session of their own from another host, or without TLS, where browsers come by TLS', async () => {
    await serve(BEHIND_TLS)
    const session = (await logIn(TOKENS.read)).replace('__Host-sluice-session=', '')
    const statusWith = async (name: string) =>
      (await ask('GET', '/api/v1/session', { headers: { ...own(), cookie: `${name}=${session}` } })).status
    expect(await statusWith('__Host-sluice-session')).toBe(200)
    expect(await statusWith(`sluice-session-${new URL(base).port}`)).toBe(401)
  })

  it('gains nothing by a wrong token beside a right cookie', async () => {
    await serve(WITH_TOKENS)
    const cookie = await logIn(TOKENS.write)
    const headers = { ...own(), cookie, authorization: 'Bearer guess' }
    expect((await ask('GET', '/api/v1/runs', { headers })).status).toBe(401)
  })

  it.each([
    ['a wrong token', { token: 'guess' }, 401],
    ['no token', {}, 400],
    ['a number', { token: 1 }, 400],
    ['more than a token', { token: TOKENS.write, name: 'x' }, 400],
    ['a token of a megabyte', { token: 'x'.repeat(1_000_000) }, 413],
  ])('who logs in with %s is refused', async (_what, body, status) => {
    await serve(WITH_TOKENS)
    const answer = await ask('POST', '/api/v1/session', { body })
    expect([answer.status, answer.headers.getSetCookie()]).toEqual([status, []])
    expect(await answer.text()).not.toContain(TOKENS.write)
  })
})

it('where no token is wanted, everybody on this machine is the operator and need not log in', async () => {
  await serve({ kind: 'loopback', host: '127.0.0.1' })
  const answer = await ask('GET', '/api/v1/session')
  expect(await answer.json()).toEqual({
    ...{ name: 'operator', by: 'local', roles: [...ALL_ROLES] },
    ...{ endsAt: null, idleUntil: null },
  })
  const login = await ask('POST', '/api/v1/session', { headers: own(), body: { token: 'anything' } })
  expect([login.status, login.headers.getSetCookie()]).toEqual([200, []])
})

describe('the log and the metrics', () => {
  const refusals = async (): Promise<string[]> =>
    (await metrics.text()).split('\n').filter(line => line.startsWith('sluice_api_refused_total'))

  it('say who logged in, and whether nobody did', async () => {
    await serve(WITH_TOKENS)
    await logIn('a-token-of-anns-own')
    await ask('POST', '/api/v1/session', { body: { token: 'wrong' } })
    expect(told('asked by the API')).toMatchObject([
      { who: 'ann', by: 'session', operation: 'logIn', status: 200 },
      { who: '', by: null, operation: 'logIn', status: 401 },
    ])
  })

  it('count refusals by reason, from the first one on, and log wrong tokens and missing roles', async () => {
    await serve(WITH_TOKENS)
    expect(await refusals()).toContain('sluice_api_refused_total{reason="wrong-token"} 0')
    const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })
    await ask('GET', '/api/v1/runs')
    await ask('GET', '/api/v1/runs', bearer('wrong'))
    await ask('GET', '/api/v1/runs', bearer('wrong'))
    await ask('POST', RUNS, bearer(TOKENS.read))
    const reset = RUNS.replace('/runs', '/reset')
    await ask('POST', reset, bearer('a-token-of-anns-own'))
    expect(await refusals()).toEqual([
      'sluice_api_refused_total{reason="no-token"} 1',
      'sluice_api_refused_total{reason="wrong-token"} 2',
      'sluice_api_refused_total{reason="too-many-tokens"} 0',
      'sluice_api_refused_total{reason="page"} 0',
      'sluice_api_refused_total{reason="sign-in"} 0',
      'sluice_api_refused_total{reason="role"} 2',
    ])
    const [first] = told('the API refused a request')
    expect(first).toMatchObject({ reason: 'wrong-token', address: '127.0.0.1', method: 'GET', omitted: 0 })
    expect(logged.join()).not.toContain('Bearer')
  })
})

it('strangers who send a body slowly keep nobody from a sign-in', async () => {
  await serve(WITH_TOKENS)
  await Promise.all(Array.from({ length: 30 }, () => openSlowly('/api/v1/sign-in')))
  const answer = await ask('POST', '/api/v1/sign-in', { headers: own(), body: {} })
  // This server has no provider, and says so.
  expect([answer.status, await answer.text()]).toEqual([409, expect.stringContaining('SLUICE_OIDC_ISSUER')])
})

it('a client that goes away while its session is checked keeps no place', async () => {
  await serve(WITH_TOKENS)
  const login = await ask('POST', '/api/v1/session', { headers: own(), body: { token: TOKENS.write } })
  const before = new URL(base).port
  // A server that has just started derives the key of the session first.
  await serve(WITH_TOKENS)
  const cookie =
    (login.headers.getSetCookie()[0] ?? '').replace(before, new URL(base).port).split(';')[0] ?? ''
  const leaving = Array.from({ length: 4 }, async () => {
    const headers = { cookie, expect: '100-continue' }
    const asked = request(`${base}/api/v1/tokens`, { headers, agent: false })
    asked.on('error', () => undefined)
    asked.flushHeaders()
    await once(asked, 'continue')
    asked.destroy()
  })
  await Promise.all(leaving)
  await expect
    .poll(async () => (await ask('GET', '/api/v1/tokens', { headers: { cookie } })).status, {
      timeout: 5_000,
    })
    .toBe(200)
})
