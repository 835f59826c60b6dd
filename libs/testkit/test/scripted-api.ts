/**
 * An HTTP API that plays what a test scripts, and remembers all it saw. It has real sockets, so that it can
 * cut, reset and keep waiting connections as a real server would. `startScriptedApi` runs in the test's
 * process; `forkScriptedApi` (scripted-api-fork.ts) in one of its own.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** A request as it arrived. */
export interface RecordedRequest {
  readonly method: string
  /** Path and query as sent. */
  readonly url: string
  /** Lower-case names; repeated ones joined by ", ". */
  readonly headers: { readonly [name: string]: string }
  readonly body: string
  /** The times at which its head and its body were read, in ms since 1970 with fractions. */
  readonly arrivedAt: number
  readonly readAt: number
  /** Number of its connection, from 1 on, and of the request on that connection, from 1 on. */
  readonly connection: number
  readonly nthOnConnection: number
}

/** All given fields must fit. A text fits if the request's text contains it. */
export interface RequestMatch {
  readonly method?: string
  readonly url?: string
  /** Not for `reset-before-reading`, which never sees a body. */
  readonly body?: string
  /** True: only requests on a connection that has carried a request before. */
  readonly reused?: boolean
}

export type Fault =
  /** Reads the request and never answers. */
  | 'hang'
  /**
   * Resets the connection when the head has arrived, without reading the body; such a request is recorded
   * with an empty body.
   */
  | 'reset-before-reading'
  /** Resets the connection once the whole request is read. */
  | 'reset-after-reading'
  /** Sends the head and half of the body, then resets the connection, or says no more. */
  | 'close-mid-answer'
  | 'hang-mid-answer'
  /** Answers properly, and then closes the connection without having announced it. */
  | 'close-after-answer'

/** An answer. The default is 200 with `{}`. */
export interface ScriptedAnswer {
  readonly status?: number
  readonly headers?: { readonly [name: string]: string | readonly string[] }
  readonly body?: string | Uint8Array
  readonly delayMs?: number
  readonly fault?: Fault
}

/** A function may wait before it answers. So a test can keep requests in flight. */
export type Answering =
  ScriptedAnswer | ((request: RecordedRequest) => ScriptedAnswer | Promise<ScriptedAnswer>)

export interface ApiFigures {
  readonly openConnections: number
  readonly connections: number
  /** The number of requests without a finished answer, and the most there ever were at a time. */
  readonly inFlight: number
  readonly mostInFlight: number
}

export interface ScriptedApi extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, or https, without a slash at the end. */
  readonly url: string
  readonly port: number
  /** The requests, in the order in which they were read. */
  readonly requests: readonly RecordedRequest[]
  readonly figures: ApiFigures
  /**
   * Scripts answers to requests that match. Of several rules the newest counts. A rule with `times` is used
   * up after so many requests.
   */
  on(match: RequestMatch, answer: Answering, options?: { readonly times?: number }): void
  /** Forgets all rules and recorded requests. Connections stay. */
  reset(): void
  /** Resolves once that many requests are recorded, or the condition holds for them. */
  waitFor(
    condition: number | ((requests: readonly RecordedRequest[]) => boolean),
    options?: { readonly signal?: AbortSignal },
  ): Promise<void>
  /** Cuts every open connection: by a reset, or by an orderly end. */
  cutConnections(how: 'reset' | 'end'): void
  close(): Promise<void>
}

interface Rule {
  readonly match: RequestMatch
  readonly answer: Answering
  timesLeft: number
}

/** Rules in the order in which they are looked at. */
class Script {
  #rules: Rule[] = []

  add(match: RequestMatch, answer: Answering, times: number): void {
    this.#rules.unshift({ match, answer, timesLeft: times })
  }

  clear(): void {
    this.#rules = []
  }

  /** The first rule for a request whose body is not read yet, if that rule does not look at the body. */
  cutsBeforeReading(request: RecordedRequest): boolean {
    const rule = this.#find(request)
    if (rule === undefined || typeof rule.answer === 'function') return false
    if (rule.answer.fault !== 'reset-before-reading') return false
    rule.timesLeft -= 1
    return true
  }

  async answerTo(request: RecordedRequest): Promise<ScriptedAnswer> {
    const rule = this.#find(request)
    if (rule === undefined) return {}
    rule.timesLeft -= 1
    return typeof rule.answer === 'function' ? await rule.answer(request) : rule.answer
  }

  #find(request: RecordedRequest): Rule | undefined {
    return this.#rules.find(({ match, timesLeft }) => {
      if (timesLeft < 1) return false
      if (match.method !== undefined && match.method !== request.method) return false
      if (match.url !== undefined && !request.url.includes(match.url)) return false
      if (match.body !== undefined && !request.body.includes(match.body)) return false
      return match.reused === undefined || match.reused === request.nthOnConnection > 1
    })
  }
}

interface Connection {
  readonly number: number
  requests: number
}

/** Resolves waits whose condition the recorded requests meet. */
export class RequestLog {
  readonly requests: RecordedRequest[] = []
  #waiters = new Set<() => void>()

