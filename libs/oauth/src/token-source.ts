/**
 * The access token of one destination, in one process. Only one process at a time asks for a token, under a
 * lease of the store. All processes use that token (PROTOCOL.md, "Credentials"). States: none → held → none.
 * A token is dropped shortly before it expires, or when the API refuses it. If a refresh token comes with the
 * access token, the vault has to acknowledge it before this process uses the access token.
 */
import { randomUUID } from 'node:crypto'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import { noToken, loginOf, newEpoch, type Login } from './login.ts'
import { abortable } from '@sluice/flow/abortable'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import { doublingPause } from '@sluice/flow/retry'
import { sleep } from '@sluice/flow/sleep'
import type { ConnectionOptions } from '@sluice/http-sender/port'
import type { KeySource } from '@sluice/secrets/vault/key-file'
import type { TokenLease, TokenStore } from './port.ts'
import type { EncryptionKeys } from '@sluice/secrets/vault/encryption-keys'
import { z } from 'zod'
import { keepsNoLogin, type OAuthSettings } from './settings.ts'
import type { TokenAnswer } from './token-answer.ts'
import { TOKEN_TIMEOUT_MS, type AskedToken, type TokenEndpoint, type TokenGrant } from './token-request.ts'

/** The assumed life of a token without one. A server that means less answers 401. */
const DEFAULT_LIFE_MS = 3_600_000
/** A lease outlives a request and its acknowledgement by the vault. */
const LEASE_MS = TOKEN_TIMEOUT_MS * 2 + 15_000
const POLL_MS = 100
const PAUSES = { firstMs: 1_000, maxMs: 30_000 } as const
/** The longest pause that an endpoint may ask for. */
const MAX_ASKED_MS = 300_000
/** The pause after a refusal that time does not mend. It is long, since servers lock accounts. */
const REFUSED_PAUSE_MS = 60_000
/** If a refused token was replaced, and the new token is refused, too, the new token stays for this long. */
const LEFT_ALONE_MS = 60_000
/** At most this many tokens are masked, and remembered as refused. */
const MAX_REMEMBERED = 16

const tokenSchema = z.object({
  id: z.string(),
  accessToken: z.string(),
  /** The scheme of the header Authorization. */
  type: z.string(),
  /** Its life when it was issued. */
  lifeMs: z.number(),
})
const sealedSchema = z.object({ by: z.string(), bytes: z.string() })

/** A token is given up this long before it ends, but not more than a fifth of its life. */
const MARGIN_MS = 60_000
const MARGIN_SHARE = 0.2

function marginOf(lifeMs: number): number {
  return Math.min(MARGIN_MS, lifeMs * MARGIN_SHARE)
}

export type Token = z.output<typeof tokenSchema>

function sealToken(keys: EncryptionKeys, name: string, token: Token): string {
  const { by, bytes } = keys.seal(JSON.stringify(token), ['token', name])
  return JSON.stringify({ by, bytes: Buffer.from(bytes).toString('base64') })
}

/** Returns null for a text that cannot be opened here. A new token is asked for then. */
function openToken(keys: EncryptionKeys, name: string, text: string): Token | null {
  try {
    const { by, bytes } = sealedSchema.parse(JSON.parse(text))
    const opened = keys.open({ by, bytes: Buffer.from(bytes, 'base64') }, ['token', name])
    return opened === null ? null : tokenSchema.parse(JSON.parse(opened))
  } catch {
    return null
  }
}

/** The login of a destination in the vault. */
export interface Logins {
  /** Resolves once this process has all that others wrote before the call. */
  caughtUp(options: { signal: AbortSignal }): Promise<void>
  read(): { readonly login: Login; readonly version: number } | null
  /**
   * Resolves once all replicas have the login. Rejects with `conflict` if the vault has another version than
   * `expected` (null: none).
   */
  write(login: Login, expected: number | null, options: { signal: AbortSignal }): Promise<void>
}

