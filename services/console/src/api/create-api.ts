/**
 * The API as a listener for HTTP servers: the routes, and around them access, limits of size and time,
 * headers that keep browsers safe, and errors as problem details.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { API_BASE } from '@sluice/contracts/api/operations'
import { SluiceError } from '@sluice/contracts/errors'
import { ControlFor } from '@sluice/control/control-for'
import type { Control } from '@sluice/control/port'
import { inTurns } from '@sluice/flow/sleep'
import type { Logger } from '@sluice/runtime/logger'
import type { Metrics } from '@sluice/runtime/metrics'
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { MadeTokens } from '../access/made-tokens.ts'
import type { Principal } from '../access/principal.ts'
import type { AskedRuns } from '../asked-runs.ts'
import { Gate, Refusal, type Access, type Caller } from './access.ts'
import { compressAnswers } from './compression.ts'
import { headersOf } from './headers.ts'
import { openApiDocument } from './open-api.ts'
import { Busy, RequestLimit, Turns } from '../access/request-limits.ts'
import { Refusals } from '../access/refusals.ts'
import type { SignIns } from '../access/sign-ins.ts'
import { PROBLEM_TYPE, problemFrom, problemOf } from './problems.ts'
import type { PendingLogins } from '../login/pending-logins.ts'
import type { Answer, RawInput, Route, RouteContext } from './route.ts'
import { assertMayUse, ROUTES } from './routes.ts'
import type { PageAnswer, WebPages } from './web-pages.ts'

/** Most bodies hold little more than the key of a row. */
const MAX_BODY_BYTES = 64 * 1024
/** A name in a path may be percent-encoded. */
const MAX_PARAM_CHARACTERS = 1_000
/** Browsers let a page of another origin send these types only after this server has allowed it. */
const YAML = ['application/yaml', 'application/x-yaml']
const TIMEOUT_MS = 60_000
/** A list of up to this many items is written at once. */
const MAX_AT_ONCE = 10
const SECOND_MS = 1_000

/**
 * A stream ends after this time if its client has a session: the client connects again and is checked again.
 */
const SESSION_STREAM_MS = 15 * 60_000
/** A stream ends this long after the token of its client was revoked. */
const REVOKED_WITHIN_MS = 1_000

export interface ApiOptions {
  readonly access: Access
  /** Opens the control for a request. It may differ from request to request, and its owner disposes it. */
  readonly openControl: (scope: Route['scope']) => Promise<Control>
  readonly asked: AskedRuns
  readonly logger: Logger
  /** Absent in a process without metrics. */
  readonly metrics?: Metrics
  /** Default: the time of `Gate`. */
  readonly badLoginMs?: number
  /** The pages outside the API. Default: none. */
  readonly pages?: WebPages
  /** The address at which this machine reaches the server, if the services run in this process. */
  readonly ownUrl?: () => string
  readonly logins?: PendingLogins
  /** The tokens that people make. Null on a server that has no key of the vault. */
  readonly madeTokens?: MadeTokens | null
  /** Null on a server where people sign in with tokens alone. */
  readonly signIns?: SignIns | null
  /** Milliseconds since 1970; default `Date.now`. */
  readonly now?: () => number
}

/** Disposing it ends streams and requests under way. */
export interface Api extends AsyncDisposable {
  /** Answers a request of any server of Node. */
  readonly listener: (request: IncomingMessage, response: ServerResponse) => void
}

