/**
 * Who may ask for what. With tokens, a request needs one. Without, only this machine may ask, and no web page
 * in one of its browsers: a page can send requests to 127.0.0.1, and by DNS rebinding even read the answers.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { SluiceError } from '@sluice/contracts/errors'
import { RecentMap } from '@sluice/flow/recent-map'
import { sleep } from '@sluice/flow/sleep'
import { isOwnName } from '@sluice/runtime/health-server'
import type { Scope } from './route.ts'

export interface Tokens {
  /** May do everything. Without it, nobody may write. */
  readonly write: string | null
  readonly read: string | null
}

export type Access =
  /** Whoever may open the socket is the user of this process. */
  | { readonly kind: 'socket' }
  /** Everybody on this machine; `host` is the address that the server listens on. */
  | { readonly kind: 'loopback'; readonly host: string }
  | { readonly kind: 'tokens'; readonly tokens: Tokens }

/** The head of a request, as far as access depends on it. */
export interface Caller {
  readonly address: string
  readonly host: string | undefined
  readonly origin: string | undefined
  /** `Sec-Fetch-Site`, which every browser sends and no page can set. */
  readonly fetchSite: string | undefined
  readonly authorization: string | undefined
}

/** How long the answer to a wrong token takes. */
const BAD_LOGIN_MS = 1_000
/** Most wrong tokens of one address that wait for their answer. Beyond, the address is not even heard. */
const BAD_LOGINS_AT_ONCE = 5
/** Addresses with wrong tokens that are remembered. */
const ADDRESSES_KEPT = 10_000

/** A refusal with the status that HTTP has for it. */
export class Refusal extends SluiceError {
  readonly status: 401 | 403 | 429
  constructor(status: 401 | 403 | 429, message: string) {
    super('forbidden', message, { retryable: status === 429 })
    this.status = status
  }
}

export class Gate {
  readonly #access: Access
  readonly #badLoginMs: number
  /** So many wrong tokens of each address wait for their answer. */
  readonly #waiting = new RecentMap<string, number>({ limit: ADDRESSES_KEPT })

  constructor(access: Access, options: { readonly badLoginMs?: number } = {}) {
    this.#access = access
    this.#badLoginMs = options.badLoginMs ?? BAD_LOGIN_MS
  }

  /**
   * Resolves if the caller may do that; throws a `Refusal` otherwise, after some time if its token is wrong.
   */
  async admit(caller: Caller, scope: Scope, options: { readonly signal: AbortSignal }): Promise<void> {
    const access = this.#access
    switch (access.kind) {
      case 'socket':
        return
      case 'loopback':
        assertOwnName(caller, access.host)
        assertNoForeignPage(caller)
        return
      case 'tokens':
        assertNoForeignPage(caller)
        await this.#assertToken(caller, { scope, tokens: access.tokens, ...options })
        return
      default:
        access satisfies never
    }
  }

  async #assertToken(
    { address, authorization }: Caller,
    of: { readonly scope: Scope; readonly tokens: Tokens; readonly signal: AbortSignal },
  ): Promise<void> {
    const { scope, tokens, signal } = of
    const [, token] = /^Bearer +([^\s]+) *$/i.exec(authorization ?? '') ?? []
    if (token === undefined)
      throw new Refusal(
        401,
        'A token is wanted: `Authorization: Bearer …` with the SLUICE_TOKEN of the server.',
      )
    const waiting = this.#waiting.get(address) ?? 0
    if (waiting >= BAD_LOGINS_AT_ONCE) throw new Refusal(429, 'Too many wrong tokens: wait a few seconds.')
    // Both are compared, so that the time tells nothing.
    const mayWrite = isSame(token, tokens.write)
    const mayRead = isSame(token, tokens.read)
    if (mayWrite || (mayRead && scope === 'read')) return
    if (mayRead) throw new Refusal(403, 'This token may only read: SLUICE_TOKEN is wanted.')
    this.#waiting.set(address, waiting + 1)
    try {
      await sleep(this.#badLoginMs, { signal })
    } finally {
      this.#waiting.set(address, Math.max((this.#waiting.get(address) ?? 1) - 1, 0))
    }
    throw new Refusal(401, 'The server does not know this token.')
  }
}

/** Compares hashes, whose lengths are equal. */
function isSame(found: string, token: string | null): boolean {
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(hash(found), hash(token ?? '')) && token !== null
}

/**
 * A page of evil.example whose name was made to lead to 127.0.0.1 still says `Host: evil.example`.
 */
function assertOwnName({ host }: Caller, listening: string): void {
  if (isOwnName(host, listening)) return
  throw new Refusal(403, 'Without SLUICE_TOKEN this server answers to localhost and 127.0.0.1 only.')
}

/** Browsers say which page sends a request. A page of another origin has no business here. */
function assertNoForeignPage({ origin, host, fetchSite }: Caller): void {
  const isOwnPage = fetchSite === undefined || fetchSite === 'same-origin' || fetchSite === 'none'
  if (origin === undefined && isOwnPage) return
  if (origin !== undefined && isOwnPage && originHost(origin) === (host ?? '').toLowerCase()) return
  throw new Refusal(403, 'Pages of other origins may not ask this server.')
}

/** Host and port of an origin; null for `null` and for what is no origin. */
function originHost(origin: string): string | null {
  const [, host] = /^https?:\/\/([^/?#@]+)$/i.exec(origin) ?? []
  return host?.toLowerCase() ?? null
}
