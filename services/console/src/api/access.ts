/**
 * Decides who may ask. On a server with tokens, each request needs a token, or the session of a login with a
 * token. A server without tokens lets only this machine ask, and no foreign page in one of its browsers: a
 * page can send requests to 127.0.0.1, and by DNS rebinding even read the answers.
 */
import type { SignInView, TokenMadeView, TokensView } from '@sluice/contracts/api/operating'
import { isSluiceError, SluiceError, WrongState } from '@sluice/contracts/errors'
import { RecentMap } from '@sluice/flow/recent-map'
import { sleep } from '@sluice/flow/sleep'
import type { Role } from '@sluice/control/roles'
import { isOwnName } from '@sluice/runtime/health-server'
import { cookieName, sentCookies, setCookie, type CookieKind, type SentCookie } from '../access/cookies.ts'
import { networkOf } from '../access/networks.ts'
import type { OpenIdSettings } from '../access/open-id-settings.ts'
import { LOCAL, NOBODY, userOfSocket, type Principal } from '../access/principal.ts'
import type { MadeTokens } from '../access/made-tokens.ts'
import { Sessions, type Holder, type Session } from '../access/sessions.ts'
import { SIGN_IN_LIFE_MS, type SignIns } from '../access/sign-ins.ts'
import { allTokens, tokenOf, type KnownToken, type Tokens } from '../access/tokens.ts'
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
      /** True if the settings let others than the operator write resources. Default: false. */
      readonly hasAuthors?: boolean
      /** The OpenID provider with which people sign in. Null or absent without one. */
      readonly openId?: OpenIdSettings | null
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
/** The most tokens whose last use the gate remembers. */
const MAX_USED = 1_000
const WRITING: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])

/** The reasons for refusals. They are the values of a label of the metrics. */
export const REFUSALS = ['no-token', 'wrong-token', 'too-many-tokens', 'page', 'sign-in', 'role'] as const
type Refused = (typeof REFUSALS)[number]

const STATUS = {
  'no-token': 401,
  'wrong-token': 401,
  'too-many-tokens': 429,
  page: 403,
  'sign-in': 403,
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
  /** Null or absent on a server that has no key of the vault. */
  readonly madeTokens?: MadeTokens | null
  /** Null or absent on a server where people sign in with tokens alone. */
  readonly signIns?: SignIns | null
}

interface Asking {
  readonly signal: AbortSignal
}

export class Gate {
  readonly #access: Access
  readonly #badLoginMs: number
  readonly #now: () => number
  /** The tokens of the environment. */
  readonly #given: readonly KnownToken[]
  readonly #made: MadeTokens | null
  readonly #signIns: SignIns | null
  readonly #sessions: Sessions
  /** The number of wrong tokens in the last moment, by network. */
  readonly #wrong = new RecentMap<string, number>({ limit: MAX_NETWORKS })
  /** The right tokens by network and name. */
  readonly #right = new RecentMap<string, true>({ limit: MAX_NETWORKS })
  #waiting = 0
  readonly #since: number
  /** The last use of each token here, by its hash. */
  readonly #used = new RecentMap<string, number>({ limit: MAX_USED })

  constructor(
    access: Access,
    { badLoginMs = BAD_LOGIN_MS, now = Date.now, madeTokens, signIns }: GateOptions = {},
  ) {
    this.#access = access
    this.#badLoginMs = badLoginMs
    this.#now = now
    this.#since = now()
    this.#given = access.kind === 'tokens' ? allTokens(access.tokens) : []
    this.#made = access.kind === 'tokens' ? (madeTokens ?? null) : null
    this.#signIns = access.kind === 'tokens' ? (signIns ?? null) : null
    this.#sessions = new Sessions({ holderOf: subject => this.#holderOf(subject), now })
  }

  /** True if the operator has said that browsers reach the server over TLS. */
  get isOverTls(): boolean {
    return this.#access.kind === 'tokens' && isHttps(this.#access.publicOrigin)
  }