export async function createApi(options: ApiOptions): Promise<Api> {
  const ending = new AbortController()
  const gate = new Gate(options.access, options)
  const app = fastify({
    logger: false,
    bodyLimit: MAX_BODY_BYTES,
    exposeHeadRoutes: true,
    // The router refuses a path that it cannot decode, and a parameter that is too long.
    frameworkErrors: (error, { url }, reply) =>
      void refuse(reply.headers(headersFor(url, gate)), error, options.logger),
    routerOptions: { maxParamLength: MAX_PARAM_CHARACTERS, ignoreTrailingSlash: false },
  })
  // A page of another origin may send text without asking, but not JSON.
  app.removeContentTypeParser('text/plain')
  app.addContentTypeParser(YAML, { parseAs: 'string' }, (_request, body, done) => done(null, body))
  const serving = { ...options, gate, turns: new Turns(), ending: ending.signal }
  const refusals = new Refusals(options)
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(headersFor(request.url, gate))
    gate.assertAddressed(callerOf(request))
  })
  compressAnswers(app)
  app.setErrorHandler((error, request, reply) => {
    const { method, url } = request
    refusals.note(error, { address: callerOf(request).address, method, path: url.split('?')[0] ?? '' })
    const isOfRoute = !request.is404 || METHODS.has(request.method) || error instanceof SluiceError
    return void refuse(reply, isOfRoute ? error : notHere(request, reply), options.logger)
  })
  app.setNotFoundHandler(async (request, reply) => {
    const page = pageOf(request, options.pages)
    if (page !== null)
      return reply
        .code(page.status)
        .headers(page.headers)
        .send(page.body ?? undefined)
    if (!ROUTED.has(request.method)) {
      const methods = methodsAt(request.url)
      if (methods.length > 0) reply.header('allow', methods.join(', '))
      throw new MethodError(`\`${request.method}\` does nothing on this server.`)
    }
    // A caller who may not read may not learn which routes exist either.
    await gate.admit(callerOf(request), 'read', { signal: ending.signal })
    return refuse(reply, notHere(request, reply), options.logger)
  })
  const document = Buffer.from(`${JSON.stringify(openApiDocument(ROUTES))}\n`)
  app.get(`${API_BASE}/openapi.json`, async (request, reply) => {
    await gate.admit(callerOf(request), 'read', { signal: ending.signal })
    return reply.type('application/json; charset=utf-8').send(document)
  })
  for (const route of ROUTES) addRoute(app, route, serving)
  await app.ready()
  return {
    listener: (request, response) => app.routing(request, response),
    async [Symbol.asyncDispose]() {
      ending.abort(new SluiceError('aborted', 'The server ends.', { retryable: true }))
      await app.close()
    },
  }
}

type Serving = ApiOptions & { readonly gate: Gate; readonly turns: Turns; readonly ending: AbortSignal }

function addRoute(app: FastifyInstance, route: Route, serving: Serving): void {
  const { gate, turns, asked, openControl, ending, logger } = serving
  const limit = new RequestLimit(route)
  const principals = new WeakMap<FastifyRequest, Principal>()
  const gones = new WeakMap<FastifyRequest, ReturnType<typeof goneOf>>()
  const takePlace = (request: FastifyRequest, reply: FastifyReply): void => {
    const giveBack = limit.take(principals.get(request)?.name ?? '')
    const gone = goneOf(reply)
    void gone.promise.then(giveBack)
    gone.signal.throwIfAborted()
    gones.set(request, gone)
  }
  app.route({
    method: route.method,
    url: `${API_BASE}${route.path}`,
    bodyLimit: route.bodyBytes ?? MAX_BODY_BYTES,
    // Token and role, and the place of a known caller, are checked before the body is read: a refused caller
    // sends none.
    onRequest: async (request, reply) => {
      const principal = await gate.admit(callerOf(request), route.scope, { signal: ending })
      if (principal.setCookie !== null) reply.header('set-cookie', principal.setCookie)
      principals.set(request, principal)
      assertMayUse(route, principal.roles)
      if (route.scope !== 'anyone') takePlace(request, reply)
    },
    // Strangers share the places of a route, and none of them keeps one by a body that does not come.
    preHandler: async (request, reply) => {
      if (route.scope === 'anyone') takePlace(request, reply)
    },
    onResponse: async (request, reply) => {
      if (route.scope === 'read') return
      const { name = null, by = null } = principals.get(request) ?? {}
      const { address } = callerOf(request)
      const what = { operation: route.id, of: request.params, status: reply.statusCode }
      logger.info({ who: name, by, address, ...what }, 'asked by the API')
    },
    handler: async (request, reply) => {
      const principal = principals.get(request)
      const gone = gones.get(request)
      if (principal === undefined || gone === undefined)
        throw new SluiceError('internal', 'the caller of a request was not checked')
      const signal = signalOf(route, principal, { gone: gone.signal, ending, gate })
      const control = new ControlFor(principal.roles, await openControl(route.scope), principal.name)
      const caller = callerOf(request)
      const { params, query, body } = request
      const lastEventId = textOf(request.headers['last-event-id'])
      const ifMatch = request.headers['if-match']
      const { remoteAddress, localAddress } = request.socket
      const place = {
        ...{ ownUrl: serving.ownUrl?.() ?? null, isFromHere: remoteAddress === localAddress },
        ...{ origin: gate.originFor(caller), logins: serving.logins ?? null },
      }
      const become = (loggedIn: Principal): void => void principals.set(request, loggedIn)
      const access = accessOf(gate, { caller, principal, become, signal })
      const context = { control, principal, ...access, asked, signal, ifMatch, ...place }
      const { answer, text } = await answered(route, { params, query, body, lastEventId }, context, turns)
      reply.code(route.status)
      if (answer.kind === 'events') {
        // HEAD would wait for the end of the stream.
        const events = request.method === 'HEAD' ? '' : Readable.from(answer.events, { highWaterMark: 1 })
        return reply.type('text/event-stream; charset=utf-8').send(events)
      }
      if (answer.kind === 'file') {
        reply.header('content-disposition', `attachment; filename="${answer.fileName}"`).type(answer.type)
        if (request.method === 'HEAD') return reply.send('')
        return reply.send(Readable.from(answer.text, { highWaterMark: 1 }))
      }
      if (answer.location !== undefined) reply.header('location', answer.location)
      if (answer.etag !== undefined) reply.header('etag', answer.etag)
      for (const cookie of answer.cookies ?? []) reply.header('set-cookie', cookie)
      return reply.type('application/json; charset=utf-8').send(text)
    },
  })
}

