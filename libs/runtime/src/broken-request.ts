/**
 * Answers requests that Node's parser refuses. By default Node sends a bare status. Here the client gets a
 * problem document (RFC 9457), as with any other error.
 */
import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'

interface Refusal {
  readonly status: number
  readonly detail: string
}

const NO_HTTP: Refusal = { status: 400, detail: 'The server received bytes that are not an HTTP request.' }
/** The refusals by the codes of Node's errors. */
const REFUSALS: { readonly [code: string]: Refusal } = {
  HPE_HEADER_OVERFLOW: {
    status: 431,
    detail: 'The head of the request, with path and headers, is longer than 64 KiB.',
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { status: 413, detail: 'The extensions of a chunk are too long.' },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, detail: 'The request did not come in time.' },
}

/** Handles `clientError` of a server: answers, unless an answer is under way, and closes the connection. */
export function answerBrokenRequest(error: Error, socket: Duplex): void {
  const code = 'code' in error ? String(error.code) : ''
  if (code === 'ECONNRESET' || !socket.writable || isAnswering(socket)) {
    socket.destroy()
    return
  }
  const { status, detail } = REFUSALS[code] ?? NO_HTTP
  const title = STATUS_CODES[status] ?? ''
  const problem = {
    ...{ type: 'urn:sluice:error:usage', title, status, detail },
    ...{ code: 'usage', retryable: status === 408, errors: [] },
  }
  const body = `${JSON.stringify(problem)}\n`
  const head = [
    `HTTP/1.1 ${status} ${title}`,
    'Connection: close',
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    'Content-Type: application/problem+json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}

/** True if an answer is under way. Node keeps it in a field of the connection. */
function isAnswering(socket: Duplex): boolean {
  return '_httpMessage' in socket && socket._httpMessage !== null && socket._httpMessage !== undefined
}
