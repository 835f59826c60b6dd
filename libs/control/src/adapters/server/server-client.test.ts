/** Answers of a server that is none of ours, such as the page of a proxy. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { afterEach, expect, it } from 'vitest'
import { createServerControl } from '../server.ts'

const TOKEN = 'a-token-of-anns-own'
const { signal } = new AbortController()
const opened = new AsyncDisposableStack()
afterEach(() => opened.disposeAsync())

it('a server that repeats the token gets it masked, wherever the answer is cut', async () => {
  let before = 0
  const server = createServer((request, response) =>
    response.writeHead(502).end(`${'x'.repeat(before)}${request.headers.authorization ?? ''}`),
  ).listen(0, '127.0.0.1')
  opened.defer(() => void server.close().closeAllConnections())
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  const url = `http://127.0.0.1:${port}`
  const control = opened.use(createServerControl({ kind: 'url', url, token: TOKEN }))
  for (before = 150; before < 210; before += 5) {
    const error: unknown = await control
      .call('getRun', { id: 'R' }, { signal })
      .catch((thrown: unknown) => thrown)
    expect(String(error)).toContain('it answered 502')
    expect(String(error)).not.toContain(TOKEN.slice(0, 3))
  }
})