/** Returns the acts of a request on sessions and tokens. `become` is told of the caller who has signed in. */
function accessOf(
  gate: Gate,
  {
    caller,
    principal,
    become,
    signal,
  }: {
    readonly caller: Caller
    readonly principal: Principal
    readonly become: (loggedIn: Principal) => void
    readonly signal: AbortSignal
  },
): Pick<RouteContext, 'sessions' | 'tokens'> {
  return {
    sessions: {
      logIn: async token => {
        const loggedIn = await gate.logIn(caller, token, { signal })
        become(loggedIn)
        return loggedIn
      },
      logOut: () => gate.logOut(caller),
      waysIn: () => gate.waysIn,
      beginSignIn: to => gate.beginSignIn(caller, to),
      finishSignIn: async redirected => {
        const signedIn = await gate.finishSignIn(caller, redirected, { signal })
        become(signedIn.principal)
        return signedIn
      },
    },
    tokens: {
      list: () => gate.tokensFor(principal),
      make: token => gate.makeToken(token, principal, { signal }),
      revoke: name => gate.revokeToken(name, principal, { signal }),
    },
  }
}

/** Carries the operation out. A document is also turned into text within the turn, since that takes time. */
async function answered(
  route: Route,
  input: RawInput,
  context: RouteContext,
  turns: Turns,
): Promise<{ readonly answer: Answer; readonly text: string }> {
  const isRead = route.scope === 'read' && !route.streams && !route.isFile
  using _turn = isRead ? await turns.take(context.principal.name, context.signal) : null
  const answer = await route.handle(input, context)
  return { answer, text: answer.kind === 'document' ? `${await jsonOf(answer.value)}\n` : '' }
}

/** Writes the items of lists one by one, so that other requests have their turn in between. */
async function jsonOf(document: unknown): Promise<string> {
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    return JSON.stringify(document)
  const fields: string[] = []
  for (const [name, value] of Object.entries(document)) {
    if (value === undefined) continue
    fields.push(
      `${JSON.stringify(name)}:${Array.isArray(value) ? await listOf(value) : JSON.stringify(value)}`,
    )
  }
  return `{${fields.join(',')}}`
}

async function listOf(items: readonly unknown[]): Promise<string> {
  if (items.length <= MAX_AT_ONCE) return JSON.stringify(items)
  const texts = await inTurns(items, item => (item === undefined ? 'null' : JSON.stringify(item)))
  return `[${texts.join(',')}]`
}

/** The promise resolves, and the signal aborts, when the client is gone or has its whole answer. */
function goneOf(reply: FastifyReply): { readonly promise: Promise<void>; readonly signal: AbortSignal } {
  const gone = new AbortController()
  const { promise, resolve } = Promise.withResolvers<void>()
  const leave = (): void => {
    gone.abort(new SluiceError('aborted', 'The client is gone.'))
    resolve()
  }
  // The client may have gone while its token was checked.
  if (reply.raw.closed) leave()
  else reply.raw.once('close', leave)
  return { promise, signal: gone.signal }
}

