/**
 * Decides who may ask. On a server with tokens, each request needs a token, or the session of a login with a
 * token. A server without tokens lets only this machine ask, and no foreign page in one of its browsers: a
 * page can send requests to 127.0.0.1, and by DNS rebinding even read the answers.
 */
import type { TokensView } from '@sluice/contracts/api/operating'
import { SluiceError } from '@sluice/contracts/errors'
import { RecentMap } from '@sluice/flow/recent-map'
import { sleep } from '@sluice/flow/sleep'
import { isOwnName } from '@sluice/runtime/health-server'
import { cookieName, sentSessions, setCookie, type SentCookie } from '../access/cookies.ts'
import { networkOf } from '../access/networks.ts'
import { LOCAL, NOBODY, userOfSocket, type Principal } from '../access/principal.ts'
import { Sessions, type Session } from '../access/sessions.ts'
import { allTokens, tokenOf, variableOf, type NamedToken, type Tokens } from '../access/tokens.ts'
import type { Scope } from './route.ts'

export type Access =
  /** Only the user of this process may open the socket. */
  | { readonly kind: 'socket' }
  /** Everybody on this machine may ask. `host` is the address that the server listens on. */
  | { readonly kind: 'loopback'; readonly host: string }
  | {
      readonly kind: 'tokens'
      readonly tokens: Tokens
      /** The origin under which browsers reach a server behind a proxy. Absent: the origin of `Host`. */
      readonly publicOrigin?: string
    }

/** The head of a request, as far as access depends on it. */
export interface Caller {
  readonly method: string
  readonly address: string
  readonly host: string | undefined
  readonly origin: string | undefined
  /** `Sec-Fetch-Site`, which every browser sends and no page can set. */
  readonly fetchSite: string | undefined
  readonly authorization: string | undefined
  readonly cookie: string | undefined
}

/** The time until the answer to a wrong token. */
const BAD_LOGIN_MS = 1_000
/**
 * The most wrong tokens of one network in that time. Beyond, the gate accepts from it only tokens that have
 * come from there before.
 */
const MAX_BAD_LOGINS = 5
/** The most wrong tokens, of all networks, that wait for their answer. Beyond, the gate refuses at once. */
const MAX_WAITING = 500
/** The most networks that the gate remembers: for wrong tokens, and for right ones. */
const MAX_NETWORKS = 10_000
const WRITING: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])

/** The reasons for refusals. They are the values of a label of the metrics. */
export const REFUSALS = ['no-token', 'wrong-token', 'too-many-tokens', 'page', 'role'] as const
type Refused = (typeof REFUSALS)[number]

const STATUS = {
  'no-token': 401,
  'wrong-token': 401,
  'too-many-tokens': 429,
  page: 403,
} as const

/** A refusal, with its status in HTTP. */
export class Refusal extends SluiceError {
  readonly why: Exclude<Refused, 'role'>
  readonly status: 401 | 403 | 429
  constructor(why: Exclude<Refused, 'role'>, message: string) {
    super('forbidden', message, { retryable: STATUS[why] === 429 })
    this.why = why
    this.status = STATUS[why]
  }
}

export interface GateOptions {
  readonly badLoginMs?: number
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

interface Asking {
  readonly signal: AbortSignal
}

export class Gate {
  readonly #access: Access
  readonly #badLoginMs: number
  readonly #now: () => number
  readonly #tokens: readonly NamedToken[]
  readonly #sessions: Sessions
  /** The number of wrong tokens in the last moment, by network. */
  readonly #wrong = new RecentMap<string, number>({ limit: MAX_NETWORKS })
  /** The right tokens by network and name. */
  readonly #right = new RecentMap<string, true>({ limit: MAX_NETWORKS })
  #waiting = 0
  readonly #since: number
  /** The last use of each token here, by its name. */
  readonly #used = new Map<string, number>()

