/**
 * The API as a listener for HTTP servers: the routes, and around them what every request needs. That is
 * access, limits of size and time, headers that keep browsers from mischief, and errors as problem details.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { API_BASE } from '@sluice/contracts/api/operations'
import type { TokensView } from '@sluice/contracts/api/operating'
import { SluiceError } from '@sluice/contracts/errors'
import { ControlFor } from '@sluice/control/control-for'
import type { Control } from '@sluice/control/port'
import { deferred } from '@sluice/flow/deferred'
import { inTurns } from '@sluice/flow/sleep'
import type { Logger } from '@sluice/runtime/logger'
import type { Metrics } from '@sluice/runtime/metrics'
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Principal } from '../access/principal.ts'
import type { AskedRuns } from '../asked-runs.ts'
import { Gate, Refusal, type Access, type Caller } from './access.ts'
import { headersOf } from './headers.ts'
import { openApiDocument } from './open-api.ts'
import { Busy, Places, Turns } from '../access/places.ts'
import { Refusals } from '../access/refusals.ts'
import { PROBLEM_TYPE, problemFrom, problemOf } from './problems.ts'
import type { PendingLogins } from '../login/pending-logins.ts'
import type { Answer, RawInput, Route, RouteContext } from './route.ts'
import { assertMayUse, ROUTES } from './routes.ts'
import type { PageAnswer, WebPages } from './web-pages.ts'

/** Most bodies name a row at most. */
const BODY_BYTES = 64 * 1024
/** A name in a path may be percent-encoded. */
const PARAM_CHARACTERS = 1_000
/** A page of another origin may send neither without asking first. */
const YAML = ['application/yaml', 'application/x-yaml']
const TIMEOUT_MS = 60_000
/** Items of a list that are written together. */
const FEW = 10
const SECOND_MS = 1_000

/** A client that follows something with a session comes back after so long, and says again who it is. */
const SESSION_STREAM_MS = 15 * 60_000

export interface ApiOptions {
  readonly access: Access
  /** The control that a request uses. It may be another one each time, and is not disposed here. */
  readonly openControl: (scope: Route['scope']) => Promise<Control>
  readonly asked: AskedRuns
  readonly logger: Logger
  /** Absent where nothing is counted. */
  readonly metrics?: Metrics
  /** Default: as long as `Gate` has it. */
  readonly badLoginMs?: number
  /** The pages outside the API. Default: none. */
  readonly pages?: WebPages
  /** Where this machine reaches the server, if the services run in this process. */
  readonly ownUrl?: () => string
  readonly logins?: PendingLogins
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
    bodyLimit: BODY_BYTES,
    exposeHeadRoutes: true,
    // A path that cannot be decoded, or that has a parameter of many characters.
    frameworkErrors: (error, { url }, reply) =>
      void refuse(reply.headers(headersFor(url, gate)), error, options.logger),
    routerOptions: { maxParamLength: PARAM_CHARACTERS, ignoreTrailingSlash: false },
  })
  // A page of another origin may send text, but JSON only if this server allows it.
  app.removeContentTypeParser('text/plain')
  app.addContentTypeParser(YAML, { parseAs: 'string' }, (_request, body, done) => done(null, body))
  const serving = { ...options, gate, turns: new Turns(), ending: ending.signal }
  const refusals = new Refusals(options)
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(headersFor(request.url, gate))
    gate.assertAddressed(callerOf(request))
  })
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
    // A caller who may not read may not find out what is here either.
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
  const places = new Places(route)
  const principals = new WeakMap<FastifyRequest, Principal>()
  const gones = new WeakMap<FastifyRequest, ReturnType<typeof goneOf>>()
  app.route({
    method: route.method,
    url: `${API_BASE}${route.path}`,
    bodyLimit: route.bodyBytes ?? BODY_BYTES,
    // Token, role and place come before the body: who may not ask sends nothing.
    onRequest: async (request, reply) => {
      const principal = await gate.admit(callerOf(request), route.scope, { signal: ending })
      if (principal.setCookie !== null) reply.header('set-cookie', principal.setCookie)
      principals.set(request, principal)
      assertMayUse(route, principal.roles)
      const giveBack = places.take(principal.name)
      const gone = goneOf(reply)
      void gone.promise.then(giveBack)
      gones.set(request, gone)
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
        throw new SluiceError('internal', 'a request was not asked who sends it')
      const signal = signalOf(route, principal, { gone: gone.signal, ending })
      const control = new ControlFor(principal.roles, await openControl(route.scope), principal.name)
      const caller = callerOf(request)
      const sessions = {
        logIn: async (token: string) => {
          const loggedIn = await gate.logIn(caller, token, { signal })
          principals.set(request, loggedIn)
          return loggedIn
        },
        logOut: () => gate.logOut(caller),
      }
      const { params, query, body } = request
      const lastEventId = textOf(request.headers['last-event-id'])
      const ifMatch = request.headers['if-match']
      const { remoteAddress, localAddress } = request.socket
      const place = {
        ...{ ownUrl: serving.ownUrl?.() ?? null, isFromHere: remoteAddress === localAddress },
        ...{ origin: gate.originFor(caller), logins: serving.logins ?? null },
      }
      const tokens = (): TokensView => gate.tokens
      const context = { control, principal, sessions, tokens, asked, signal, ifMatch, ...place }
      const { answer, text } = await answered(route, { params, query, body, lastEventId }, context, turns)
      reply.code(route.status)
      if (answer.kind === 'events') {
        // HEAD would wait for the end of the stream.
        const events = request.method === 'HEAD' ? '' : Readable.from(answer.events, { highWaterMark: 1 })
        return reply.type('text/event-stream; charset=utf-8').send(events)
      }
      if (answer.location !== undefined) reply.header('location', answer.location)
      if (answer.etag !== undefined) reply.header('etag', answer.etag)
      for (const cookie of answer.cookies ?? []) reply.header('set-cookie', cookie)
      return reply.type('application/json; charset=utf-8').send(text)
    },
  })
}

