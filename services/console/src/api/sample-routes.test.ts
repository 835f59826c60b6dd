/** The sample project and its receiver over real HTTP, with tokens. */
import { request as send } from 'node:http'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { sampleView } from '@sluice/contracts/api/operating'
import { ProjectControl } from '@sluice/control/project-control'
import { storedCatalog } from '@sluice/control/catalog'
import { createLogger } from '@sluice/runtime/logger'
import { openTestLog } from '@sluice/testkit/test-log'
import { AskedRuns } from '../asked-runs.ts'
import { createApi } from './create-api.ts'
import { listen } from '../../test/test-listener.ts'

const TOKEN = 'write-token-0123'
const logger = createLogger({ name: 'test', level: 'silent' })
const opened = new AsyncDisposableStack()
let embedded = 0
let elsewhere = 0
beforeAll(async () => {
  const log = opened.use(await openTestLog({ partitions: 0 }))
  const control = new ProjectControl(storedCatalog(log), {
    hasHistory: false,
    open: () => Promise.reject(new Error('nothing is opened here')),
    assertSecrets: () => Promise.resolve(),
    openNextRun: () => Promise.reject(new Error('no run is wanted')),
    openNoticeSenders: () => Promise.reject(new Error('no alert is told here')),
  })
  const serve = async (of: { readonly ownUrl?: () => string }): Promise<number> => {
    const asked = new AskedRuns({ logger, cancel: new AbortController().signal })
    const access = { kind: 'tokens', tokens: { write: TOKEN, read: null } } as const
    const serving = { access, openControl: () => Promise.resolve(control), asked, logger, badLoginMs: 1 }
    const api = opened.use(await createApi({ ...serving, ...of }))
    return opened.use(await listen(api.listener)).port
  }
  embedded = await serve({ ownUrl: () => 'http://127.0.0.1:4747' })
  elsewhere = await serve({})
})
afterAll(() => opened.disposeAsync())

interface Asking {
  readonly port?: number
  readonly from?: string
  readonly headers?: { readonly [name: string]: string }
}

function ask(method: string, path: string, { port = embedded, from, headers }: Asking = {}) {
  const sent = method === 'GET' || method === 'DELETE' ? '' : '{"id": 1}'
  const type = sent === '' ? {} : { 'content-type': 'application/json' }
  return new Promise<{ status: number; body: unknown }>((resolve, reject) => {
    const options = { port, host: '127.0.0.1', method, path: `/api/v1/sample${path}` }
    const request = send(
      { ...options, headers: { ...type, ...headers }, ...(from === undefined ? {} : { localAddress: from }) },
      response => {
        let text = ''
        response.on('data', (part: Buffer) => (text += String(part)))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) }))
      },
    )
    request.on('error', reject)
    request.end(sent)
  })
}
const authorization = `Bearer ${TOKEN}`

it('answers this machine with the body that it sends, without a token', async () => {
  expect(await ask('POST', '/receiver/customers')).toEqual({ status: 200, body: { received: { id: 1 } } })
  expect(await ask('PUT', '/receiver/customers/1')).toMatchObject({ status: 200 })
  expect(await ask('DELETE', '/receiver/customers/1')).toEqual({
    status: 200,
    body: { received: { id: '1' } },
  })
})

it('answers no other machine, and no page of another origin', async () => {
  expect(await ask('POST', '/receiver/customers', { from: '127.0.0.2' })).toMatchObject({ status: 404 })
  const headers = { origin: 'https://evil.example.com', 'sec-fetch-site': 'cross-site' }
  expect(await ask('POST', '/receiver/customers', { headers })).toMatchObject({ status: 403 })
})

it('does not exist where services run elsewhere', async () => {
  expect(await ask('POST', '/receiver/customers', { port: elsewhere })).toMatchObject({ status: 404 })
  const of = { port: elsewhere, headers: { authorization } }
  expect(await ask('GET', '', of)).toEqual({ status: 200, body: { sendsTo: null, documents: [] } })
})

it('is shown to callers who may read, with another address if one is named', async () => {
  expect(await ask('GET', '')).toMatchObject({ status: 401 })
  const own = sampleView.parse((await ask('GET', '', { headers: { authorization } })).body)
  expect(own.sendsTo).toBe('http://127.0.0.1:4747/api/v1/sample/receiver')
  const to = encodeURIComponent('https://example.com/a"b')
  const other = sampleView.parse((await ask('GET', `?to=${to}`, { headers: { authorization } })).body)
  expect(other.documents.find(({ kind }) => kind === 'destination')?.yaml).toContain(
    'baseUrl: "https://example.com/a\\"b"',
  )
  expect(await ask('GET', '?to=javascript:alert(1)', { headers: { authorization } })).toMatchObject({
    status: 400,
  })
})