/** The reason why there is no token. */
export interface TokenFailure {
  readonly error: SluiceError
  /** The pause before the next attempt to get one. */
  readonly pauseMs: number
  /** False if a person has to do something. */
  readonly mayPass: boolean
  /** True if the log or the store does not answer, rather than the token endpoint. */
  readonly isOutage: boolean
}

export interface TokenSourceOptions {
  readonly destination: string
  /** The name of its token in the store, for this configuration of the destination. */
  readonly name: string
  readonly store: TokenStore
  readonly keys: KeySource
  readonly endpoint: Pick<TokenEndpoint, 'ask'>
  readonly logins: Logins
  /** Returns the settings with the present secrets. Throws `config`. */
  readonly settings: () => OAuthSettings
  /** Returns the connection options of the endpoint. Throws `config`. */
  readonly connection: () => ConnectionOptions
  /** A clock for durations, in ms; default `elapsedMs`. */
  readonly now?: () => number
  /** Called with each text that nobody may see. */
  readonly onSecret?: (text: string) => void
}

interface Held {
  readonly token: Token
  readonly untilMs: number
  readonly sinceMs: number
  /** True if it was asked for after the last refusal in this process. An older one may be revoked, too. */
  readonly isFresh: boolean
}

interface Unsaved {
  readonly login: Login
  readonly expected: number | null
  /** The login that the vault had when the token was asked for. */
  readonly before: Login | null
  readonly token: Token
  /** The time when it was asked for; −Infinity if not known. */
  readonly askedMs: number
  readonly endsMs: number
}

export class TokenSource implements AsyncDisposable {
  readonly #options: TokenSourceOptions
  readonly #now: () => number
  readonly #refused = new Set<string>()
  /** Ids of tokens that were in use and were not fresh. */
  readonly #older = new Set<string>()
  readonly #stop = new AbortController()
  #held: Held | null = null
  #refusedAtMs: number | null = null
  #acceptedId: string | null = null
  #failures = 0
  #secrets: readonly string[] = []
  /** A login that the vault has not acknowledged yet. Its token is not used before that. */
  #unsaved: Unsaved | null = null
  #underWay: Promise<TokenFailure | null> | null = null

  constructor(options: TokenSourceOptions) {
    this.#options = options
    this.#now = options.now ?? elapsedMs
  }

