/**
 * The small HTTP server of every process: `/healthz`, `/readyz` and `/metrics`. Metrics name syncs, so they
 * may require a token. Health does not, since the supervisor of a process has none.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { isLoopback, withBrackets } from '@sluice/contracts/specs/http-texts'
import { messageOf, SluiceError } from '@sluice/contracts/errors'
import { answerBrokenRequest } from './broken-request.ts'
import type { Metrics } from './metrics.ts'

/**
 * Checks by name. If something is missing, `ok` is false and `detail` is a sentence about it. A check answers
 * quickly. An error that it throws counts as a failed check.
 */
export type HealthChecks = {
  readonly [name: string]: () => { readonly ok: boolean; readonly detail?: string }
}

export interface HealthServerOptions {
  readonly host: string
  /** 0 means a free port. */
  readonly port: number
  readonly metrics: Metrics
  /** The token that `/metrics` requires as `Authorization: Bearer`; undefined for none. */
  readonly metricsToken?: string | undefined
  /** Checks that must hold for the process to take work. */
  readonly ready: HealthChecks
  /** Checks that must hold for the process not to be restarted. */
  readonly alive?: HealthChecks
  /** Returns the listener for all other paths, if the process has one by now. */
  readonly elsewhere?: () => HttpListener | undefined
}

export type HttpListener = (request: IncomingMessage, response: ServerResponse) => void

const OWN_PATHS: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics'])
/**
 * The limits of a request's time and head. A cursor in the path may have a key of 8 KB.
 */
export const SERVER_OPTIONS = {
  requestTimeout: 30_000,
  // Node looks for requests that take longer only every 30 s by default.
  connectionsCheckingInterval: 5_000,
  maxHeaderSize: 64 * 1024,
} as const

export interface HealthServer extends AsyncDisposable {
  readonly port: number
}

/** Resolves once it listens; throws `config` if it cannot. Disposing closes it with its open connections. */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const { host, port, metrics, metricsToken, ready, alive = {} } = options
  const [living, readiness] = [new Seen(alive), new Seen(ready)]
  const server = createServer(SERVER_OPTIONS, (request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? ''
    const listener = OWN_PATHS.has(path) ? undefined : options.elsewhere?.()
    if (listener !== undefined) listener(request, response)
    else if (request.method !== 'GET' && request.method !== 'HEAD')
      answer(response, 405, 'GET only\n', 'text/plain')
    else if (path === '/healthz') answerChecks(response, living)
    else if (path === '/readyz') answerChecks(response, readiness)
    else if (path === '/metrics' && !mayRead(request.headers.authorization, metricsToken))
      answer(response, 401, 'the token of SLUICE_METRICS_TOKEN is wanted\n', 'text/plain')
    else if (path === '/metrics' && isPage(request, options))
      answer(response, 403, 'this server answers to localhost and 127.0.0.1 only\n', 'text/plain')
    else if (path === '/metrics') void answerMetrics(response, metrics)
    else answer(response, 404, '/healthz, /readyz and /metrics are here\n', 'text/plain')
  })
  server.on('clientError', answerBrokenRequest)
  await new Promise<void>((resolve, reject) => {
    server.once('error', cause =>
      reject(
        new SluiceError('config', `cannot listen on ${host}:${port}: ${cause.message}${adviceFor(cause)}`, {
          cause,
        }),
      ),
    )
    server.listen(port, host, () => resolve())
  })
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    [Symbol.asyncDispose]: () =>
      new Promise<void>(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Compares hashes of equal length, so that the time of the comparison reveals nothing. */
function mayRead(authorization: string | undefined, token: string | undefined): boolean {
  if (token === undefined) return true
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(hash(authorization ?? ''), hash(`Bearer ${token}`))
}

/**
 * True for a request of a web page in a browser on this machine (DNS rebinding). If `evil.example` is made to
 * lead to this machine, its pages still send `Host: evil.example`. A server that other machines reach cannot
 * know all of its own names, so it does not check them.
 */
function isPage({ headers }: IncomingMessage, { host, metricsToken }: HealthServerOptions): boolean {
  return metricsToken === undefined && isLoopback(host) && !isOwnName(headers.host, host)
}

const LOOPBACK_NAMES: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/** True if a header `Host` names this machine, or the address that its server listens on. */
export function isOwnName(header: string | undefined, listening: string): boolean {
  const name = hostnameOf(`http://${header ?? ''}`)
  const own = hostnameOf(`http://${withBrackets(listening)}`)
  return name !== null && (LOOPBACK_NAMES.has(name) || name === own)
}

function hostnameOf(url: string): string | null {
  return URL.canParse(url) ? new URL(url).hostname.toLowerCase() : null
}

/** The results of checks, each with the time since which the check has had this result. */
class Seen {
  readonly #checks: HealthChecks
  readonly #since = new Map<string, { readonly ok: boolean; readonly at: string }>()

  constructor(checks: HealthChecks) {
    this.#checks = checks
  }

  get results() {
    return Object.entries(this.#checks).map(([name, check]) => {
      const result = resultOf(check)
      const before = this.#since.get(name)
      const seen = before?.ok === result.ok ? before : { ok: result.ok, at: new Date().toISOString() }
      this.#since.set(name, seen)
      return [name, { ...result, since: seen.at }] as const
    })
  }
}

function answerChecks(response: ServerResponse, { results }: Seen): void {
  const ok = results.every(([, result]) => result.ok)
  const body = { status: ok ? 'ok' : 'unavailable', checks: Object.fromEntries(results) }
  answer(response, ok ? 200 : 503, `${JSON.stringify(body)}\n`, 'application/json')
}

function resultOf(check: HealthChecks[string]): { readonly ok: boolean; readonly detail?: string } {
  try {
    return check()
  } catch (error) {
    return { ok: false, detail: messageOf(error) }
  }
}

async function answerMetrics(response: ServerResponse, metrics: Metrics): Promise<void> {
  try {
    answer(response, 200, await metrics.text(), metrics.contentType)
  } catch (error) {
    answer(response, 500, `${messageOf(error)}\n`, 'text/plain')
  }
}

function answer(response: ServerResponse, status: number, body: string, contentType: string): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) })
  response.end(body)
}

function adviceFor(cause: Error): string {
  if (!('code' in cause)) return ''
  if (cause.code === 'EADDRINUSE')
    return '. Another process has this port: stop it, or set SLUICE_PORT to a free one'
  return cause.code === 'EADDRNOTAVAIL' ? '. Set SLUICE_HOST to an address of this machine' : ''
}
