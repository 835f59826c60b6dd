/** Compressed answers over real HTTP. */
import { request as send, type IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import { gunzipSync } from 'node:zlib'
import { fastify } from 'fastify'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { listen } from '../../test/test-listener.ts'
import { compressAnswers, takesGzip } from './compression.ts'

const LONG = JSON.stringify({ rows: Array.from({ length: 500 }, (_, id) => ({ id, name: `row ${id}` })) })
const SHORT = '{"rows":[]}'
const JSON_TYPE = 'application/json; charset=utf-8'

let port = 0
let end = (): Promise<unknown> => Promise.resolve()
beforeAll(async () => {
  const app = fastify({ exposeHeadRoutes: true })
  compressAnswers(app)
  app.get('/long', (_request, reply) => reply.type(JSON_TYPE).header('etag', '"7"').send(LONG))
  app.get('/short', (_request, reply) => reply.type(JSON_TYPE).send(SHORT))
  app.get('/problem', (_request, reply) => reply.code(422).type('application/problem+json').send(LONG))
  app.get('/page', (_request, reply) => reply.type('text/html').send(LONG))
  app.get('/events', (_request, reply) => reply.type('text/event-stream').send(Readable.from([LONG])))
  await app.ready()
  const server = await listen((request, response) => app.routing(request, response))
  port = server.port
  end = async () => {
    await app.close()
    await server[Symbol.asyncDispose]()
  }
})
afterAll(() => end())

interface Answered {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

function ask(path: string, accepted?: string, method = 'GET'): Promise<Answered> {
  const headers = accepted === undefined ? {} : { 'accept-encoding': accepted }
  return new Promise((resolve, reject) => {
    const asked = send({ port, host: '127.0.0.1', method, path, headers }, response => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('end', () =>
        resolve({
          ...{ status: response.statusCode ?? 0, headers: response.headers },
          body: Buffer.concat(parts),
        }),
      )
    })
    asked.on('error', reject)
    asked.end()
  })
}

it.each(['/long', '/problem'])('compresses %s for a client that takes gzip', async path => {
  const { headers, body } = await ask(path, 'gzip, deflate, br')
  expect(headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'accept-encoding' })
  expect(Number(headers['content-length'])).toBe(body.length)
  expect(body.length).toBeLessThan(LONG.length / 3)
  expect(gunzipSync(body).toString()).toBe(LONG)
})

it.each([undefined, 'br', 'gzip;q=0'])(
  'sends an answer as it is to a client that says %s',
  async accepted => {
    const { headers, body } = await ask('/long', accepted)
    expect(headers['content-encoding']).toBeUndefined()
    // A cache between them must not give one client the answer of the other.
    expect(headers.vary).toBe('accept-encoding')
    expect(body.toString()).toBe(LONG)
  },
)

it.each([
  ['/short', SHORT],
  ['/page', LONG],
  ['/events', LONG],
])('leaves %s as it is', async (path, text) => {
  const { headers, body } = await ask(path, 'gzip')
  expect(headers['content-encoding']).toBeUndefined()
  expect(body.toString()).toBe(text)
})

it('keeps the ETag of an answer, and tells HEAD the same as GET', async () => {
  const [got, head] = await Promise.all([ask('/long', 'gzip'), ask('/long', 'gzip', 'HEAD')])
  expect(got.headers.etag).toBe('"7"')
  expect(head.body.length).toBe(0)
  for (const name of ['content-encoding', 'content-length', 'etag', 'vary'])
    expect(head.headers[name], name).toBe(got.headers[name])
})

it.each([
  [undefined, false],
  ['', false],
  ['gzip', true],
  ['br, GZIP', true],
  ['gzip; q=0.5', true],
  ['gzip; q=0.000', false],
  ['not-gzip', false],
])('reads `Accept-Encoding: %s`', (accepted, takes) => {
  expect(takesGzip(accepted)).toBe(takes)
})
