/**
 * Does to a client of PostgreSQL as a pooler such as PgBouncer does. The client is told a process of the
 * pooler's own, and not the server's. A request to cancel finds the server by that, as long as the client is
 * there. Once the client is gone, the server's connection may stay.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

const CANCEL_REQUEST = Buffer.from([0, 0, 0, 16, 4, 210, 22, 46])
const KEY_DATA = Buffer.from([75, 0, 0, 0, 12])
const KEY_BYTES = 8

/** Listens on a port of its own, in front of the server there. */
export async function startPooler(server: {
  readonly host: string
  readonly port: number
}): Promise<{ readonly port: number } & AsyncDisposable> {
  /** By the key that a client was told: the server's own. */
  const keys = new Map<string, Buffer>()
  const sockets = new Set<Socket>()
  const kept = (socket: Socket): Socket => {
    sockets.add(socket)
    return socket.on('error', () => undefined)
  }
  const pooler = createServer(client => {
    kept(client).once('data', first => {
      const behind = kept(connect(server.port, server.host))
      if (first.subarray(0, CANCEL_REQUEST.length).equals(CANCEL_REQUEST)) {
        const key = keys.get(first.toString('hex', CANCEL_REQUEST.length))
        behind.on('close', () => client.destroy())
        if (key === undefined) behind.destroy()
        else behind.write(Buffer.concat([CANCEL_REQUEST, key]))
        return
      }
      const own = Buffer.from([0x7f, 0xff, 0xff, keys.size, 1, 2, 3, 4])
      behind.on('data', data => {
        const at = data.indexOf(KEY_DATA) + KEY_DATA.length
        if (at >= KEY_DATA.length && !keys.has(own.toString('hex'))) {
          keys.set(own.toString('hex'), Buffer.from(data.subarray(at, at + KEY_BYTES)))
          own.copy(data, at)
        }
        client.write(data)
      })
      behind.write(first)
      client.on('data', data => behind.write(data))
      client.on('close', () => keys.delete(own.toString('hex')))
    })
  })
  pooler.listen(0, '127.0.0.1')
  await once(pooler, 'listening')
  return {
    port: (pooler.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      pooler.close()
      await once(pooler, 'close')
    },
  }
}
