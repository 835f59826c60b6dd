/**
 * Who may ask for what. With tokens, a request needs one, or the session of somebody who logged in with one.
 * Without, only this machine may ask, and no web page in one of its browsers: a page can send requests to
 * 127.0.0.1, and by DNS rebinding even read the answers.
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
import { allTokens, mayChange, tokenOf, variableOf, type NamedToken, type Tokens } from '../access/tokens.ts'
import type { Scope } from './route.ts'

export type Access =
  /** Whoever may open the socket is the user of this process. */
  | { readonly kind: 'socket' }
  /** Everybody on this machine; `host` is the address that the server listens on. */
  | { readonly kind: 'loopback'; readonly host: string }
  | {
      readonly kind: 'tokens'
      readonly tokens: Tokens
      /** The origin under which browsers reach a server behind a proxy; absent: that of `Host`. */
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

/** How long the answer to a wrong token takes. */
const BAD_LOGIN_MS = 1_000
/**
 * Most wrong tokens of one network in that time. Beyond, no token of the network is heard that has not been
 * right there before.
 */
const MAX_BAD_LOGINS = 5
/** Most wrong tokens of all networks that wait for their answer. Beyond, they are refused at once. */
const MAX_WAITING = 500
/** Networks with wrong tokens, and tokens with the networks that they came from, that are remembered. */
const NETWORKS_KEPT = 10_000
const WRITING: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])

/** Why somebody is refused: the values of a label of the metrics. */
export const REFUSALS = ['no-token', 'wrong-token', 'too-many-tokens', 'page', 'read-only', 'role'] as const
type Refused = (typeof REFUSALS)[number]

const STATUS = {
  'no-token': 401,
  'wrong-token': 401,
  'too-many-tokens': 429,
  page: 403,
  'read-only': 403,
} as const

/** A refusal with the status that HTTP has for it. */
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
  /** So many tokens of each network were wrong a moment ago. */
  readonly #wrong = new RecentMap<string, number>({ limit: NETWORKS_KEPT })
  /** Networks with the names of tokens that were right there. */
  readonly #right = new RecentMap<string, true>({ limit: NETWORKS_KEPT })
  #waiting = 0
  readonly #since: number
  /** When each token was last used here, by its name. */
  readonly #used = new Map<string, number>()

  constructor(access: Access, { badLoginMs = BAD_LOGIN_MS, now = Date.now }: GateOptions = {}) {
    this.#access = access
    this.#badLoginMs = badLoginMs
    this.#now = now
    this.#since = now()
    this.#tokens = access.kind === 'tokens' ? allTokens(access.tokens) : []
    this.#sessions = new Sessions({ tokens: this.#tokens, now })
  }

  /** True if browsers reach the server over TLS, as far as the operator has said. */
  get isOverTls(): boolean {
    return this.#access.kind === 'tokens' && isHttps(this.#access.publicOrigin)
  }

  /** Who has a token, and when it was last used here. */
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

  /** Where the browser of this request reaches the server, without a slash at its end. */
  originFor({ origin, host }: Caller): string {
    const configured = this.#access.kind === 'tokens' ? this.#access.publicOrigin : undefined
    return configured ?? origin?.toLowerCase() ?? `http://${host ?? ''}`
  }

  /** Throws a `Refusal` for a request that is not meant for this server. It may ask for a page as well. */
  assertAddressed(caller: Caller): void {
    if (this.#access.kind === 'loopback') assertOwnName(caller, this.#access.host)
  }

  /**
   * Resolves with who asks, if they may do that; throws a `Refusal` otherwise, after some time if the token
   * is wrong.
   */
  async admit(caller: Caller, scope: Scope, options: Asking): Promise<Principal> {
    this.assertAddressed(caller)
    if (this.#access.kind === 'socket') return userOfSocket()
    this.#assertNoForeignPage(caller)
    if (this.#access.kind === 'loopback') return LOCAL
    if (scope === 'anyone') return NOBODY
    const principal =
      caller.authorization === undefined
        ? await this.#bySession(caller)
        : await this.#byToken(caller, tokenIn(caller), options)
    if (scope === 'write' && !mayChange(principal))
      throw new Refusal(
        'read-only',
        principal.by === 'session'
          ? 'You may only read: log in with a token that may do more, such as SLUICE_TOKEN.'
          : 'This token may only read: SLUICE_TOKEN is wanted.',
      )
    return principal
  }

  /** Who has this token, with a session of their own. Throws as `admit`. */
  async logIn(caller: Caller, token: string, options: Asking): Promise<Principal> {
    if (this.#access.kind !== 'tokens') return LOCAL
    const of = await this.#tokenOf(caller, token, options)
    const session = await this.#sessions.open(of)
    // A browser that speaks TLS to a proxy says so, whether the operator has or not.
    const name = cookieName(caller.host, this.isOverTls || isHttps(caller.origin))
    return this.#principal(session, { name, value: session.renewed })
  }

  /** Ends the sessions of the request, and gives the headers that take their cookies away. */
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
    // The answer does not tell a guess that was right from one that was wrong.
    if (wrong >= MAX_BAD_LOGINS && !isFamiliar) throw tooManyTokens()
    if (token !== null) {
      this.#right.set(`${network} ${token.name}`, true)
      this.#used.set(token.name, this.#now())
      return token
    }
    // A client that goes away before its answer has guessed all the same.
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

  /** Browsers say which page sends a request. A page of another origin has no business here. */
  #assertNoForeignPage(caller: Caller): void {
    const { origin, fetchSite } = caller
    const isOwnPage = fetchSite === undefined || fetchSite === 'same-origin' || fetchSite === 'none'
    if (isOwnPage && (origin === undefined || this.#isOwnOrigin(caller))) return
    throw new Refusal('page', 'Pages of other origins may not ask this server.')
  }

  /**
   * A cookie goes along with whatever a browser sends, so it alone does not say that somebody wants what is
   * asked. The browser has to say that a page of ours asks.
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

/**
 * A page of evil.example whose name was made to lead to 127.0.0.1 still says `Host: evil.example`.
 */
function assertOwnName({ host }: Caller, listening: string): void {
  if (isOwnName(host, listening)) return
  throw new Refusal('page', 'Without SLUICE_TOKEN this server answers to localhost and 127.0.0.1 only.')
}

function isHttps(origin: string | undefined): boolean {
  return /^https:/i.test(origin ?? '')
}

/** Host and port of an origin; null for `null` and for what is no origin. */
function originHost(origin: string): string | null {
  const [, host] = /^https?:\/\/([^/?#@]+)$/i.exec(origin) ?? []
  return host?.toLowerCase() ?? null
}
