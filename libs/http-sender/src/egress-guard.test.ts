import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startCountingServer, type CountingServer } from '@sluice/testkit/counting-server'
import { isPrivateAddressError, isPublicAddress, publicSocket } from './egress-guard.ts'

let server: CountingServer
beforeEach(async () => {
  server = await startCountingServer('::')
})
afterEach(() => server[Symbol.asyncDispose]())

/** The error that a socket to this host fails with. */
async function failureOf(host: string): Promise<Error> {
  const socket = publicSocket('Ask the operator')
  const failed = new Promise<Error>(resolve => socket.once('error', resolve))
  socket.connect(server.port, host)
  return failed
}

describe('a socket that goes to public addresses alone', () => {
  it.each(['127.0.0.1', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1', '64:ff9b::7f00:1', '[::1]', '0.0.0.0'])(
    'is not connected to %s',
    async host => {
      const error = await failureOf(host)
      expect([isPrivateAddressError(error), error.message]).toEqual([
        true,
        expect.stringMatching(/is not a public address: private networks .* Ask the operator$/),
      ])
      expect(server.connections).toBe(0)
    },
  )

  it('is not connected to a name that leads to a private address, or to a spelling of one', async () => {
    for (const host of ['localhost', '127.1', '0x7f.1', '2130706433', 'localhost.']) {
      const error = await failureOf(host)
      expect([host, error.message]).toEqual([
        host,
        expect.stringMatching(/not (a )?public|ENOTFOUND|EAI_AGAIN/),
      ])
    }
    expect(server.connections).toBe(0)
  })

  it('is destroyed before a byte is written, where the connection has come to another address', async () => {
    const socket = publicSocket()
    const failed = once(socket, 'error')
    // Nobody answers here, since no route is taken; the socket believes that it is connected.
    socket.connect(server.port, '8.8.8.8')
    socket.emit('connect')
    const [error] = (await failed) as [Error]
    expect(isPrivateAddressError(error)).toBe(true)
    expect([socket.destroyed, socket.bytesWritten]).toEqual([true, 0])
  })
})

describe('public addresses', () => {
  it('are those that anybody on the internet may have', () => {
    const isPublic = ['8.8.8.8', '2606:4700::1111', '::ffff:8.8.8.8', '64:ff9b::808:808', '168.63.129.17']
    const isNot = [
      ...['10.0.0.1', '172.16.0.1', '192.168.1.1', '169.254.169.254', '100.64.0.1', '0.0.0.0', '224.0.0.1'],
      ...['fe80::1%eth0', 'fc00::1', 'fd00:ec2::254', '::', '::ffff:10.0.0.1', '64:ff9b::a00:1', '', 'no'],
      // Compatible addresses, NAT64 for local use with public bytes at its end, 6to4, and Azure from inside.
      ...['::7f00:1', '::a9fe:a9fe', '64:ff9b:1:7f00:0:100:808:808', '2002:7f00:1::', '::ffff:0:7f00:1'],
      ...['168.63.129.16', '::ffff:168.63.129.16', 'fec0::1', '2001:0:7f00:1::', '100::1'],
    ]
    expect([isPublic.filter(isPublicAddress), isNot.filter(isPublicAddress)]).toEqual([isPublic, []])
  })
})