  /** The token to send now; null if one has to be obtained first. */
  get current(): Token | null {
    const held = this.#held
    if (held === null || this.#refused.has(held.token.id) || this.#now() >= held.untilMs) return null
    return held.token
  }

  /** The present and earlier tokens, which answers may echo. There is a new list with each new token. */
  get secrets(): readonly string[] {
    return this.#secrets
  }

  /**
   * Tries once to obtain a token, for all callers meanwhile. Resolves with null once `current` has one. Waits
   * while another process asks. An abort of the caller does not end a request under way, since its refresh
   * token would be lost. Rejects only when aborted.
   */
  async obtain(options: { signal: AbortSignal }): Promise<TokenFailure | null> {
    if (this.#underWay === null) {
      const begun = this.#obtain()
      this.#underWay = begun
      const over = (): void => {
        this.#underWay = null
      }
      begun.then(over, over)
    }
    return await abortable(this.#underWay, options)
  }

  /**
   * Notes the answer to a request with that token. Returns true if the API refused the token and a new one
   * may help: another process has replaced it meanwhile, or it is replaced now.
   */
  answered(token: Token, status: number): boolean {
    if (status !== 401) {
      this.#acceptedId = token.id
      return false
    }
    const held = this.#held
    if (held === null || held.token.id !== token.id) return true
    const isNew = this.#now() - held.sinceMs < LEFT_ALONE_MS
    if (held.isFresh && isNew && this.#acceptedId !== token.id) return false
    if (!this.#refused.has(token.id)) this.#refusedAtMs = this.#now()
    this.#refused.add(token.id)
    for (const id of this.#refused) if (this.#refused.size > MAX_REMEMBERED) this.#refused.delete(id)
    return true
  }

  /** True for a token that was not fresh: its refusal says nothing of the token that comes after it. */
  isOlder(token: Token): boolean {
    return this.#older.has(token.id)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new SluiceError('aborted', 'the tokens are closed'))
    await this.#underWay?.catch(() => undefined)
  }

  async #obtain(): Promise<TokenFailure | null> {
    try {
      const failure = await this.#obtainOrWait()
      if (failure === null) this.#failures = 0
      return failure
    } catch (error) {
      if (!isSluiceError(error) || error.code === 'aborted') throw error
      return this.#outage(error)
    }
  }

  async #obtainOrWait(): Promise<TokenFailure | null> {
    const { store, keys, logins } = this.#options
    const { signal } = this.#stop
    // Without keys no token can be stored, so none is asked for.
    keys.needed()
    for (;;) {
      signal.throwIfAborted()
      await logins.caughtUp({ signal })
      const name = this.#name()
      const isStored = await this.#takeStored(name)
      if (isStored && this.#unsaved === null) return null
      const answer = await store.lease(name, LEASE_MS)
      if (answer.kind === 'leased') {
        const done = await this.#askUnder(answer.lease)
        if (done !== 'again') return done
      } else if (answer.why !== null) {
        const error = new SluiceError('unreachable', answer.why, { retryable: true })
        return { error, pauseMs: answer.leftMs, mayPass: true, isOutage: false }
      } else await sleep(Math.min(answer.leftMs, POLL_MS), { signal })
    }
  }

  /** Returns the name of the token. It includes the login, so that another login counts at once. */
  #name(): string {
    const { name, settings, logins } = this.#options
    if (settings().grant !== 'authorization-code') return name
    return `${name}/${logins.read()?.login.epoch ?? 'none'}`
  }

  /** Takes the token of the store. Returns false if it has none that can be used. */
  async #takeStored(name: string): Promise<boolean> {
    const { store, keys } = this.#options
    const readMs = this.#now()
    const kept = await store.read(name)
    const token = kept === null ? null : openToken(keys.needed(), name, kept.sealed)
    if (kept === null || token === null || this.#refused.has(token.id)) return false
    const leftMs = kept.leftMs - marginOf(token.lifeMs)
    if (leftMs <= 0) return false
    this.#hold(token, { untilMs: readMs + leftMs, askedMs: readMs + kept.leftMs - token.lifeMs })
    return true
  }

  async #askUnder(lease: TokenLease): Promise<TokenFailure | null | 'again'> {
    const { store } = this.#options
    // Another process may have stored a token just before this one got the lease.
    if (this.#unsaved === null && (await this.#takeStored(lease.name))) {
      await store.end(lease, { pauseMs: 0, why: '' })
      return null
    }
    let failure: TokenFailure | null | 'again'
    try {
      failure = await this.#ask(lease)
    } catch (error) {
      if (!isSluiceError(error)) throw error
      failure = this.#outage(error)
    }
    if (failure === null) return null
    const pause = failure === 'again' ? { pauseMs: 0, why: '' } : pauseOf(failure)
    await store.end(lease, pause)
    return failure
  }

  /** Asks for a token, has the vault acknowledge its login, and stores it. This is never aborted half-way. */
  async #ask(lease: TokenLease): Promise<TokenFailure | null | 'again'> {
    const { signal } = new AbortController()
    const isNew = this.#unsaved === null
    const unsaved = this.#unsaved ?? (await this.#newToken(signal))
    if ('error' in unsaved) return unsaved
    this.#unsaved = unsaved
    const { login, token, askedMs, endsMs } = unsaved
    if (login.refreshToken !== null) this.#hide(login.refreshToken)
    if (unsaved.expected !== NOT_WRITTEN)
      try {
        await this.#write(unsaved, signal)
      } catch (error) {
        // Another login, or another process, was faster. Its login is newer than ours.
        if (!isSluiceError(error, 'conflict')) throw error
        this.#unsaved = null
        return 'again'
      }
    this.#unsaved = { ...unsaved, expected: NOT_WRITTEN }
    const leftMs = endsMs - this.#now()
    if (leftMs <= 0) this.#unsaved = null
    // The failure brings a pause. Without it, the endpoint and the vault would be asked without end.
    if (leftMs <= 0) return isNew ? this.#failure(endedAtOnce(this.#options), PASSES) : 'again'
    const sealed = sealToken(this.#options.keys.needed(), lease.name, token)
    const isStored = await this.#options.store.store(lease, sealed, leftMs)
    this.#unsaved = null
    if (!isStored) return 'again'
    this.#hold(token, { untilMs: this.#now() + Math.max(leftMs - marginOf(token.lifeMs), 1), askedMs })
    return null
  }

  /**
   * Replaces the login that the vault had. That login may have a new version, since somebody may have sealed
   * the vault with another key. Rejects with `conflict` if the vault has another login.
   */
  async #write({ login, before, expected: first }: Unsaved, signal: AbortSignal): Promise<void> {
    const { logins } = this.#options
    for (let expected = first; ;)
      try {
        return await logins.write(login, expected, { signal })
      } catch (error) {
        if (!isSluiceError(error, 'conflict')) throw error
        await logins.caughtUp({ signal })
        const now = logins.read()
        const isBefore = now !== null && JSON.stringify(now.login) === JSON.stringify(before)
        if (!isBefore || now.version === expected) throw error
        expected = now.version
      }
  }

  /** Asks the endpoint for a token. Returns it with its login, or the failure. */
  async #newToken(signal: AbortSignal): Promise<Unsaved | TokenFailure> {
    const { endpoint, settings: settingsNow, connection, logins } = this.#options
    const settings = settingsNow()
    for (const secret of settings.secrets) this.#hide(secret)
    const known = this.#login(settings)
    const { grant } = settings
    const own = known?.login.refreshToken ?? null
    const refreshToken = keepsNoLogin(grant) ? null : (own ?? settings.refreshToken)
    if (refreshToken === null && grant === 'authorization-code') return this.#withoutRefresh(known)
    const ask = (tokenGrant: TokenGrant): Promise<AskedToken> =>
      endpoint.ask(settings, tokenGrant, { connection: connection(), signal })
    // A login that is written after this is newer than `before`.
    const { login: before = null, version = null } = logins.read() ?? {}
    const askedMs = this.#now()
    let asked = await ask(refreshToken === null ? { kind: 'first' } : { kind: 'refresh', refreshToken })
    // If the refresh token has ended, the password still works.
    const isOver = asked.answer.kind === 'refused' && !asked.answer.mayPass
    if (isOver && refreshToken !== null && grant === 'password') asked = await ask({ kind: 'first' })
    const { answer, retryAfterMs } = asked
    if (answer.kind === 'refused') return this.#refusal(settings, answer, retryAfterMs)
    const token = this.#tokenOf(answer)
    const endsMs = askedMs + token.lifeMs
    const next = answer.refreshToken ?? refreshToken
    const isSame = next === refreshToken && (own !== null || next === null || grant === 'refresh-token')
    const login = {
      epoch: known?.login.epoch ?? newEpoch(),
      of: loginOf(settings),
      refreshToken: next,
      access: null,
    }
    const writes = !keepsNoLogin(grant) && next !== null && !isSame
    const expected = writes ? version : NOT_WRITTEN
    return { login, expected, before, token, askedMs, endsMs }
  }

