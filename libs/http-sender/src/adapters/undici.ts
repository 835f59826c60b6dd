/** Sends through undici: one pool of HTTP/1.1 connections per origin, one request at a time on each, straight through `dispatch`. */
import { createRequire } from 'node:module'
import { buildConnector, Pool } from 'undici'
import { Exchange } from './undici-exchange.ts'
import type { ExchangeSurroundings } from './undici-exchange.ts'
import type { HttpSender, OutgoingRequest, SendResult } from '../port.ts'

export interface UndiciSenderOptions {
  /** Most connections to one origin: the destination's concurrency, so that no request waits for one. Default 100. */
  readonly connections?: number
  /** How long a connection may take to open; a request's own deadline may end earlier. Default 10 s. */
  readonly connectTimeoutMs?: number
  /** How much of an answer's body is kept. Default 64 KiB. */
  readonly bodyLimitBytes?: number
  /** How much of a body is read beyond that to keep the connection; a longer one costs the connection. Default 1 MiB. */
  readonly drainLimitBytes?: number
  /** PEM texts and switches as in node:tls. */
  readonly tls?: {
    readonly ca?: string
    readonly cert?: string
    readonly key?: string
    readonly passphrase?: string
    readonly rejectUnauthorized?: boolean
  }
}

/** A destination has one origin; a few more may come from edits during its life. The one used longest ago is closed for a new one. */
const MAX_ORIGINS = 16

interface Origin {
  readonly pool: Pool
  /** From user info in the URL, for requests without an authorization header of their own. */
  readonly authorization: string | null
}

/**
 * The hook by which undici hands out a way to take a request out of its queue. Without it a request that timed out while it waited for
 * a connection would stay in the queue, and those behind it would wait for the dead.
 */
const kQueuedAbort: symbol = createRequire(import.meta.url)('undici/lib/core/symbols.js').kQueuedAbort

/** Sends may be under way in any number at once. Disposing fails what is still under way. */
export function createUndiciSender(options: UndiciSenderOptions = {}): HttpSender {
  const origins = new Map<string, Origin>()
  const watchers = new Map<AbortSignal, Set<Exchange>>()
  const connectErrors = new WeakSet<object>()
  const surroundings: ExchangeSurroundings = {
    bodyLimitBytes: options.bodyLimitBytes ?? 64 * 1024,
    drainLimitBytes: options.drainLimitBytes ?? 1024 * 1024,
    cameFromConnecting: error => connectErrors.has(error),
    release: unwatch,
  }
  // An egress guard belongs in front of this connector: it is the one place where a host name becomes a socket.
  const connector = buildConnector({
    allowH2: false,
    timeout: options.connectTimeoutMs ?? 10_000,
    ...options.tls,
  })

  function openOrigin(text: string): Origin {
    const url = new URL(text)
    const pool = new Pool(url.origin, {
      connections: options.connections ?? 100,
      pipelining: 1,
      // The exchange's own deadline covers connecting, head and body.
      headersTimeout: 0,
      bodyTimeout: 0,
      allowH2: false,
      // Returning the socket lets undici give up an attempt that no request waits for any more.
      connect: (target, callback) =>
        connector(target, (...outcome) => {
          if (outcome[0] !== null) connectErrors.add(outcome[0])
          callback(...outcome)
        }),
    })
    const origin = { pool, authorization: basicAuthorization(url) }
    const [oldest] = origins.keys()
    if (origins.size >= MAX_ORIGINS && oldest !== undefined) {
      void origins.get(oldest)?.pool.close()
      origins.delete(oldest)
    }
    origins.set(text, origin)
    return origin
  }

  function watch(signal: AbortSignal, exchange: Exchange): void {
    const watching = watchers.get(signal)
    if (watching !== undefined) {
      watching.add(exchange)
      return
    }
    watchers.set(signal, new Set([exchange]))
    signal.addEventListener('abort', onAbort, { once: true })
  }

  function unwatch(signal: AbortSignal, exchange: Exchange): void {
    const watching = watchers.get(signal)
    if (watching === undefined || !watching.delete(exchange) || watching.size > 0) return
    watchers.delete(signal)
    signal.removeEventListener('abort', onAbort)
  }

  // One listener per signal however many requests share it: adding and removing one for each request costs more than the rest of a send.
  function onAbort(event: Event): void {
    const signal = event.target
    if (!(signal instanceof AbortSignal)) return
    const exchanges = watchers.get(signal) ?? []
    watchers.delete(signal)
    for (const exchange of exchanges) exchange.abort(signal.reason)
  }

  let closed = false
  function send(request: OutgoingRequest): Promise<SendResult> {
    if (request.signal.aborted) return Promise.reject(request.signal.reason)
    return new Promise((resolve, reject) => {
      const exchange = new Exchange(request, surroundings, { resolve, reject })
      const target = closed ? 'the sender is closed' : splitUrl(request.url)
      if (typeof target === 'string') return exchange.refuse(target)
      try {
        const origin = origins.get(target.origin) ?? openOrigin(target.origin)
        watch(request.signal, exchange)
        const dispatched = dispatchOptions(request, target.path, origin.authorization)
        exchange.begin(origin.pool, { ...dispatched, [kQueuedAbort]: exchange.queued.bind(exchange) })
      } catch (error) {
        exchange.refuse(error instanceof Error ? error.message : String(error))
      }
    })
  }

  return {
    send,
    async [Symbol.asyncDispose]() {
      closed = true
      const pools = [...origins.values()]
      origins.clear()
      await Promise.all(pools.map(({ pool }) => pool.destroy(new Error('the sender was closed'))))
    },
  }
}

function dispatchOptions(request: OutgoingRequest, path: string, authorization: string | null) {
  const { body, method } = request
  const headers =
    authorization === null || hasHeader(request.headers, 'authorization')
      ? request.headers
      : { ...request.headers, authorization }
  return {
    path,
    method,
    headers,
    body: body === null ? null : Buffer.from(body.buffer, body.byteOffset, body.byteLength),
    // undici closes the connection after a DELETE with a body unless told that the server copes with it.
    ...(method === 'DELETE' && body !== null ? { reset: false } : {}),
  }
}

function hasHeader(headers: { readonly [name: string]: string }, wanted: string): boolean {
  for (const name in headers) if (name.toLowerCase() === wanted) return true
  return false
}

/**
 * Cuts a URL into what names the pool and what goes into the request line, without normalizing the path: it is sent as it was rendered.
 * Anything that may not stand in a request line is percent-encoded as browsers do. Gives a text that says what is wrong otherwise.
 */
function splitUrl(url: string): { readonly origin: string; readonly path: string } | string {
  const scheme = url.startsWith('http://') ? 7 : url.startsWith('https://') ? 8 : 0
  if (scheme === 0)
    return `the URL has to start with http:// or https://, found ${JSON.stringify(url.slice(0, 100))}`
  const tail = /[/?#]/g
  tail.lastIndex = scheme
  const start = tail.exec(url)?.index ?? url.length
  const hash = url.indexOf('#', start)
  let path = url.slice(start, hash === -1 ? undefined : hash)
  if (!path.startsWith('/')) path = `/${path}`
  return { origin: url.slice(0, start), path: path.replace(NOT_IN_REQUEST_LINE, encoded) }
}

const NOT_IN_REQUEST_LINE = /[^\x21-\x7e]+/gu

function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed())
}

function basicAuthorization(url: URL): string | null {
  if (url.username === '' && url.password === '') return null
  const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  return `Basic ${Buffer.from(pair).toString('base64')}`
}
