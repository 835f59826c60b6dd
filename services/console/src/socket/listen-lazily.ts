/**
 * Listens on a Unix socket. The HTTP server takes a quarter of a second to load, and most runs of a sync end
 * before another command asks anything. So it is loaded with the first connection.
 */
import { chmodSync } from 'node:fs'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { SluiceError } from '@sluice/contracts/errors'
import { diskFailure } from '@sluice/domain/disk-failure'
import { sleep } from '@sluice/flow/sleep'
import type { Logger } from '@sluice/runtime/logger'
import { freshSocketPath } from './socket-path.ts'

const ONLY_OWNER = 0o600
/**
 * Answers that are on their way at the end have this time. The answer to a client that follows a run would
 * never end.
 */
const ANSWERS_WITHIN_MS = 1_000

export interface LoadedApi extends AsyncDisposable {
  readonly listener: (request: IncomingMessage, response: ServerResponse) => void
}

export interface LazySocketOptions {
  /** The folder whose lock this process has. */
  readonly dataDir: string
  /** Called at most once, with the first connection. */
  readonly load: () => Promise<LoadedApi>
  readonly logger: Logger
}

/** Resolves once it listens. Disposing it ends all connections and removes the socket. */
export async function listenLazily({ dataDir, load, logger }: LazySocketOptions): Promise<AsyncDisposable> {
  const { path, remove } = freshSocketPath(dataDir)
  let loading: Promise<Loaded> | null = null
  const connections = new Set<Socket>()
  const server = createServer({ pauseOnConnect: true }, socket => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
    loading ??= loadServer(load)
    loading.then(
      ({ http }) => {
        http.emit('connection', socket)
        socket.resume()
      },
      (error: unknown) => {
        logger.error({ err: error }, 'the API cannot be loaded')
        socket.destroy()
      },
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', cause =>
      reject(
        diskFailure(`cannot listen on ${path}`, cause) ??
          new SluiceError('config', `cannot listen on ${path}: ${cause.message}`, { cause }),
      ),
    )
    server.listen(path, resolve)
  })
  chmodSync(path, ONLY_OWNER)
  // The process ends when its work does. It does not wait for another command that may ask.
  server.unref()
  return {
    async [Symbol.asyncDispose]() {
      // No new connection is taken from here on, and answers on their way may still arrive.
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      const loaded = await loading?.catch(() => null)
      loaded?.http.closeIdleConnections()
      const late = new AbortController()
      await Promise.race([closed, sleep(ANSWERS_WITHIN_MS, late).catch(() => undefined)])
      late.abort()
      await loaded?.api[Symbol.asyncDispose]()
      for (const socket of connections) socket.destroy()
      await closed
      remove()
    },
  }
}

interface Loaded {
  readonly api: LoadedApi
  readonly http: Server
}

async function loadServer(load: () => Promise<LoadedApi>): Promise<Loaded> {
  const [api, { createServer: createHttpServer }, { SERVER_OPTIONS }, { answerBrokenRequest }] =
    await Promise.all([
      load(),
      import('node:http'),
      import('@sluice/runtime/health-server'),
      import('@sluice/runtime/broken-request'),
    ])
  const http = createHttpServer(SERVER_OPTIONS, api.listener)
  return { api, http: http.on('clientError', answerBrokenRequest) }
}
