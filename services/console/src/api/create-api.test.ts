/** The API over real HTTP, for a project in which nothing ever ran. */
import { request as send, type IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { problem, resourcesPage, runsPage, syncsPage } from '@sluice/contracts/api'
import { destinationsPage } from '@sluice/contracts/api/operating'
import { SluiceError } from '@sluice/contracts/errors'
import type { Catalog } from '@sluice/control/catalog'
import type { Pipeline } from '@sluice/control/pipeline'
import { ProjectControl, type ProjectHost } from '@sluice/control/project-control'
import type { LimitUsage } from '@sluice/rate-limit/port'
import { createLogger } from '@sluice/runtime/logger'
import { sampleDefinition } from '@sluice/testkit/sample-records'
import { z } from 'zod'
import { AskedRuns } from '../asked-runs.ts'
import type { Access } from './access.ts'
import { createApi } from './create-api.ts'
import { listen } from '../../test/test-listener.ts'

const DEFINITION = sampleDefinition({})
const SYNC = DEFINITION.sync.name
const TOKENS = { write: 'write-token-0123', read: 'read-token-0123' }
const logger = createLogger({ name: 'test', level: 'silent' })

const catalog: Catalog = {
  syncs: () => Promise.resolve(new Set([SYNC])),
  definition: () => Promise.resolve(DEFINITION),
  resources: () => Promise.resolve(Object.values(DEFINITION)),
  publish: () => Promise.resolve(null),
}
/** Its operations need topics, which it cannot open. */
const host: ProjectHost = {
  hasHistory: false,
  open: () => Promise.reject(new SluiceError('unreachable', 'Kafka does not answer')),
  assertSecrets: () => Promise.resolve(),
  openNextRun: () => Promise.reject(new Error('the password is hunter2')),
  openNoticeSenders: () => Promise.reject(new Error('no alert is told here')),
}
const control = new ProjectControl(catalog, host)

const described = z.object({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({
        parameters: z.array(
          z.object({
            name: z.string(),
            schema: z.object({
              type: z.string().optional(),
              minimum: z.number().optional(),
              maximum: z.number().optional(),
            }),
          }),
        ),
        requestBody: z.object({ required: z.boolean() }).optional(),
      }),
    ),
  ),
})