  constructor(access: Access, { badLoginMs = BAD_LOGIN_MS, now = Date.now }: GateOptions = {}) {
    this.#access = access
    this.#badLoginMs = badLoginMs
    this.#now = now
    this.#since = now()
    this.#tokens = access.kind === 'tokens' ? allTokens(access.tokens) : []
    this.#sessions = new Sessions({ tokens: this.#tokens, now })
  }

  /** True if the operator has said that browsers reach the server over TLS. */
  get isOverTls(): boolean {
    return this.#access.kind === 'tokens' && isHttps(this.#access.publicOrigin)
  }

  /** The tokens by name, with their last use here. */
  get tokens(): TokensView {
    return {
      tokens: this.#tokens.map(token => {
        const { name, roles } = token
        const used = this.#used.get(name)
        const lastUsedAt = used === undefined ? null : new Date(used).toISOString()
        return { name, roles: [...roles], from: variableOf(token), lastUsedAt }
      }),
      since: new Date(this.#since).toISOString(),
    }
  }

  /** The origin at which the browser of this request reaches the server, without a slash at its end. */
  originFor({ origin, host }: Caller): string {
    const configured = this.#access.kind === 'tokens' ? this.#access.publicOrigin : undefined
    return configured ?? origin?.toLowerCase() ?? `http://${host ?? ''}`
  }