  add(request: RecordedRequest): void {
    this.requests.push(request)
    for (const look of this.#waiters) look()
  }

  clear(): void {
    this.requests.length = 0
  }

  waitFor(
    condition: number | ((requests: readonly RecordedRequest[]) => boolean),
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    const { signal } = options
    const holds = () =>
      typeof condition === 'number' ? this.requests.length >= condition : condition(this.requests)
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      if (holds()) return resolve()
      const done = () => {
        this.#waiters.delete(look)
        signal?.removeEventListener('abort', onAbort)
      }
      const look = () => {
        if (!holds()) return
        done()
        resolve()
      }
      const onAbort = () => {
        done()
        reject(signal?.reason)
      }
      this.#waiters.add(look)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }
}

const wallNow = () => performance.timeOrigin + performance.now()

export interface ScriptedApiOptions {
  /** Default: a free port. */
  readonly port?: number
  /** Called with each request once it is read. */
  readonly onRequest?: (request: RecordedRequest) => void
  /** Serves TLS. With `ca`, clients have to show a certificate of that authority. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string }
}

/** Starts the API on 127.0.0.1; resolves once it listens. */
export async function startScriptedApi(options: ScriptedApiOptions = {}): Promise<ScriptedApi> {
  const script = new Script()
  const log = new RequestLog()
  const connections = new Map<Socket, Connection>()
  const figures = { openConnections: 0, connections: 0, inFlight: 0, mostInFlight: 0 }

  const { tls } = options
  const times = { keepAliveTimeout: 0, requestTimeout: 0 }
  const onRequest = (incoming: IncomingMessage, response: ServerResponse): void => {
    figures.inFlight += 1
    figures.mostInFlight = Math.max(figures.mostInFlight, figures.inFlight)
    response.once('close', () => {
      figures.inFlight -= 1
    })
    serve(incoming, response).catch(() => incoming.socket.destroy())
  }
  const server =
    tls === undefined
      ? createServer(times, onRequest)
      : createTlsServer({ ...times, ...tls, requestCert: tls.ca !== undefined }, onRequest)
  server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
    figures.connections += 1
    figures.openConnections += 1
    connections.set(socket, { number: figures.connections, requests: 0 })
    socket.on('error', () => {})
    socket.once('close', () => {
      connections.delete(socket)
      figures.openConnections -= 1
    })
  })

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const connection = connections.get(incoming.socket)
    if (connection === undefined) return
    connection.requests += 1
    const head = recordedHead(incoming, connection)
    if (script.cutsBeforeReading(head)) {
      record(head)
      reset(incoming.socket)
      return
    }
    const body = await readAll(incoming)
    const request = { ...head, body, readAt: wallNow() }
    record(request)
    await play(await script.answerTo(request), incoming.socket, response)
  }

  function record(request: RecordedRequest): void {
    log.add(request)
    options.onRequest?.(request)
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', () => resolve())
  })
  const { port } = server.address() as AddressInfo

  const close = () =>
    new Promise<void>(resolve => {
      server.close(() => resolve())
      for (const socket of connections.keys()) socket.destroy()
    })
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    requests: log.requests,
    figures,
    on: (match, answer, { times = Infinity } = {}) => script.add(match, answer, times),
    reset: () => {
      script.clear()
      log.clear()
    },
    waitFor: (condition, waitOptions) => log.waitFor(condition, waitOptions),
    cutConnections: how => {
      for (const socket of connections.keys()) {
        if (how === 'reset') reset(socket)
        else socket.end()
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

function recordedHead(incoming: IncomingMessage, connection: Connection): RecordedRequest {
  const headers: { [name: string]: string } = {}
  for (const [name, value] of Object.entries(incoming.headers)) {
    headers[name] = Array.isArray(value) ? value.join(', ') : (value ?? '')
  }
  const at = wallNow()
  return {
    method: incoming.method ?? '',
    url: incoming.url ?? '',
    headers,
    body: '',
    arrivedAt: at,
    readAt: at,
    connection: connection.number,
    nthOnConnection: connection.requests,
  }
}

async function readAll(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

/** Below TLS nothing can be reset: such a connection just ends. */
function reset(socket: Socket): void {
  if (socket instanceof TLSSocket) socket.destroy()
  else socket.resetAndDestroy()
}

/** Sends the answer, or does what its fault says. */
async function play(answer: ScriptedAnswer, socket: Socket, response: ServerResponse): Promise<void> {
  if (answer.delayMs !== undefined) await new Promise(resolve => setTimeout(resolve, answer.delayMs))
  if (socket.destroyed || answer.fault === 'hang') return
  if (answer.fault === 'reset-before-reading' || answer.fault === 'reset-after-reading') {
    reset(socket)
    return
  }
  const body = Buffer.from(answer.body ?? '{}')
  response.statusCode = answer.status ?? 200
  for (const [name, value] of Object.entries(answer.headers ?? {})) {
    response.setHeader(name, typeof value === 'string' ? value : [...value])
  }
  if (answer.fault === 'close-mid-answer' || answer.fault === 'hang-mid-answer') {
    response.setHeader('content-length', body.length)
    await new Promise(resolve => response.write(body.subarray(0, body.length >> 1), resolve))
    if (answer.fault === 'close-mid-answer') reset(socket)
    return
  }
  if (answer.fault === 'close-after-answer') {
    response.setHeader('connection', 'keep-alive')
    response.end(body, () => socket.end())
    return
  }
  response.end(body)
}

/** The most events in any window [t, t + windowMs); times need no order. */
export function mostInAnyWindow(times: readonly number[], windowMs: number): number {
  const sorted = [...times].sort((a, b) => a - b)
  let most = 0
  let first = 0
  for (const [last, time] of sorted.entries()) {
    while (time - (sorted[first] ?? time) >= windowMs) first += 1
    most = Math.max(most, last - first + 1)
  }
  return most
}