function signalOf(
  route: Route,
  principal: Principal,
  { gone, ending, gate }: { readonly gone: AbortSignal; readonly ending: AbortSignal; readonly gate: Gate },
): AbortSignal {
  const { timeoutMs = TIMEOUT_MS } = route
  if (route.streams)
    return AbortSignal.any([
      gone,
      ending,
      revoked(principal, { gone, gate }),
      ...(principal.session === null ? [] : [AbortSignal.timeout(SESSION_STREAM_MS)]),
    ])
  const late = new AbortController()
  const why = `This took longer than ${timeoutMs / SECOND_MS} s. Ask for less at a time.`
  const timer = setTimeout(() => late.abort(new SluiceError('too-long', why)), timeoutMs)
  gone.addEventListener('abort', () => clearTimeout(timer), { once: true })
  return AbortSignal.any([gone, ending, late.signal])
}

/** Aborts once the token of the caller is revoked, or has ended. */
function revoked(
  principal: Principal,
  { gone, gate }: { readonly gone: AbortSignal; readonly gate: Gate },
): AbortSignal {
  const over = new AbortController()
  const check = (): void => {
    if (gate.stillKnows(principal)) return
    clearInterval(timer)
    over.abort(new SluiceError('aborted', 'The token counts no longer.'))
  }
  const timer = setInterval(check, REVOKED_WITHIN_MS).unref()
  gone.addEventListener('abort', () => clearInterval(timer), { once: true })
  return over.signal
}

/** Everybody may load the pages, so the token is checked only if the path has no page. */
function pageOf({ method, url, headers }: FastifyRequest, pages: WebPages | undefined): PageAnswer | null {
  const [path = ''] = url.split('?')
  if (pages === undefined || !['GET', 'HEAD'].includes(method) || path.startsWith('/api')) return null
  const acceptEncoding = textOf(headers['accept-encoding'])
  return pages.answer({ path, acceptEncoding, ifNoneMatch: headers['if-none-match'] })
}

function callerOf(request: FastifyRequest): Caller {
  const { headers, socket } = request
  return {
    method: request.method,
    address: socket.remoteAddress ?? '',
    host: headers.host,
    origin: headers.origin,
    fetchSite: textOf(headers['sec-fetch-site']),
    authorization: headers.authorization,
    cookie: headers.cookie,
  }
}

function textOf(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(', ') : header
}

function headersFor(url: string, { isOverTls }: Gate): ReturnType<typeof headersOf> {
  return headersOf({ isApi: url === API_BASE || url.startsWith(`${API_BASE}/`), isOverTls })
}

/** The methods that the routes of this path have. They are no secret: every Sluice has the same routes. */
function methodsAt(url: string): string[] {
  const path = (url.split('?')[0] ?? '').replace(API_BASE, '')
  const methods: string[] = ROUTES.filter(route => patternOf(route).test(path)).map(route => route.method)
  return path === '/openapi.json' ? [...methods, 'GET'] : methods
}

/** The error for a path without a route, or without one for this method. */
function notHere(request: FastifyRequest, reply: FastifyReply): SluiceError {
  const methods = methodsAt(request.url)
  if (methods.length === 0)
    return new SluiceError('not-found', `There is nothing here: ${API_BASE}/openapi.json lists all routes.`)
  reply.header('allow', methods.join(', '))
  return new MethodError(`\`${request.method}\` does nothing here: use ${methods.join(' or ')}.`)
}

class MethodError extends SluiceError {
  constructor(message: string) {
    super('usage', message)
  }
}

function patternOf(route: Route): RegExp {
  return new RegExp(`^${route.path.replaceAll(/:\w+/g, '[^/]+')}$`)
}

/** The methods that routes have. */
const ROUTED: ReadonlySet<string> = new Set(['HEAD', ...ROUTES.map(({ method }) => method)])

/** With any other method, the router looks at the body before it looks for a route. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST'])

const INTERNAL = 500

function refuse(reply: FastifyReply, error: unknown, logger: Logger): FastifyReply {
  const problem =
    error instanceof Refusal
      ? problemOf(error, error.status)
      : error instanceof Busy
        ? problemOf(error, 429)
        : error instanceof MethodError
          ? problemOf(error, 405)
          : problemFrom(error)
  if (problem.status === INTERNAL) logger.error({ err: error }, 'a request failed')
  if (problem.status === 405 && !reply.hasHeader('allow')) reply.header('allow', [...ROUTED].join(', '))
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer realm="sluice"')
  if (problem.retryable) reply.header('retry-after', '1')
  return reply
    .code(problem.status)
    .type(PROBLEM_TYPE)
    .send(`${JSON.stringify(problem)}\n`)
}