interface Answered {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

interface Server extends AsyncDisposable {
  readonly port: number
  ask(
    method: string,
    path: string,
    of?: { headers?: Record<string, string>; body?: string },
  ): Promise<Answered>
}

async function serve(access: Access, served = control): Promise<Server> {
  const asked = new AskedRuns({ logger, cancel: new AbortController().signal })
  const openControl = (): Promise<ProjectControl> => Promise.resolve(served)
  const api = await createApi({ access, openControl, asked, logger, badLoginMs: 1 })
  const server = await listen(api.listener)
  const { port } = server
  return {
    port,
    ask: (method, path, { headers = {}, body } = {}) =>
      new Promise((resolve, reject) => {
        const request = send({ port, host: '127.0.0.1', method, path, headers }, response => {
          let text = ''
          response.setEncoding('utf8')
          response.on('data', (part: string) => (text += part))
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
          )
        })
        request.on('error', reject)
        request.end(body)
      }),
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

let server: Server
beforeAll(async () => {
  server = await serve({ kind: 'loopback', host: '127.0.0.1' })
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

const JSON_TYPE = { 'content-type': 'application/json' }

describe('answers', () => {
  it('are documents of their schemas', async () => {
    const get = async (path: string): Promise<unknown> => JSON.parse((await server.ask('GET', path)).body)
    expect(runsPage.parse(await get('/api/v1/runs'))).toEqual({ runs: [], next: null })
    const { syncs } = syncsPage.parse(await get('/api/v1/syncs'))
    expect(syncs).toMatchObject([{ name: SYNC, lastRun: null }])
    const { resources } = resourcesPage.parse(await get('/api/v1/resources?limit=1000'))
    expect(resources.map(({ kind }) => kind)).toEqual(['destination', 'model', 'source', 'sync'])
    expect(resources.find(({ kind }) => kind === 'sync')?.spec).toMatchObject({ timeout: expect.any(String) })
    expect((await server.ask('GET', `/api/v1/resources/sync/${SYNC}`)).status).toBe(200)
  })

  it("have the use of each destination's limits, and nothing if no limits are kept", async () => {
    const told = async (of: Pick<Server, 'ask'>) =>
      destinationsPage.parse(JSON.parse((await of.ask('GET', '/api/v1/destinations')).body))
    const { name, limits } = DEFINITION.destination
    const limit = limits?.concurrency ?? 100
    const unknown = { destinations: [{ name, concurrency: { limit, inUse: null } }], next: null }
    expect(await told(server)).toMatchObject(unknown)
    const scopes: string[] = []
    const usage: LimitUsage = {
      slotsTaken: scope => {
        scopes.push(scope)
        return Promise.resolve(37)
      },
    }
    const runs = { all: () => [], caughtUp: () => Promise.resolve() }
    const open = (): Promise<Pipeline> => Promise.resolve({ usage, runs, vault: null } as unknown as Pipeline)
    const knowing = new ProjectControl(catalog, { ...host, hasHistory: true, open })
    await using other = await serve({ kind: 'loopback', host: '127.0.0.1' }, knowing)
    expect(await told(other)).toMatchObject({
      ...unknown,
      destinations: [{ name, concurrency: { limit, inUse: 37 } }],
    })
    expect(scopes).toEqual([`destination/${name}`])
  })

  it('come in pages whose cursors lead on to the end', async () => {
    const kinds: string[] = []
    for (let after = ''; ;) {
      const { body } = await server.ask('GET', `/api/v1/resources?limit=1${after}`)
      const { resources, next } = resourcesPage.parse(JSON.parse(body))
      kinds.push(...resources.map(({ kind }) => kind))
      if (next === null) break
      after = `&after=${next}`
    }
    expect(kinds).toEqual(['destination', 'model', 'source', 'sync'])
  })

  it('carry headers that keep browsers from doing anything with them', async () => {
    for (const path of ['/api/v1/runs', '/api/v1/runs/X', '/api/v1/%FF', '/elsewhere', '/%FF']) {
      const { headers } = await server.ask('GET', path)
      expect(headers).toMatchObject({
        'cache-control': 'no-store',
        'content-security-policy': expect.stringMatching(
          path.startsWith('/api/v1')
            ? /^default-src 'none'; frame-ancestors 'none'$/
            : /^default-src 'none'; script-src 'self'; .*frame-ancestors 'none'$/,
        ),
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
      })
      expect(headers).not.toHaveProperty('access-control-allow-origin')
    }
  })

  it('describe themselves in a document of OpenAPI 3.1', async () => {
    const { body } = await server.ask('GET', '/api/v1/openapi.json')
    const document: { openapi: string; paths: { [path: string]: { [method: string]: unknown } } } =
      JSON.parse(body)
    expect(document.openapi).toBe('3.1.0')
    expect(Object.keys(document.paths)).toContain('/api/v1/syncs/{name}/runs')
    expect(document).toMatchObject({ servers: [{ url: '/' }] })
    const schema = { type: 'integer', minimum: 1, maximum: 1000 }
    expect(document.paths['/api/v1/runs']?.['get']).toMatchObject({
      parameters: expect.arrayContaining([{ name: 'limit', in: 'query', required: false, schema }]),
    })
  })

  it('describe the limits of their input that the server checks', async () => {
    const { body } = await server.ask('GET', '/api/v1/openapi.json')
    const { paths } = described.parse(JSON.parse(body))
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, of]) => ({ path, method, ...of })),
    )
    const answers = await Promise.all(
      operations.flatMap(({ path, method, parameters, requestBody }) => {
        const at = path.replaceAll(/\{kind\}/g, 'sync').replaceAll(/\{\w+\}/g, SYNC)
        const numbers = parameters.filter(({ schema }) => schema.type === 'integer')
        const beyond = numbers.flatMap(({ name, schema: { minimum = 0, maximum = 0 } }) =>
          [minimum - 1, maximum + 1].map(async number => {
            const { status } = await server.ask(method.toUpperCase(), `${at}?${name}=${number}`)
            return [method, path, `${name}=${number}`, status === 400]
          }),
        )
        if (requestBody === undefined) return beyond
        const withoutBody = server.ask(method.toUpperCase(), at).then(({ status }) => {
          return [method, path, 'no body', requestBody.required === (status === 400)]
        })
        return [...beyond, withoutBody]
      }),
    )
    expect(answers.filter(([, , , isHeld]) => isHeld !== true)).toEqual([])
    expect(answers.length).toBeGreaterThan(40)
  })

  it('refuse a method that no route has, for every caller', async () => {
    await using guarded = await serve({ kind: 'tokens', tokens: TOKENS })
    for (const method of ['TRACE', 'PATCH', 'OPTIONS']) {
      for (const [path, allow] of [
        ['/api/v1/runs', 'GET'],
        ['/api/v1/resources/sync/people', 'GET, PUT, DELETE'],
        ['/api/v1/none', 'HEAD, GET, POST, DELETE, PUT'],
      ] as const) {
        const { status, headers } = await guarded.ask(method, path)
        expect([method, path, status, headers.allow]).toEqual([method, path, 405, allow])
      }
    }
  })
})

