import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { TcpProxy } from './tcp-proxy.ts'

let server: Server
let proxy: TcpProxy
const clients: Socket[] = []

/** Answers each piece with its text in capitals. */
beforeEach(async () => {
  server = createServer(socket => {
    socket.on('error', () => {})
    socket.on('data', data => socket.write(data.toString().toUpperCase()))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  proxy = await TcpProxy.start({ target: { host: '127.0.0.1', port: portOf(server) } })
})

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await proxy[Symbol.asyncDispose]()
  server.close()
})

function portOf(listening: Server): number {
  const address: AddressInfo | string | null = listening.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function client(): Promise<Socket> {
  const socket = connect(proxy.port, proxy.host)
  clients.push(socket)
  await once(socket, 'connect')
  return socket
}

async function ask(socket: Socket, text: string): Promise<string> {
  let answer = ''
  socket.write(text)
  while (answer.length < text.length) answer += String((await once(socket, 'data'))[0])
  return answer
}

/** The code of the error with which the socket ends. */
async function endOf(socket: Socket): Promise<unknown> {
  const [error] = await once(socket, 'error').catch((thrown: unknown) => [thrown])
  return error instanceof Error && 'code' in error ? error.code : error
}

test('passes bytes both ways and counts them', async () => {
  const socket = await client()
  expect(await ask(socket, 'hello')).toBe('HELLO')
  expect(proxy).toMatchObject({ bytesUp: 5, bytesDown: 5, connections: 1 })
})

test('cuts connections with a reset and takes new ones', async () => {
  const socket = await client()
  await ask(socket, 'a')
  const end = endOf(socket)
  proxy.cut()
  expect(await end).toBe('ECONNRESET')
  expect(await ask(await client(), 'again')).toBe('AGAIN')
})

test('refuses connections and comes back on the same port', async () => {
  const socket = await client()
  await ask(socket, 'a')
  const end = endOf(socket)
  await proxy.set({ kind: 'refuse' })
  expect(await end).toBe('ECONNRESET')
  const refused = connect(proxy.port, proxy.host)
  expect(await endOf(refused)).toBe('ECONNREFUSED')
  await proxy.set({ kind: 'pass' })
  expect(await ask(await client(), 'back')).toBe('BACK')
})

test('swallows answers while requests go through', async () => {
  const socket = await client()
  await proxy.set({ kind: 'swallow' })
  const swallowed = proxy.swallowed()
  socket.write('lost')
  await swallowed
  expect(proxy).toMatchObject({ bytesUp: 4, bytesDown: 0, bytesSwallowed: 4 })
  await proxy.set({ kind: 'pass' })
  expect(await ask(socket, 'heard')).toBe('HEARD')
})

test('keeps the order of bytes when a delay ends', async () => {
  const socket = await client()
  await ask(socket, 'ready')
  await proxy.set({ kind: 'delay', delayMs: 40 })
  const start = performance.now()
  const seen = proxy.bytesUp
  socket.write('first-')
  while (proxy.bytesUp === seen) await new Promise(resolve => setImmediate(resolve))
  await proxy.set({ kind: 'pass' })
  socket.write('second')
  let answer = ''
  while (answer.length < 12) answer += String((await once(socket, 'data'))[0])
  expect(answer).toBe('FIRST-SECOND')
  expect(performance.now() - start).toBeGreaterThan(35)
})

test('hands over the bytes that the target wrote before it closed', async () => {
  const closing = createServer(socket => socket.end('x'.repeat(1_000_000)))
  await once(closing.listen(0, '127.0.0.1'), 'listening')
  await using through = await TcpProxy.start({ target: { host: '127.0.0.1', port: portOf(closing) } })
  const socket = connect(through.port, through.host)
  let bytes = 0
  socket.on('data', data => {
    bytes += data.length
  })
  await once(socket, 'close')
  expect(bytes).toBe(1_000_000)
  closing.close()
})