  /** The tokens by name, with their last use here, and what this caller may make of them. */
  tokensFor(caller: Pick<Principal, 'roles'>): TokensView {
    return {
      tokens: [...this.#given, ...this.#madeHere()].map(({ name, roles, from, made, endsAt, hash }) => ({
        ...{ name, roles: [...roles], from, endsAt: timeOf(endsAt) },
        ...{ madeAt: timeOf(made?.at), madeBy: made?.by ?? null },
        lastUsedAt: timeOf(this.#used.get(hash.toString('hex'))),
      })),
      since: new Date(this.#since).toISOString(),
      mayGive: [...caller.roles].filter(role => this.#whyNotGiven(role, caller) === null),
      makesNone: this.#makesNone(),
    }
  }

  /**
   * Makes a token for somebody, with at most the roles of the caller. Throws `forbidden` for another role,
   * and like `MadeTokens.make`.
   */
  async makeToken(
    {
      name,
      roles,
      endsAt,
    }: { readonly name: string; readonly roles: readonly Role[]; readonly endsAt: number | null },
    caller: Pick<Principal, 'name' | 'roles'>,
    options: Asking,
  ): Promise<TokenMadeView> {
    const made = this.#madeTokens()
    for (const role of roles) {
      const why = this.#whyNotGiven(role, caller)
      if (why !== null) throw new SluiceError('forbidden', why)
    }
    if (this.#given.some(token => token.name === name))
      throw new SluiceError(
        'conflict',
        `The configuration of this server has a token \`${name}\`: choose another name.`,
      )
    const token = await made.make({ name, roles: new Set(roles), endsAt, by: caller.name }, options)
    return { name, token, roles: [...roles], endsAt: timeOf(endsAt) }
  }

  /** Revokes a token that was made here. Throws `not-found` and `conflict`. */
  async revokeToken(name: string, { name: by }: Pick<Principal, 'name'>, options: Asking): Promise<void> {
    const given = this.#given.find(token => token.name === name)
    if (await this.#madeTokens().revoke({ name, by }, options)) return
    if (given === undefined) throw new SluiceError('not-found', `Nobody has made a token \`${name}\`.`)
    throw new WrongState(
      `The token \`${name}\` is in ${given.from} of this server: take it away there, and start the server again.`,
    )
  }

  /**
   * True while the caller's token, or the login of its session, counts. A token that is made later with the
   * same name is another one.
   */
  stillKnows({ by, holder }: Pick<Principal, 'by' | 'holder'>): boolean {
    if (by === 'local' || by === null) return true
    return holder !== null && this.#holderOf(holder.subject)?.signs === holder.signs
  }

  #madeTokens(): MadeTokens {
    if (this.#made !== null) return this.#made
    throw new WrongState(this.#makesNone() ?? '')
  }

  #makesNone(): string | null {
    if (this.#made !== null) return null
    return this.#access.kind === 'tokens'
      ? 'This server keeps no tokens, since it has no key: set SLUICE_ENCRYPTION_KEY to the one of the services and start it again.'
      : 'This server asks nobody for a token: set SLUICE_TOKEN, and start it again.'
  }

  /** The reason why the caller may not give this role to somebody. */
  #whyNotGiven(role: Role, { roles }: Pick<Principal, 'roles'>): string | null {
    if (!roles.has(role)) return `You may give only roles that you have, and lack \`${role}\`.`
    if (role !== 'edit' || this.#hasAuthors) return null
    return 'The settings of this server know one author: it gives secrets to hosts without a grant, and reaches private networks. Give somebody the role `edit` in SLUICE_TOKENS or SLUICE_OIDC_ROLES first, and start it again.'
  }

  get #hasAuthors(): boolean {
    return this.#access.kind === 'tokens' && this.#access.hasAuthors === true
  }

  /** The tokens that people made. If the settings know one author by now, none of them is another. */
  #madeHere(): readonly KnownToken[] {
    const made = this.#made?.all() ?? []
    if (this.#hasAuthors) return made
    return made.map(token => ({ ...token, roles: new Set([...token.roles].filter(role => role !== 'edit')) }))
  }

  /** The tokens that count now. A name of the environment hides one that was made. */
  #tokens(): readonly KnownToken[] {
    const now = this.#now()
    const made = this.#madeHere().filter(
      ({ name, endsAt }) => (endsAt ?? Infinity) > now && !this.#given.some(token => token.name === name),
    )
    return [...this.#given, ...made]
  }

  #holderOf(subject: string): Holder | null {
    const person = this.#signIns?.holderOf(subject) ?? null
    return person ?? this.#tokens().find(token => token.subject === subject) ?? null
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
    return await this.#opened(caller, await this.#tokenOf(caller, token, options))
  }

  /** The ways to sign in. */
  get waysIn(): SignInView {
    const wantsToken = this.#access.kind === 'tokens'
    return {
      token: wantsToken && (this.#given.length > 0 || (this.#made?.all() ?? []).length > 0),
      provider: this.#signIns?.host ?? null,
    }
  }

  /** Begins a sign-in with the OpenID provider. Returns its address, and the header for the browser. */
  async beginSignIn(
    caller: Caller,
    to: string,
  ): Promise<{ readonly url: string; readonly setCookie: string }> {
    const { url, sealed } = await this.#signInsHere().begin({ origin: this.originFor(caller), to })
    const name = this.#cookieName(caller, 'sign-in')
    return { url, setCookie: setCookie({ name, value: sealed }, SIGN_IN_LIFE_MS) }
  }

  /**
   * Finishes a sign-in, and opens a new session. Returns the page to go to, and the headers that end the
   * sign-in. Throws a `Refusal` if the provider names nobody, or somebody without a role.
   */
  async finishSignIn(
    caller: Caller,
    redirected: URL,
    { signal }: Asking,
  ): Promise<{ readonly principal: Principal; readonly to: string; readonly cookies: readonly string[] }> {
    const sent = sentCookies(caller.cookie, caller.host, this.isOverTls, 'sign-in')
    const values = sent.map(({ value }) => value)
    try {
      const { holder, to } = await this.#signInsHere().finish(redirected, values, signal)
      return { principal: await this.#opened(caller, holder), to, cookies: removed(sent) }
    } catch (error) {
      throw isSluiceError(error, 'forbidden') ? new Refusal('sign-in', error.message) : error
    }
  }

  #signInsHere(): SignIns {
    if (this.#signIns !== null) return this.#signIns
    throw new WrongState('People sign in to this server with a token: it has no SLUICE_OIDC_ISSUER.')
  }

  /** Opens a new session, with an id that nobody has seen before. */
  async #opened(caller: Caller, holder: Holder): Promise<Principal> {
    const session = await this.#sessions.open(holder)
    return this.#principal(session, { name: this.#cookieName(caller, 'session'), value: session.renewed })
  }

  /** The origin of a browser shows TLS up to a proxy, even if the operator has not named it. */
  #cookieName({ host, origin }: Caller, kind: CookieKind): string {
    return cookieName(host, this.isOverTls || isHttps(origin), kind)
  }

  /** Ends the sessions of the request. Returns the headers that remove their cookies. */
  async logOut({ cookie, host }: Caller): Promise<readonly string[]> {
    const sent = sentCookies(cookie, host, this.isOverTls)
    for (const { value } of sent) {
      const session = await this.#sessions.find(value)
      if (session !== null) this.#sessions.end(session)
    }
    return removed(sent)
  }

  async #bySession(caller: Caller): Promise<Principal> {
    for (const { name, value } of sentCookies(caller.cookie, caller.host, this.isOverTls)) {
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
    const { id, holder, idleUntil, endsAt } = session
    const token = this.#tokens().find(({ subject }) => subject === holder.subject)
    if (token !== undefined) this.#noteUse(token)
    return {
      ...{ name: holder.name, roles: holder.roles, by: 'session', holder },
      session: { id, idleUntil, endsAt },
      setCookie: cookie === null ? null : setCookie(cookie, idleUntil - this.#now()),
    }
  }

  async #byToken(caller: Caller, token: string, options: Asking): Promise<Principal> {
    const holder = await this.#tokenOf(caller, token, options)
    const { name, roles } = holder
    return { ...{ name, roles, by: 'token', holder }, session: null, setCookie: null }
  }

  async #tokenOf({ address }: Caller, value: string, { signal }: Asking): Promise<KnownToken> {
    const network = networkOf(address)
    const wrong = this.#wrong.get(network) ?? 0
    const token = tokenOf(value, this.#tokens())
    const isFamiliar = token !== null && this.#right.get(`${network} ${token.name}`) === true
    // The answer to a right guess is the same as to a wrong one.
    if (wrong >= MAX_BAD_LOGINS && !isFamiliar) throw tooManyTokens()
    if (token !== null) {
      this.#right.set(`${network} ${token.name}`, true)
      this.#noteUse(token)
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

  #noteUse({ hash }: KnownToken): void {
    this.#used.set(hash.toString('hex'), this.#now())
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

/** The headers that remove these cookies. */
function removed(sent: readonly SentCookie[]): readonly string[] {
  return [...new Set(sent.map(({ name }) => name))].map(name => setCookie({ name, value: '' }, 0))
}

function timeOf(at: number | null | undefined): string | null {
  return at === null || at === undefined ? null : new Date(at).toISOString()
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
