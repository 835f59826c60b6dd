/** An HTTP server of a test, on a free port of this machine. */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'

/** Disposing it cuts its connections. */
interface Listening extends AsyncDisposable {
  readonly port: number
}

export async function listen(listener: RequestListener): Promise<Listening> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return {
    port: address.port,
    [Symbol.asyncDispose]: () => {
      server.close().closeAllConnections()
      return Promise.resolve()
    },
  }
}