  /** Throws a `Refusal` for a request, be it of the API or for a page, that names another host. */
  assertAddressed(caller: Caller): void {
    if (this.#access.kind === 'loopback') assertOwnName(caller, this.#access.host)
  }

  /**
   * Resolves with the caller, if it may ask within the scope. Throws a `Refusal` otherwise, after some time
   * if the token is wrong.
   */
  async admit(caller: Caller, scope: Scope, options: Asking): Promise<Principal> {
    this.assertAddressed(caller)
    if (this.#access.kind === 'socket') return userOfSocket()
    this.#assertNoForeignPage(caller)
    if (this.#access.kind === 'loopback') return LOCAL
    if (scope === 'anyone') return NOBODY
    return caller.authorization === undefined
      ? await this.#bySession(caller)
      : await this.#byToken(caller, tokenIn(caller), options)
  }

  /** Opens a session for the holder of this token. Throws like `admit`. */
  async logIn(caller: Caller, token: string, options: Asking): Promise<Principal> {
    if (this.#access.kind !== 'tokens') return LOCAL
    const session = await this.#sessions.open(await this.#tokenOf(caller, token, options))
    // The origin of a browser shows TLS up to a proxy, even if the operator has not named it.
    const name = cookieName(caller.host, this.isOverTls || isHttps(caller.origin))
    return this.#principal(session, { name, value: session.renewed })
  }

  /** Ends the sessions of the request. Returns the headers that remove their cookies. */
  async logOut({ cookie, host }: Caller): Promise<readonly string[]> {
    const sent = sentSessions(cookie, host, this.isOverTls)
    for (const { value } of sent) {
      const session = await this.#sessions.find(value)
      if (session !== null) this.#sessions.end(session)
    }
    return [...new Set(sent.map(({ name }) => name))].map(name => setCookie({ name, value: '' }, 0))
  }

  async #bySession(caller: Caller): Promise<Principal> {
    for (const { name, value } of sentSessions(caller.cookie, caller.host, this.isOverTls)) {
      const session = await this.#sessions.find(value)
      if (session === null) continue
      if (WRITING.has(caller.method)) this.#assertOwnPage(caller)
      const { renewed } = session
      return this.#principal(session, renewed === null ? null : { name, value: renewed })
    }
    throw new Refusal(
      'no-token',
      'A token is wanted: `Authorization: Bearer …` with the SLUICE_TOKEN of the server, or a session.',
    )
  }

  #principal(session: Session, cookie: SentCookie | null): Principal {
    const { id, token, idleUntil, endsAt } = session
    this.#used.set(token.name, this.#now())
    return {
      ...{ name: token.name, roles: token.roles, by: 'session' },
      session: { id, idleUntil, endsAt },
      setCookie: cookie === null ? null : setCookie(cookie, idleUntil - this.#now()),
    }
  }

  async #byToken(caller: Caller, token: string, options: Asking): Promise<Principal> {
    const { name, roles } = await this.#tokenOf(caller, token, options)
    return { ...{ name, roles, by: 'token' }, session: null, setCookie: null }
  }

  async #tokenOf({ address }: Caller, value: string, { signal }: Asking): Promise<NamedToken> {
    const network = networkOf(address)
    const wrong = this.#wrong.get(network) ?? 0
    const token = tokenOf(value, this.#tokens)
    const isFamiliar = token !== null && this.#right.get(`${network} ${token.name}`) === true
    // The answer to a right guess is the same as to a wrong one.
    if (wrong >= MAX_BAD_LOGINS && !isFamiliar) throw tooManyTokens()
    if (token !== null) {
      this.#right.set(`${network} ${token.name}`, true)
      this.#used.set(token.name, this.#now())
      return token
    }
    // The guess of a client that goes away before its answer counts as well.
    this.#wrong.set(network, wrong + 1)
    const forget = (): void => this.#wrong.set(network, Math.max((this.#wrong.get(network) ?? 1) - 1, 0))
    setTimeout(forget, this.#badLoginMs).unref()
    if (this.#waiting >= MAX_WAITING) throw tooManyTokens()
    this.#waiting += 1
    try {
      await sleep(this.#badLoginMs, { signal })
    } finally {
      this.#waiting -= 1
    }
    throw new Refusal('wrong-token', 'The server does not know this token.')
  }

  /** Browsers say which page sends a request. Pages of other origins are refused. */
  #assertNoForeignPage(caller: Caller): void {
    const { origin, fetchSite } = caller
    const isOwnPage = fetchSite === undefined || fetchSite === 'same-origin' || fetchSite === 'none'
    if (isOwnPage && (origin === undefined || this.#isOwnOrigin(caller))) return
    throw new Refusal('page', 'Pages of other origins may not ask this server.')
  }

  /**
   * A browser adds the cookie to any request to this server, so a cookie alone does not show that its holder
   * wants the change. The browser also has to say that a page of this server asks.
   */
  #assertOwnPage(caller: Caller): void {
    if (caller.fetchSite === 'same-origin' || this.#isOwnOrigin(caller)) return
    throw new Refusal('page', 'With a session only pages of this server may change something: use a token.')
  }

  #isOwnOrigin({ origin, host }: Caller): boolean {
    if (origin === undefined) return false
    const own = this.#access.kind === 'tokens' ? this.#access.publicOrigin : undefined
    return origin.toLowerCase() === own || originHost(origin) === (host ?? '').toLowerCase()
  }
}

function tooManyTokens(): Refusal {
  return new Refusal('too-many-tokens', 'Too many wrong tokens: wait a few seconds.')
}

function tokenIn({ authorization = '' }: Caller): string {
  const [, token] = /^Bearer +([^\s]+) *$/i.exec(authorization) ?? []
  if (token !== undefined) return token
  throw new Refusal(
    'no-token',
    'A token is wanted: `Authorization: Bearer …` with the SLUICE_TOKEN of the server.',
  )
}

/** A page of evil.example whose name resolves to 127.0.0.1 still sends `Host: evil.example`. */
function assertOwnName({ host }: Caller, listening: string): void {
  if (isOwnName(host, listening)) return
  throw new Refusal('page', 'Without SLUICE_TOKEN this server answers to localhost and 127.0.0.1 only.')
}

function isHttps(origin: string | undefined): boolean {
  return /^https:/i.test(origin ?? '')
}

/** Host and port of an origin. Null for the origin `null`, and for any other text. */
function originHost(origin: string): string | null {
  const [, host] = /^https?:\/\/([^/?#@]+)$/i.exec(origin) ?? []
  return host?.toLowerCase() ?? null
}
