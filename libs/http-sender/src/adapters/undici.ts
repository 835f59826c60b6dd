/**
 * Sends through undici's `dispatch`: one pool of HTTP/1.1 connections per origin, one request at a time on
 * each.
 */
import { messageOf } from '@sluice/contracts/errors'
import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import { Pool, type buildConnector } from 'undici'
import type { ByteShare } from '@sluice/flow/byte-budget'
import { certificatesOver } from '../certificates.ts'
import type { ConnectionOptions, HttpSender, OutgoingRequest, SendResult, ShownTls } from '../port.ts'
import { MAX_HEAD_BYTES } from './describe-error.ts'
import { readHeadsAsWritten, symbolNamed } from './answer-heads.ts'
import { connectorOf } from './open-connection.ts'
import { ProxyTunnels, type ProxyOptions } from './proxy-tunnel.ts'
import { basicAuthorization, hasHead, pathAfter, splitUrl } from './split-url.ts'
import { Exchange, type ExchangeSurroundings, type Way } from './undici-exchange.ts'

/**
 * A hook of undici, which gives a function that removes a request from its queue. undici's own `request` uses
 * it, and `dispatch` does not document it. Without it, a request that timed out would stay in the queue for a
 * connection, and requests behind it would wait for it.
 */
const kQueuedAbort = symbolNamed('kQueuedAbort')

/**
 * Returns options for `dispatch`. Each time undici queues the request, it calls `onQueued` with the function
 * that removes the request from the queue.
 */
export function queuedAbortHook(onQueued: (remove: (reason: unknown) => void) => void): {
  readonly [symbol: symbol]: unknown
} {
  return { [kQueuedAbort]: onQueued }
}

interface Abortable {
  abort(reason: unknown): void
}

/**
 * Aborts the requests of a signal. It adds one listener per signal, since a listener for each request would
 * cost more than the rest of sending it.
 */
export class AbortWatch<Work extends Abortable> {
  readonly #work = new Map<AbortSignal, Set<Work>>()

  add(signal: AbortSignal, work: Work): void {
    const known = this.#work.get(signal)
    if (known !== undefined) {
      known.add(work)
      return
    }
    this.#work.set(signal, new Set([work]))
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Stops watching the work. Unknown work is ignored. */
  remove(signal: AbortSignal, work: Work): void {
    const known = this.#work.get(signal)
    if (known === undefined || !known.delete(work) || known.size > 0) return
    this.#work.delete(signal)
    signal.removeEventListener('abort', this.#onAbort)
  }

  readonly #onAbort = (event: Event): void => {
    const signal = event.target
    if (!(signal instanceof AbortSignal)) return
    const works = this.#work.get(signal) ?? []
    this.#work.delete(signal)
    for (const work of works) work.abort(signal.reason)
  }
}

export interface UndiciSenderOptions {
  /**
   * The most connections to one origin. It should be at least the concurrency, so that no request waits for a
   * connection. Default 100.
   */
  readonly connections?: number
  /** The longest time to open a connection; the time-out of a request may end it sooner. Default 10 s. */
  readonly connectTimeoutMs?: number
  /** The bytes of an answer's body that are kept. Default 64 KiB. */
  readonly bodyLimitBytes?: number
  /**
   * The bytes beyond `bodyLimitBytes` that are read and dropped to keep the connection. A longer body closes
   * the connection. Default 1 MiB.
   */
  readonly drainLimitBytes?: number
  /**
   * The memory for answers beyond 8 KiB each, over all requests. A longer answer, or a packed one, waits for
   * memory, and so does its server. Default: no bound.
   */
  readonly answers?: ByteShare | undefined
  /** The options of requests without connection options. */
  readonly connection?: ConnectionOptions
  /** If true, no connection goes to a private network, whatever its options say. */
  readonly neverPrivate?: boolean
  /** The proxy. If absent, all servers are reached directly. */
  readonly proxy?: ProxyOptions | undefined
}

/** The most origins with a pool. Beyond that, the oldest pool is closed once its requests are done. */
const MAX_ORIGINS = 1024

interface Origin extends Way {
  readonly hostname: string
  opened: number
  tls: ShownTls | null
  /** The header for the user info of the URL, for requests without an authorization header. */
  readonly authorization: string | null
}

/** The way of URLs with this head and these connection options. */
interface KnownWay {
  readonly head: string
  readonly connection: ConnectionOptions
  readonly way: Origin
}

/** Any number of requests may be under way at once. Disposal fails those that are still under way. */
export function createUndiciSender(options: UndiciSenderOptions = {}): HttpSender {
  return new UndiciSender(options)
}

class UndiciSender implements HttpSender {
  readonly #options: UndiciSenderOptions
  readonly #tunnels: ProxyTunnels | null
  readonly #names = new ConnectionNames()
  readonly #connectErrors = new WeakSet<object>()
  readonly #origins = new Map<string, Origin>()
  /** The way of the previous request. Most requests go the same way. */
  #newest: KnownWay | null = null
  readonly #watch = new AbortWatch<Exchange>()
  readonly #surroundings: ExchangeSurroundings
  #closed = false

