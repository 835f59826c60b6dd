import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { connect } from 'node:net'
import { expect, it } from 'vitest'
import { answerBrokenRequest } from './broken-request.ts'
import { SERVER_OPTIONS } from './health-server.ts'

/** Sends bytes to a server, and resolves with all that comes back until it closes the connection. */
async function answerTo(bytes: string, listener: RequestListener = () => undefined): Promise<string> {
  const server = createServer(SERVER_OPTIONS, listener).on('clientError', answerBrokenRequest)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  const socket = connect(address.port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('utf8').on('data', text => (answer += String(text)))
  socket.on('error', () => undefined)
  socket.write(bytes)
  await once(socket, 'close')
  server.closeAllConnections()
  server.close()
  return answer
}

it.each([
  ['a head that is too long', `GET /${'a'.repeat(70_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431],
  ['what is no request', 'HELLO\r\n\r\n', 400],
])('%s is answered with a problem', async (_, bytes, status) => {
  const [head = '', body = ''] = (await answerTo(bytes)).split('\r\n\r\n')
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  expect(head).toContain('Content-Type: application/problem+json')
  expect(head).toContain(`Content-Length: ${Buffer.byteLength(body)}`)
  expect(JSON.parse(body)).toEqual({
    type: 'urn:sluice:error:usage',
    title: expect.any(String),
    status,
    detail: expect.stringMatching(/[.]$/),
    code: 'usage',
    retryable: false,
    errors: [],
  })
})

it('an answer under way is not mixed with another one', async () => {
  const answer = await answerTo('GET / HTTP/1.1\r\nHost: x\r\n\r\nNONSENSE\r\n\r\n', (_request, response) => {
    response.write('begun')
  })
  expect(answer).not.toContain('problem')
})