/** The answer, and a document as text. To make a large one takes its time, too. */
async function answered(
  route: Route,
  input: RawInput,
  context: RouteContext,
  turns: Turns,
): Promise<{ readonly answer: Answer; readonly text: string }> {
  const isRead = route.scope === 'read' && !route.streams
  using _turn = isRead ? await turns.take(context.principal.name, context.signal) : null
  const answer = await route.handle(input, context)
  return { answer, text: answer.kind === 'document' ? `${await jsonOf(answer.value)}\n` : '' }
}

/** Items of a list are written one by one, so that others have their turn in between. */
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
  if (items.length <= FEW) return JSON.stringify(items)
  const texts = await inTurns(items, item => (item === undefined ? 'null' : JSON.stringify(item)))
  return `[${texts.join(',')}]`
}

/** Ends when the client is gone or has its whole answer. */
function goneOf(reply: FastifyReply): { readonly promise: Promise<void>; readonly signal: AbortSignal } {
  const gone = new AbortController()
  const { promise, resolve } = deferred()
  reply.raw.once('close', () => {
    gone.abort(new SluiceError('aborted', 'The client is gone.'))
    resolve()
  })
  return { promise, signal: gone.signal }
}

function signalOf(
  route: Route,
  { session }: Principal,
  { gone, ending }: { readonly gone: AbortSignal; readonly ending: AbortSignal },
): AbortSignal {
  const { timeoutMs = TIMEOUT_MS } = route
  if (route.streams)
    return AbortSignal.any([
      gone,
      ending,
      ...(session === null ? [] : [AbortSignal.timeout(SESSION_STREAM_MS)]),
    ])
  const late = new AbortController()
  const why = `This took longer than ${timeoutMs / SECOND_MS} s. Ask for less at a time.`
  const timer = setTimeout(() => late.abort(new SluiceError('too-long', why)), timeoutMs)
  gone.addEventListener('abort', () => clearTimeout(timer), { once: true })
  return AbortSignal.any([gone, ending, late.signal])
}

/** Pages are for everybody, and so are looked for before the token. */
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

/** The methods of the routes that a path has, which every Sluice has. */
function methodsAt(url: string): string[] {
  const path = (url.split('?')[0] ?? '').replace(API_BASE, '')
  const methods: string[] = ROUTES.filter(route => patternOf(route).test(path)).map(route => route.method)
  return path === '/openapi.json' ? [...methods, 'GET'] : methods
}

/** Another method of a route that is here, or nothing. */
function notHere(request: FastifyRequest, reply: FastifyReply): SluiceError {
  const methods = methodsAt(request.url)
  if (methods.length === 0)
    return new SluiceError('not-found', `There is nothing here: ${API_BASE}/openapi.json says what there is.`)
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

/** The methods that some route has. */
const ROUTED: ReadonlySet<string> = new Set(['HEAD', ...ROUTES.map(({ method }) => method)])

/** The router wants a body of some other methods before it looks for a route. */
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