  constructor(options: UndiciSenderOptions) {
    this.#options = options
    const { proxy } = options
    this.#tunnels = proxy === undefined ? null : tunnelsThrough(proxy.url, connectTimeoutMs(options))
    this.#surroundings = {
      bodyLimitBytes: options.bodyLimitBytes ?? 64 * 1024,
      drainLimitBytes: options.drainLimitBytes ?? 1024 * 1024,
      answers: options.answers ?? null,
      cameFromConnecting: error => this.#connectErrors.has(error),
      release: (signal, exchange) => this.#watch.remove(signal, exchange),
    }
  }

  send(request: OutgoingRequest): Promise<SendResult> {
    const { promise, resolve, reject } = Promise.withResolvers<SendResult>()
    if (request.signal.aborted) {
      reject(request.signal.reason)
      return promise
    }
    const exchange = new Exchange(request, this.#surroundings, { resolve, reject })
    if (this.#closed) {
      exchange.refuse('not-sent', 'the sender is closed')
      return promise
    }
    try {
      this.#dispatch(exchange, request)
    } catch (error) {
      exchange.refuse('invalid', messageOf(error))
    }
    return promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    this.#newest = null
    const pools = [...this.#origins.values()]
    this.#origins.clear()
    await Promise.all(pools.map(({ pool }) => pool.destroy(new Error('the sender was closed'))))
    await this.#tunnels?.[Symbol.asyncDispose]()
  }

  #dispatch(exchange: Exchange, request: OutgoingRequest): void {
    assertHeaders(request.headers)
    const { way, path } = this.#wayOf(request)
    this.#watch.add(request.signal, exchange)
    exchange.begin(way, {
      path,
      method: request.method,
      headers: headersWith(request.headers, way.authorization),
      body: bufferOf(request.body),
      // Without `servername`, undici would open another connection for each header `Host`.
      ...{ servername: way.hostname },
      // Without `reset`, undici would close the connection after a DELETE with a body.
      ...(request.method === 'DELETE' && request.body !== null ? { reset: false } : {}),
      ...queuedAbortHook(remove => exchange.queued(remove)),
    })
  }

  #wayOf({ url, connection = this.#options.connection ?? NO_OPTIONS }: OutgoingRequest): {
    readonly way: Origin
    readonly path: string
  } {
    const known = this.#newest
    if (known?.connection === connection && hasHead(url, known.head))
      return { way: known.way, path: pathAfter(known.head, url) }
    const { head, origin, path } = splitUrl(url)
    const way = this.#originOf(origin, connection)
    this.#newest = { head, connection, way }
    return { way, path }
  }