describe('input', () => {
  it.each([
    ['GET', '/api/v1/runs?limit=0', 400, 'limit'],
    ['GET', '/api/v1/runs?limit=1e3', 400, 'limit'],
    ['GET', '/api/v1/runs?limit=1&limit=2', 400, 'limit'],
    ['GET', '/api/v1/runs?snyc=people', 400, 'snyc'],
    ['GET', '/api/v1/resources?after=%00', 400, 'cursor'],
    ['GET', '/api/v1/resources?after=bnVsbA', 400, 'cursor'],
    ['GET', '/api/v1/attempts?since=yesterday', 400, 'since'],
    ['GET', '/api/v1/attempts?status=99', 400, 'status'],
    ['GET', '/api/v1/runs?sync=__proto__', 404, '__proto__'],
    ['GET', '/api/v1/runs/..%2f..%2fetc', 404, 'no run'],
    ['GET', '/api/v1/runs/%FF', 400, '%FF'],
    ['GET', `/api/v1/runs/${'x'.repeat(300)}`, 400, 'id'],
    ['GET', `/api/v1/runs/${'x'.repeat(3000)}`, 414, 'x'],
    ['GET', '/api/v1/resources/secret/x', 400, 'kind'],
    ['GET', '/api/v1/resources/sync/none', 404, 'none'],
    ['GET', '/api/v1', 404, 'nothing here'],
    ['GET', '/etc/passwd', 404, 'nothing here'],
    ['DELETE', '/api/v1/runs', 405, 'GET'],
    ['QUERY', '/api/v1/runs', 405, 'GET'],
    ['POST', '/api/v1/runs/X', 405, 'GET'],
    ['GET', '/api/v1/syncs/people/runs', 405, 'POST'],
  ])('%s %.60s is %i, with a reason', async (method, path, status, reason) => {
    const answer = await server.ask(method, path)
    expect(answer.status).toBe(status)
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json(;|$)/)
    expect(problem.parse(JSON.parse(answer.body)).detail).toContain(reason)
  })

  it.each([
    ['no JSON', JSON_TYPE, '{', 400],
    ['a list', JSON_TYPE, '[]', 400],
    ['a text', JSON_TYPE, '"x"', 400],
    ['null', JSON_TYPE, 'null', 400],
    ['an unknown field', JSON_TYPE, '{"scope":{}}', 400],
    ['a prototype', JSON_TYPE, '{"__proto__":{"as":"added"}}', 400],
    ['another type', { 'content-type': 'text/plain' }, '{}', 415],
    ['a form', { 'content-type': 'application/x-www-form-urlencoded' }, 'a=1', 415],
    ['a megabyte', JSON_TYPE, `{"key":"${'x'.repeat(1_000_000)}"}`, 413],
    ['another encoding', { ...JSON_TYPE, 'content-encoding': 'gzip' }, '{}', 503],
    ['a body that fits', JSON_TYPE, '{"as":"changed"}', 503],
  ])('with %s as body is answered', async (_what, headers, body, status) => {
    const answer = await server.ask('POST', `/api/v1/syncs/${SYNC}/resync`, { headers, body })
    expect(answer.status).toBe(status)
    problem.parse(JSON.parse(answer.body))
  })

  it('that hits a bug gets an answer without the error', async () => {
    const { status, body } = await server.ask('GET', `/api/v1/preview?sync=${SYNC}`)
    expect([status, body.includes('hunter2')]).toEqual([500, false])
  })
})