  #tokenOf({ accessToken, type, lifeMs }: Extract<TokenAnswer, { kind: 'token' }>): Token {
    this.#hide(accessToken)
    return { id: randomUUID(), accessToken, type, lifeMs: lifeMs ?? DEFAULT_LIFE_MS }
  }

  /**
   * Returns the login of the client as it is configured now; null if the vault has the login of another
   * client.
   */
  #login(settings: OAuthSettings): ReturnType<Logins['read']> {
    const known = this.#options.logins.read()
    return known?.login.of === loginOf(settings) ? known : null
  }

  /** Returns the access token of a login without a refresh token, until the token ends or is refused. */
  #withoutRefresh(known: ReturnType<Logins['read']>): Unsaved | TokenFailure {
    const { destination } = this.#options
    const access = known?.login.access ?? null
    const untilMs = access?.untilMs ?? null
    const leftMs = untilMs === null ? DEFAULT_LIFE_MS : untilMs - Date.now()
    const id = known?.login.epoch ?? ''
    if (known === null || access === null || leftMs <= 0 || this.#refused.has(id)) {
      const what =
        known === null ? 'nobody has logged in yet' : 'the login has ended, and gave no refresh token'
      const message = noToken(destination, `, since ${what}: \`sluice auth ${destination}\` logs in.`)
      return this.#failure(new SluiceError('config', message), { mayPass: false, askedMs: null })
    }
    const { accessToken, type } = access
    this.#hide(accessToken)
    const token = { id, accessToken, type, lifeMs: leftMs }
    const endsMs = this.#now() + leftMs
    return { login: known.login, expected: NOT_WRITTEN, before: null, token, askedMs: -Infinity, endsMs }
  }

  #refusal(
    { grant, tokenUrl }: OAuthSettings,
    answer: Extract<TokenAnswer, { kind: 'refused' }>,
    retryAfterMs: number | null,
  ): TokenFailure {
    const { destination } = this.#options
    const { host, pathname } = new URL(tokenUrl)
    const todo =
      answer.code === 'invalid_grant' && grant === 'authorization-code'
        ? ` \`sluice auth ${destination}\` logs in again.`
        : ''
    const message = noToken(destination, ` from ${host}${pathname}: ${answer.message}${todo}`)
    const error = new SluiceError(answer.mayPass ? 'unreachable' : 'config', message, {
      retryable: answer.mayPass,
    })
    return this.#failure(error, { mayPass: answer.mayPass, askedMs: retryAfterMs })
  }

  /** Makes the failure of the log or the store, or of a missing secret. */
  #outage(error: SluiceError): TokenFailure {
    const mayPass = error.retryable || error.code === 'fenced'
    return { ...this.#failure(error, { mayPass, askedMs: null }), isOutage: mayPass }
  }

  #failure(
    error: SluiceError,
    { mayPass, askedMs }: { readonly mayPass: boolean; readonly askedMs: number | null },
  ): TokenFailure {
    this.#failures += 1
    const ownMs = doublingPause(this.#failures, PAUSES)
    const pauseMs = Math.max(mayPass ? ownMs : REFUSED_PAUSE_MS, Math.min(askedMs ?? 0, MAX_ASKED_MS))
    return { error, pauseMs, mayPass, isOutage: false }
  }

  #hold(token: Token, { untilMs, askedMs }: { readonly untilMs: number; readonly askedMs: number }): void {
    const isFresh = this.#refusedAtMs !== null && askedMs >= this.#refusedAtMs
    const sinceMs = this.#held?.token.id === token.id ? this.#held.sinceMs : this.#now()
    this.#held = { token, untilMs, sinceMs, isFresh }
    if (isFresh) this.#older.delete(token.id)
    else this.#older.add(token.id)
    for (const id of this.#older) if (this.#older.size > MAX_REMEMBERED) this.#older.delete(id)
    this.#hide(token.accessToken)
  }

  #hide(text: string): void {
    if (this.#secrets.includes(text)) return
    this.#secrets = [...this.#secrets, text].slice(-2 * MAX_REMEMBERED)
    this.#options.onSecret?.(text)
  }
}

const PASSES = { mayPass: true, askedMs: null } as const

/**
 * Stands for a version if nothing is written: the vault has the login already, or keeps none for the grant.
 */
const NOT_WRITTEN = -1

function endedAtOnce({ destination }: TokenSourceOptions): SluiceError {
  const message = `Destination \`${destination}\`: its token had ended by the time it was there.`
  return new SluiceError('unreachable', message, { retryable: true })
}

function pauseOf({ error, pauseMs }: TokenFailure): { readonly pauseMs: number; readonly why: string } {
  return { pauseMs, why: error.message }
}
