/** The promises of every HTTP sender, tried against a real server that behaves well and badly. */
import { createServer as createHttpsServer } from 'node:https'
import { createServer, type AddressInfo } from 'node:net'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { TEST_CERTIFICATE } from '@sluice/testkit/test-certificate'
import type { HttpSender, OutgoingRequest } from '../src/port.ts'

export interface SenderHarness {
  /**
   * A sender with at most so many connections to an origin. It keeps 64 KiB of a body and reads 1 MiB beyond.
   */
  open(options: { readonly connections: number }): HttpSender
}

const BODY_LIMIT = 64 * 1024

export function httpSenderContract(name: string, harness: SenderHarness): void {
  describe(`the HTTP sender ${name}`, () => {
    let api: ScriptedApi
    let sender: HttpSender
    let single: HttpSender
    beforeEach(async () => {
      api = await startScriptedApi()
      sender = harness.open({ connections: 10 })
      single = harness.open({ connections: 1 })
    })
    afterEach(async () => {
      await sender[Symbol.asyncDispose]()
      await single[Symbol.asyncDispose]()
      await api.close()
    })

    const never = new AbortController().signal
    const request = (over: Partial<OutgoingRequest> = {}): OutgoingRequest => ({
      method: 'POST',
      url: `${api.url}/rows`,
      headers: { 'content-type': 'application/json' },
      body: new TextEncoder().encode('{"id":1}'),
      timeoutMs: 10_000,
      signal: never,
      ...over,
    })
    const send = (over: Partial<OutgoingRequest> = {}) => sender.send(request(over))
    /**
     * The same over one connection. With more, the next request may open a second one while the first is
     * being freed.
     */
    const sendOnOne = (over: Partial<OutgoingRequest> = {}) => single.send(request(over))

    describe('sends the request that it is given', () => {
      it('sends method, path, headers and body as they are, and gives status, headers and body back', async () => {
        api.on({}, { status: 201, headers: { 'X-Id': 'a', 'X-More': ['b', 'c'] }, body: 'schön' })
        const before = Date.now()
        const result = await send({
          method: 'PATCH',
          headers: { 'X-Key': 'k', 'content-type': 'text/plain' },
        })
        expect(result).toMatchObject({ kind: 'answered', status: 201, body: 'schön' })
        expect(result).toHaveProperty(['headers', 'x-id'], 'a')
        expect(result).toHaveProperty(['headers', 'x-more'], 'b, c')
        expect(result.startedAt).toBeGreaterThanOrEqual(before)
        expect(result.durationMs).toBeGreaterThan(0)
        expect(api.requests[0]).toMatchObject({ method: 'PATCH', url: '/rows', body: '{"id":1}' })
        expect(api.requests[0]?.headers).toMatchObject({ 'x-key': 'k', 'content-length': '8' })
      })

      it.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])('sends %s without a body', async method => {
        expect(await send({ method, body: null })).toMatchObject({ kind: 'answered', status: 200 })
        expect(api.requests[0]).toMatchObject({ method, body: '' })
      })

      it('keeps one connection through a hundred requests one after the other, DELETE with a body too', async () => {
        for (let n = 0; n < 100; n += 1) await sendOnOne({ method: n % 2 === 0 ? 'POST' : 'DELETE' })
        expect(api.figures.connections).toBe(1)
      })

      it('leaves the path as it was rendered, and encodes what no request line may hold', async () => {
        await send({ url: `${api.url}/a%2Fb/../c?q=%20&x=/#part` })
        await send({ url: `${api.url}/ü b\r\nX: y` })
        await send({ url: `${api.url}?only=query`.replace('http', 'HTTP') })
        expect(api.requests.map(seen => seen.url)).toEqual([
          '/a%2Fb/../c?q=%20&x=/',
          '/%C3%BC%20b%0D%0AX:%20y',
          '/?only=query',
        ])
      })

      it('does not follow a redirect', async () => {
        api.on({}, { status: 307, headers: { location: `${api.url}/elsewhere` } })
        expect(await send()).toMatchObject({ kind: 'answered', status: 307 })
        expect(api.requests).toHaveLength(1)
      })

      it('opens no more connections than it may, and the others wait their turn', async () => {
        const results = await Promise.all(Array.from({ length: 200 }, () => send()))
        expect(results.every(result => result.kind === 'answered')).toBe(true)
        expect(api.figures.connections).toBeLessThanOrEqual(10)
      })
    })

    describe('reads answers within bounds', () => {
      it('cuts a long body at the limit, drains it and keeps the connection', async () => {
        api.on({}, { body: 'x'.repeat(BODY_LIMIT + 300_000) })
        const result = await sendOnOne()
        expect(result).toMatchObject({ kind: 'answered', body: 'x'.repeat(BODY_LIMIT), cut: true })
        await sendOnOne()
        expect(api.figures.connections).toBe(1)
      })

      it('keeps more of a body if more is wanted, and says whether that is all of it', async () => {
        const wanted = { bodyLimitBytes: BODY_LIMIT + 1000 }
        const whole = 'x'.repeat(BODY_LIMIT + 1000)
        api.on({}, { body: whole }, { times: 1 })
        expect(await send(wanted)).toMatchObject({ body: whole, cut: false })
        api.on({}, { headers: { 'content-encoding': 'gzip' }, body: gzipSync(whole) }, { times: 1 })
        expect(await send(wanted)).toMatchObject({ body: whole, cut: false })
        api.on({}, { body: `${whole}y` }, { times: 1 })
        expect(await send(wanted)).toMatchObject({ body: whole, cut: true })
      })

      it('closes the connection of a body that does not end, and still gives the answer', async () => {
        api.on({}, { body: 'y'.repeat(8 * 1024 * 1024) }, { times: 1 })
        const result = await sendOnOne()
        expect(result).toMatchObject({ kind: 'answered', status: 200, body: 'y'.repeat(BODY_LIMIT) })
        await sendOnOne()
        expect(api.figures.connections).toBe(2)
      })

      it('never cuts a character in two', async () => {
        api.on({}, { body: `x${'ü'.repeat(BODY_LIMIT)}` })
        const result = await send()
        expect(result).toMatchObject({ body: `x${'ü'.repeat(BODY_LIMIT / 2 - 1)}` })
      })

      it.each([
        ['gzip', gzipSync],
        ['deflate', deflateSync],
        ['deflate', deflateRawSync],
        ['br', brotliCompressSync],
      ])('undoes %s', async (encoding, compress) => {
        api.on({}, { headers: { 'content-encoding': encoding }, body: compress('{"ok":true}') })
        expect(await send()).toMatchObject({ body: '{"ok":true}' })
      })

      it('a small answer that unpacks to a huge one is cut at the limit', async () => {
        const bomb = gzipSync(Buffer.alloc(50_000_000, 'z'))
        api.on({}, { headers: { 'content-encoding': 'gzip' }, body: bomb })
        expect(await send()).toMatchObject({ kind: 'answered', body: 'z'.repeat(BODY_LIMIT), cut: true })
      })

      it('an answer that is not packed as it says keeps its status', async () => {
        api.on({}, { status: 400, headers: { 'content-encoding': 'gzip' }, body: 'no gzip at all' })
        expect(await send()).toMatchObject({ kind: 'answered', status: 400, cut: true })
      })

      it('an answer that is packed in an unknown way counts as cut', async () => {
        api.on({}, { headers: { 'content-encoding': 'zip' }, body: '{"ok":true}' })
        expect(await send()).toMatchObject({ kind: 'answered', status: 200, cut: true })
      })

      it('reads the charset that the answer names, and replaces invalid bytes', async () => {
        const headers = { 'content-type': 'text/plain; charset=ISO-8859-1' }
        api.on({ url: '/latin' }, { headers, body: new Uint8Array([0x66, 0xfc, 0x72]) })
        api.on({ url: '/broken' }, { body: new Uint8Array([0x61, 0xff, 0x62]) })
        api.on({ url: '/odd' }, { headers: { 'content-type': 'text/plain; charset=klingon' }, body: 'ü' })
        expect(await send({ url: `${api.url}/latin` })).toMatchObject({ body: 'für' })
        expect(await send({ url: `${api.url}/broken` })).toMatchObject({ body: 'a�b' })
        expect(await send({ url: `${api.url}/odd` })).toMatchObject({ body: 'ü' })
      })
    })

    describe('tells a request that may have been applied from one that cannot', () => {
      it('a refused connection is not-sent, with the address', async () => {
        const port = await freePort()
        expect(await send({ url: `http://127.0.0.1:${port}/` })).toMatchObject({
          kind: 'failed',
          reason: 'not-sent',
          error: `connect ECONNREFUSED 127.0.0.1:${port}`,
        })
        const result = await send({ url: `http://localhost:${port}/` })
        expect(result).toMatchObject({ reason: 'not-sent', error: expect.stringContaining('ECONNREFUSED') })
      })

      it('a name that does not resolve is not-sent', async () => {
        const result = await send({ url: 'http://nowhere.invalid/' })
        expect(result).toMatchObject({
          reason: 'not-sent',
          error: expect.stringContaining('nowhere.invalid'),
        })
      })

      it('a server that does not speak TLS is not-sent', async () => {
        const result = await send({ url: api.url.replace('http:', 'https:') })
        expect(result).toMatchObject({ kind: 'failed', reason: 'not-sent' })
        expect(api.requests).toHaveLength(0)
      })

      it('a server whose certificate is not trusted is not-sent, and is spoken to once it is', async () => {
        const server = createHttpsServer(TEST_CERTIFICATE, (_request, response) => response.end('over TLS'))
        await new Promise<void>(resolve => server.listen(0, '127.0.0.1', () => resolve()))
        const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`
        expect(await send({ url })).toMatchObject({
          kind: 'failed',
          reason: 'not-sent',
          error: expect.stringContaining('self-signed'),
        })
        const connection = { tls: { ca: TEST_CERTIFICATE.cert } }
        expect(await send({ url, connection })).toMatchObject({ kind: 'answered', body: 'over TLS' })
        server.closeAllConnections()
        await new Promise(resolve => server.close(resolve))
      })

      it('a connection that does not open in time is not-sent', async () => {
        await using deaf = await deafTlsServer()
        const result = await send({ url: `https://127.0.0.1:${deaf.port}/`, timeoutMs: 100 })
        expect(result).toMatchObject({
          kind: 'failed',
          reason: 'not-sent',
          error: 'no connection within 100 ms',
        })
      })

      it('a reset before the server read the body is broken', async () => {
        api.on({}, { fault: 'reset-before-reading' })
        expect(await send()).toMatchObject({ kind: 'failed', reason: 'broken' })
      })

      it('a reset on a reused connection is broken though no byte of an answer came', async () => {
        api.on({ reused: true }, { fault: 'reset-after-reading' })
        expect(await sendOnOne()).toMatchObject({ kind: 'answered' })
        const result = await sendOnOne()
        expect(result).toMatchObject({ kind: 'failed', reason: 'broken', error: expect.any(String) })
        expect(api.requests).toHaveLength(2)
      })

      it('never sends a request twice on its own', async () => {
        api.on({}, { fault: 'reset-after-reading' })
        await Promise.all(Array.from({ length: 50 }, () => send()))
        expect(api.requests).toHaveLength(50)
      })

      it('an answer that breaks off is broken', async () => {
        api.on({}, { body: 'x'.repeat(1000), fault: 'close-mid-answer' })
        expect(await send()).toMatchObject({ kind: 'failed', reason: 'broken' })
      })

      it('an answer that is no HTTP is broken', async () => {
        await using server = await rawServer('SSH-2.0-OpenSSH_9.2\r\n')
        const result = await send({ url: `http://127.0.0.1:${server.port}/` })
        expect(result).toMatchObject({ kind: 'failed', reason: 'broken' })
      })

      it('an idle connection that the server has cut costs no request', async () => {
        for (let n = 0; n < 20; n += 1) {
          expect(await sendOnOne()).toMatchObject({ kind: 'answered' })
          api.cutConnections(n % 2 === 0 ? 'reset' : 'end')
        }
        expect(api.requests).toHaveLength(20)
      })

      it('no answer in time is a timeout, and the connection is closed', async () => {
        api.on({}, { fault: 'hang' })
        const result = await send({ timeoutMs: 50 })
        expect(result).toMatchObject({ kind: 'failed', reason: 'timeout', error: 'no answer within 50 ms' })
        await expect.poll(() => api.figures.openConnections).toBe(0)
      })

      it('an answer that does not end in time is a timeout', async () => {
        api.on({}, { status: 202, body: 'x'.repeat(1000), fault: 'hang-mid-answer' })
        expect(await send({ timeoutMs: 50 })).toMatchObject({
          kind: 'failed',
          reason: 'timeout',
          error: 'the answer (status 202) did not end within 50 ms',
        })
      })

      it.each([
        ['a header value with a line break', { headers: { 'x-a': 'b\r\nx-evil: 1' } }],
        ['a header name with a space', { headers: { 'x a': 'b' } }],
        ['a wrong content-length', { headers: { 'content-length': '3' } }],
        ['a URL without a scheme', { url: 'example.com/' }],
        ['a URL of another scheme', { url: 'file:///etc/passwd' }],
        ['a URL with a backslash behind its port', { url: 'http://127.0.0.1:1\\x' }],
        ['a header beyond Latin-1', { headers: { 'x-a': '漢' } }],
        ['a header that asks for 100 Continue', { headers: { expect: '100-continue' } }],
        ['a URL without a host', { url: 'http:///path' }],
        ['an impossible port', { url: 'http://127.0.0.1:99999/' }],
        ['a malformed method', { method: 'PO ST' }],
      ])('%s is invalid and says why', async (_what, over) => {
        const result = await send(over)
        expect(result).toMatchObject({
          kind: 'failed',
          reason: 'invalid',
          error: expect.stringMatching(/\w/),
        })
        expect(api.requests).toHaveLength(0)
        expect(await send()).toMatchObject({ kind: 'answered' })
      })
    })

    describe('stops when it should', () => {
      it('an abort rejects with its reason, before sending, in flight and in the body', async () => {
        const reason = new Error('the run was cancelled')
        await expect(send({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
        api.on({ url: '/rows' }, { fault: 'hang' })
        api.on({ url: '/body' }, { body: 'x'.repeat(1000), fault: 'hang-mid-answer' })
        const abort = new AbortController()
        const inFlight = send({ signal: abort.signal })
        const inBody = send({ signal: abort.signal, url: `${api.url}/body` })
        await api.waitFor(2)
        abort.abort(reason)
        await expect(inFlight).rejects.toBe(reason)
        await expect(inBody).rejects.toBe(reason)
        await expect.poll(() => api.figures.openConnections).toBe(0)
      })

      it('an abort of one request leaves others under the same sender alone', async () => {
        const gate = Promise.withResolvers<void>()
        api.on({}, async () => {
          await gate.promise
          return {}
        })
        const abort = new AbortController()
        const aborted = send({ signal: abort.signal })
        const other = send()
        await api.waitFor(2)
        abort.abort(new Error('only this one'))
        await expect(aborted).rejects.toThrow('only this one')
        gate.resolve()
        expect(await other).toMatchObject({ kind: 'answered' })
      })

      it('requests that gave up waiting for a connection do not hold up those behind them', async () => {
        const gate = Promise.withResolvers<void>()
        api.on({ url: '/slow' }, async () => {
          await gate.promise
          return {}
        })
        const slow = single.send(request({ url: `${api.url}/slow` }))
        await api.waitFor(1)
        const abort = new AbortController()
        const late = Array.from({ length: 20 }, () => single.send(request({ timeoutMs: 20 })))
        const given = Array.from({ length: 20 }, () => single.send(request({ signal: abort.signal })))
        const last = single.send(request({ url: `${api.url}/last` }))
        for (const result of await Promise.all(late)) expect(result).toMatchObject({ reason: 'not-sent' })
        abort.abort(new Error('no more'))
        for (const each of await Promise.allSettled(given)) expect(each.status).toBe('rejected')
        gate.resolve()
        expect(await slow).toMatchObject({ kind: 'answered' })
        expect(await last).toMatchObject({ kind: 'answered' })
        expect(api.requests.map(seen => seen.url)).toEqual(['/slow', '/last'])
        expect(api.figures.connections).toBe(1)
      })

      it('a request whose lease ends while it waits for a connection is late, and the connection stays', async () => {
        const gate = Promise.withResolvers<void>()
        api.on({ url: '/slow' }, async () => {
          await gate.promise
          return {}
        })
        const slow = sendOnOne({ url: `${api.url}/slow` })
        await api.waitFor(1)
        const sendBeforeMs = elapsedMs() + 20
        const late = sendOnOne({ sendBeforeMs })
        const inTime = sendOnOne({ sendBeforeMs: sendBeforeMs + 10_000, url: `${api.url}/next` })
        await new Promise(resolve => setTimeout(resolve, 30))
        gate.resolve()
        expect(await slow).toMatchObject({ kind: 'answered' })
        expect(await late).toMatchObject({ kind: 'failed', reason: 'not-sent', late: true })
        expect(await inTime).toMatchObject({ kind: 'answered' })
        expect(await sendOnOne({ sendBeforeMs })).toMatchObject({ reason: 'not-sent', late: true })
        expect(api.requests.map(seen => seen.url)).toEqual(['/slow', '/next'])
        expect(api.figures.connections).toBe(1)
      })

      it('a late request has waited only if a connection was opened for it meanwhile', async () => {
        const sendWhileBusy = () => {
          const sendBeforeMs = elapsedMs() + 5
          const late = sendOnOne({ sendBeforeMs })
          while (elapsedMs() <= sendBeforeMs + 5);
          return late
        }
        const first = await sendWhileBusy()
        expect(first).toMatchObject({ reason: 'not-sent', late: true })
        expect(first.durationMs).toBeGreaterThan(5)
        expect(await sendOnOne()).toMatchObject({ kind: 'answered' })
        expect(await sendWhileBusy()).toMatchObject({ reason: 'not-sent', late: true, durationMs: 0 })
        expect(api.figures.connections).toBe(1)
      })

      it('a sender that is disposed fails requests under way and later ones', async () => {
        api.on({}, { fault: 'hang' })
        const inFlight = send()
        await api.waitFor(1)
        await sender[Symbol.asyncDispose]()
        expect(await inFlight).toMatchObject({ kind: 'failed', reason: 'broken' })
        expect(await send()).toMatchObject({ kind: 'failed', reason: 'not-sent' })
      })
    })
  })
}

/** A port on which no process listens. */
async function freePort(): Promise<number> {
  await using server = await rawServer('')
  return server.port
}

/** Accepts connections and never says a word, so that no TLS handshake ends. */
function deafTlsServer() {
  return rawServer('')
}

async function rawServer(answer: string): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.on('data', () => {
      if (answer !== '') socket.end(answer)
    })
    closing.push(() => socket.destroy())
  })
  const closing: (() => void)[] = []
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', () => resolve()))
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () =>
      new Promise<void>(resolve => {
        server.close(() => resolve())
        for (const close of closing) close()
      }),
  }
}
