/**
 * Waits for the URL that a browser is sent back to after a login: on a loopback port, or pasted on stdin by a
 * person whose browser runs on another machine.
 */
import { withoutBrackets } from '@sluice/contracts/specs/http-texts'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { messageOf, SluiceError } from '@sluice/contracts/errors'
import type { TextSource } from '../command.ts'

const MAX_PASTE = 16_384

export interface Callback extends AsyncDisposable {
  readonly redirectUri: string
  /**
   * Resolves with what `read` returns for the first URL that it takes. If `read` throws, the person reads
   * why, and the wait goes on. Rejects with the signal's reason.
   */
  first<T>(
    read: (redirected: URL) => T,
    of: { readonly stdin: TextSource; readonly tell: (text: string) => void; readonly signal: AbortSignal },
  ): Promise<T>
}

/** Listens where `configured` says, else on this port of the loopback address (0: any free one). */
export async function listenForCallback(configured: string | null, port: number): Promise<Callback> {
  const own = configured === null ? null : URL.parse(configured)
  if (own !== null && !['127.0.0.1', 'localhost', '[::1]'].includes(own.hostname))
    return callbackOf(configured ?? '', null)
  const server = createServer()
  const host = withoutBrackets(own?.hostname ?? '127.0.0.1')
  server.listen(own === null ? port : Number(own.port || 80), host)
  try {
    await once(server, 'listening')
  } catch (cause) {
    const why = messageOf(cause)
    throw new SluiceError('usage', `The command cannot listen for the end of the login: ${why}`, { cause })
  }
  const address = server.address()
  const listening = typeof address === 'object' && address !== null ? address.port : port
  return callbackOf(configured ?? `http://127.0.0.1:${listening}/callback`, server)
}

function callbackOf(redirectUri: string, server: ReturnType<typeof createServer> | null): Callback {
  return {
    redirectUri,
    first: async (read, { stdin, tell, signal }) => {
      const found = Promise.withResolvers<ReturnType<typeof read>>()
      const offer = (url: URL): string | null => {
        try {
          found.resolve(read(url))
          return null
        } catch (error) {
          return messageOf(error)
        }
      }
      server?.on('request', (request, response) => {
        const url = URL.parse(request.url ?? '', redirectUri)
        const isIt = url !== null && url.pathname === new URL(redirectUri).pathname
        const wrong = isIt ? offer(url) : 'There is nothing here.'
        response.writeHead(wrong === null ? 200 : 400, { 'content-type': 'text/plain; charset=utf-8' })
        response.end(wrong ?? 'The login is finished. You may close this page and go back to the terminal.')
      })
      const abort = (): void => found.reject(signal.reason)
      if (signal.aborted) abort()
      signal.addEventListener('abort', abort, { once: true })
      void readPasted(stdin, line => {
        const url = URL.parse(line)
        const wrong = url === null ? 'That is no URL.' : offer(url)
        if (wrong !== null) tell(`${wrong} Paste the whole URL that the browser was sent to.`)
      }).catch(() => undefined)
      return await found.promise.finally(() => signal.removeEventListener('abort', abort))
    },
    async [Symbol.asyncDispose]() {
      if (server === null) return
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

async function readPasted(stdin: TextSource, onLine: (line: string) => void): Promise<void> {
  let text = ''
  for await (const part of stdin) {
    text += Buffer.from(part).toString('utf8')
    const lines = text.split('\n')
    text = (lines.pop() ?? '').slice(-MAX_PASTE)
    for (const line of lines) if (line.trim() !== '') onLine(line.trim())
  }
  if (text.trim() !== '') onLine(text.trim())
}