  #originOf(text: string, connection: ConnectionOptions): Origin {
    const name = `${this.#names.nameOf(connection)} ${text}`
    return this.#origins.get(name) ?? this.#openOrigin(name, text, connection)
  }

  #openOrigin(name: string, text: string, connection: ConnectionOptions): Origin {
    const url = new URL(text)
    let origin: Origin | null = null
    const onOpen = (socket: Socket): void => {
      if (origin !== null) origin.tls = certificatesOver(socket)
    }
    const pool = new Pool(url.origin, {
      connections: this.#options.connections ?? 100,
      pipelining: 1,
      // The time-out of the exchange includes connecting, head and body.
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: MAX_HEAD_BYTES,
      allowH2: false,
      connect: this.#connectorOf(connection, onOpen),
    })
    const { hostname } = url
    const made: Origin = { pool, hostname, opened: 0, tls: null, authorization: basicAuthorization(url) }
    origin = made
    pool.on('connect', (_origin, targets) => {
      made.opened += 1
      const client = targets.at(-1)
      if (client !== undefined) readHeadsAsWritten(client)
    })
    const [oldest] = this.#origins.keys()
    if (this.#origins.size >= MAX_ORIGINS && oldest !== undefined) {
      void this.#origins.get(oldest)?.pool.close()
      this.#origins.delete(oldest)
    }
    this.#origins.set(name, made)
    return made
  }

  #connectorOf(connection: ConnectionOptions, onOpen: (socket: Socket) => void): buildConnector.connector {
    const tunnels = this.#tunnels
    return connectorOf(connection, {
      connectTimeoutMs: connectTimeoutMs(this.#options),
      neverPrivate: this.#options.neverPrivate ?? false,
      proxy: tunnels === null ? null : { tunnels, except: this.#options.proxy?.except ?? '' },
      onOpen,
      onError: error => void this.#connectErrors.add(error),
    })
  }
}

const NO_OPTIONS: ConnectionOptions = {}

/** Opens tunnels. The operator named the proxy, so it may be in a private network. */
function tunnelsThrough(url: string, connectTimeoutMs: number): ProxyTunnels {
  const nothing = (): void => undefined
  const around = { connectTimeoutMs, neverPrivate: false, proxy: null, onOpen: nothing, onError: nothing }
  return new ProxyTunnels(url, connectorOf({}, around), connectTimeoutMs)
}

function connectTimeoutMs(options: UndiciSenderOptions): number {
  return options.connectTimeoutMs ?? 10_000
}

/** Names connection options. Equal options have the same name, which does not reveal the key in them. */
class ConnectionNames {
  readonly #names = new WeakMap<ConnectionOptions, string>()

  nameOf(connection: ConnectionOptions): string {
    const known = this.#names.get(connection)
    if (known !== undefined) return known
    const { tls = {}, allowPrivateNetwork = true } = connection
    const fields = Object.entries(tls).sort(([one], [other]) => (one < other ? -1 : 1))
    const text = JSON.stringify([allowPrivateNetwork, fields])
    const name = createHash('sha256').update(text).digest('base64')
    this.#names.set(connection, name)
    return name
  }
}

/** Characters that no header can carry: control characters, and those beyond Latin-1 (RFC 9110 §5.5). */
const NOT_IN_HEADER = /[^\t\x20-\x7e\x80-\xff]/u

/** Throws an error that names header and character. undici would only say that the header is invalid. */
function assertHeaders(headers: Headers): void {
  for (const name in headers) {
    const [found] = NOT_IN_HEADER.exec(headers[name] ?? '') ?? []
    if (found === undefined) continue
    const point = (found.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')
    throw new Error(`the header ${name} holds U+${point}: headers take printable Latin-1 characters only`)
  }
}

function bufferOf(body: Uint8Array | null): Buffer | null {
  return body === null ? null : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}

type Headers = { readonly [name: string]: string }

function headersWith(headers: Headers, authorization: string | null): Headers {
  if (authorization === null) return headers
  for (const name in headers) if (name.toLowerCase() === 'authorization') return headers
  return { ...headers, authorization }
}
