import { once } from 'node:events'
import { Socket, type AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import { makeCertificate } from '@sluice/testkit/make-certificates'
import { describe, expect, it } from 'vitest'
import { socketFactory } from './connection.ts'

/** Returns what becomes of a connection to this address, whose server has a certificate for `name`. */
async function outcome(name: string, guarded?: () => Socket): Promise<string> {
  const { cert, key } = makeCertificate({ hosts: [name] })
  const server = createServer({ cert, key }).listen(0, '127.0.0.1')
  server.on('tlsClientError', () => undefined)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const socket = socketFactory(
    address => address,
    guarded,
  )({
    ...{ host: '127.0.0.1', port, ssl: { ca: cert } },
    onConnect: () => undefined,
  })
  const found = await new Promise<string>(resolve => {
    socket.once('secureConnect', () => resolve('connected'))
    socket.once('error', error => resolve(String(Reflect.get(error, 'code'))))
  })
  socket.destroy()
  server.close()
  return found
}

describe('a broker known by its address', () => {
  it.each([
    ['without a guard', undefined],
    ['with a guard of private networks', () => new Socket()],
  ])('has to have a certificate for it, %s', async (_, guarded) => {
    expect(await outcome('127.0.0.1', guarded)).toBe('connected')
    expect(await outcome('localhost', guarded)).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
  })
})