describe('a token', () => {
  it('is wanted for everything, and the one for reading does not write', async () => {
    await using guarded = await serve({ kind: 'tokens', tokens: TOKENS })
    const bearer = (token: string): { headers: Record<string, string> } => ({
      headers: { authorization: `Bearer ${token}` },
    })
    for (const path of ['/api/v1/runs', '/api/v1/openapi.json', '/nothing', '/api/v1/syncs/x/runs']) {
      const { status, headers } = await guarded.ask('GET', path)
      expect([path, status, headers['www-authenticate']]).toEqual([path, 401, 'Bearer realm="sluice"'])
    }
    const run = `/api/v1/syncs/${SYNC}/runs`
    expect((await guarded.ask('GET', '/api/v1/runs', bearer(TOKENS.read))).status).toBe(200)
    expect((await guarded.ask('POST', run, bearer(TOKENS.read))).status).toBe(403)
    expect((await guarded.ask('POST', run, bearer(TOKENS.write))).status).toBe(503)
    expect((await guarded.ask('POST', run, { ...bearer('guess'), body: '{"' })).status).toBe(401)
  })

  it('for reading is refused on every route that writes', async () => {
    await using guarded = await serve({ kind: 'tokens', tokens: TOKENS })
    const bearer = { headers: { authorization: `Bearer ${TOKENS.read}` } }
    const { body } = await guarded.ask('GET', '/api/v1/openapi.json', bearer)
    const described = JSON.parse(body) as {
      readonly paths: { readonly [path: string]: { readonly [method: string]: unknown } }
    }
    const routes = Object.entries(described.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map(method => [method.toUpperCase(), path.replaceAll(/\{\w+\}/g, 'x')] as const),
    )
    const writing = routes.filter(([method]) => method !== 'GET')
    expect(writing.length).toBeGreaterThan(20)
    const answers = await Promise.all(
      writing.map(async ([method, path]) => {
        const { status } = await guarded.ask(method, path, bearer)
        return [method, path, status] as const
      }),
    )
    // Anybody may log in and out, and only this machine has the API of the sample project. A diff, and a dry
    // run of a replay, change nothing.
    const others = answers.filter(([, , status]) => status !== 403).map(([, path]) => path)
    expect(new Set(others.map(path => path.split('/').slice(3).join('/').replaceAll('/x', '')))).toEqual(
      new Set(['session', 'sign-in', 'sign-in/finish', 'sample/receiver/customers', 'diff']),
    )
  })

  it('is not wanted on this machine, but a page of another origin is refused', async () => {
    const { status } = await server.ask('POST', `/api/v1/syncs/${SYNC}/runs`, {
      headers: { origin: 'https://evil.example' },
    })
    expect(status).toBe(403)
    expect((await server.ask('GET', '/api/v1/runs', { headers: { host: 'evil.example' } })).status).toBe(403)
  })
})

it('requests in a row on a connection that breaks off end, and give back their places', async () => {
  const begun: AbortSignal[] = []
  const started = Promise.withResolvers<void>()
  const openNextRun: ProjectHost['openNextRun'] = (_definition, signal) => {
    begun.push(signal)
    if (begun.length === 2) started.resolve()
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  }
  const hanging = new ProjectControl(catalog, { ...host, openNextRun })
  await using busy = await serve({ kind: 'loopback', host: '127.0.0.1' }, hanging)
  const path = `/api/v1/preview?sync=${SYNC}`
  const socket = connect(busy.port, '127.0.0.1')
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(5))
  await started.promise
  const third = await busy.ask('GET', path)
  expect([third.status, third.headers['retry-after']]).toEqual([429, '1'])
  socket.destroy()
  await expect.poll(() => begun.map(({ aborted }) => aborted)).toEqual([true, true])
  const next = connect(busy.port, '127.0.0.1')
  next.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  await expect.poll(() => begun.length).toBe(3)
  next.destroy()
})
