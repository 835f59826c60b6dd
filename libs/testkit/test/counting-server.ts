import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'

/** A server that cuts each connection, and counts them: whether somebody came is all that a test asks. */
export interface CountingServer extends AsyncDisposable {
  readonly port: number
  readonly connections: number
}

export async function startCountingServer(host = '127.0.0.1'): Promise<CountingServer> {
  let connections = 0
  const server = createServer(socket => {
    connections += 1
    socket.destroy()
  })
  server.listen(0, host)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    get connections() {
      return connections
    },
    [Symbol.asyncDispose]: async () => {
      server.close()
      await once(server, 'close')
    },
  }
}
