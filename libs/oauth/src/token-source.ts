/**
 * The access token of one destination, for one process. It is asked for by one process at a time, under a
 * leave of the store, and used by all.
 *
 * States: none → held → none again shortly before it ends, or once the API has refused it. A refresh token
 * that came with a token is acknowledged by the vault before the token is used (PROTOCOL.md, "Credentials").
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
import type { Leave, TokenStore } from './port.ts'
import { marginOf, openToken, sealToken, type Token } from './sealed-token.ts'
import { keepsNoLogin, type OAuthSettings } from './settings.ts'
import type { TokenAnswer } from './token-answer.ts'
import { TOKEN_TIMEOUT_MS, type AskedToken, type TokenEndpoint, type TokenGrant } from './token-request.ts'

/** A server that does not say how long its token counts means this long, or answers 401 before. */
const UNTOLD_LIFE_MS = 3_600_000
/** Longer than a request and its acknowledgement by the vault take. */
const LEAVE_MS = TOKEN_TIMEOUT_MS * 2 + 15_000
const POLL_MS = 100
const PAUSES = { firstMs: 1_000, maxMs: 30_000 } as const
/** The longest pause that an endpoint may ask for. */
const MAX_ASKED_MS = 300_000
/** A refusal that time does not mend is asked about so rarely, since servers lock accounts. */
const REFUSED_PAUSE_MS = 60_000
/** A token that replaced a refused one, and is refused too, is not replaced for so long. */
const LEFT_ALONE_MS = 60_000
/** Most tokens whose text is masked, and that are remembered as refused. */
const REMEMBERED = 16

/** What the vault keeps of a destination's login. */
export interface Logins {
  /** Resolves once what others wrote before counts here. */
  caughtUp(options: { signal: AbortSignal }): Promise<void>
  read(): { readonly login: Login; readonly version: number } | null
  /**
   * Resolves once all replicas have it. Rejects with `conflict` if the vault has another version than
   * `expected` (null: none).
   */
  write(login: Login, expected: number | null, options: { signal: AbortSignal }): Promise<void>
}

/** Why there is no token. */
export interface TokenFailure {
  readonly error: SluiceError
  /** How long to wait before the next try. */
  readonly pauseMs: number
  /** False if somebody has to do something. */
  readonly mayPass: boolean
  /** True if it is the log or the store that does not answer, and not the token endpoint. */
  readonly isOutage: boolean
}

export interface TokenSourceOptions {
  readonly destination: string
  /** The name of its token in the store: of this destination as it is configured. */
  readonly name: string
  readonly store: TokenStore
  readonly keys: KeySource
  readonly endpoint: Pick<TokenEndpoint, 'ask'>
  readonly logins: Logins
  /** With the secrets as they are now. Throws `config`. */
  readonly settings: () => OAuthSettings
  /** How the endpoint is reached. Throws `config`. */
  readonly connection: () => ConnectionOptions
  /** Milliseconds of a clock for durations; default `elapsedMs`. */
  readonly now?: () => number
  /** Told of each text that nobody may see. */
  readonly onSecret?: (text: string) => void
}

interface Held {
  readonly token: Token
  readonly untilMs: number
  readonly sinceMs: number
  /**
   * True if it was asked for since this process last saw a token refused. An older one may be revoked, too.
   */
  readonly isFresh: boolean
}

interface Unsaved {
  readonly login: Login
  readonly expected: number | null
  /** The login that the vault had when the token was asked for. */
  readonly before: Login | null
  readonly token: Token
  /** When it was asked for; −Infinity if that is not known. */
  readonly askedMs: number
  readonly endsMs: number
}

export class TokenSource implements AsyncDisposable {
  readonly #of: TokenSourceOptions
  readonly #now: () => number
  readonly #refused = new Set<string>()
  /** Tokens that were held and not fresh. */
  readonly #older = new Set<string>()
  readonly #stop = new AbortController()
  #held: Held | null = null
  #refusedAtMs: number | null = null
  #acceptedId: string | null = null
  #failures = 0
  #secrets: readonly string[] = []
  /** A login that the vault has not acknowledged yet: its token is not used before. */
  #unsaved: Unsaved | null = null
  #underWay: Promise<TokenFailure | null> | null = null

  constructor(options: TokenSourceOptions) {
    this.#of = options
    this.#now = options.now ?? elapsedMs
  }

  /** The token to send now; null if one has to be obtained first. */
  get current(): Token | null {
    const held = this.#held
    if (held === null || this.#refused.has(held.token.id) || this.#now() >= held.untilMs) return null
    return held.token
  }

  /** What answers may give back: tokens of now and before. Another list whenever there is another token. */
  get secrets(): readonly string[] {
    return this.#secrets
  }

  /**
   * Tries once to obtain a token, for all who ask meanwhile. Null once `current` has one. Waits for another
   * process that asks. The caller's end does not cut off a request under way, whose refresh token would be
   * lost. Rejects only when aborted.
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
   * Notes the answer to a request with that token. True if the API refused the token, and another one is
   * worth a try: others have replaced it meanwhile, or it is replaced now.
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
    for (const id of this.#refused) if (this.#refused.size > REMEMBERED) this.#refused.delete(id)
    return true
  }

  /** True if its refusal says nothing of the token that comes after it. */
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
    const { store, keys, logins } = this.#of
    const { signal } = this.#stop
    // Without keys nothing may be kept, so nothing is asked for.
    keys.needed()
    for (;;) {
      signal.throwIfAborted()
      await logins.caughtUp({ signal })
      const name = this.#name()
      const kept = await this.#kept(name)
      if (kept && this.#unsaved === null) return null
      const begun = await store.begin(name, LEAVE_MS)
      if (begun.kind === 'leave') {
        const done = await this.#askWith(begun.leave)
        if (done !== 'again') return done
      } else if (begun.why !== null) {
        const error = new SluiceError('unreachable', begun.why, { retryable: true })
        return { error, pauseMs: begun.leftMs, mayPass: true, isOutage: false }
      } else await sleep(Math.min(begun.leftMs, POLL_MS), { signal })
    }
  }

  /** Another login counts at once: its tokens have a name of their own. */
  #name(): string {
    const { name, settings, logins } = this.#of
    if (settings().grant !== 'authorization-code') return name
    return `${name}/${logins.read()?.login.epoch ?? 'none'}`
  }

  /** Takes the token that the store keeps. False if it keeps none that can be used. */
  async #kept(name: string): Promise<boolean> {
    const { store, keys } = this.#of
    const readMs = this.#now()
    const kept = await store.read(name)
    const token = kept === null ? null : openToken(keys.needed(), name, kept.sealed)
    if (kept === null || token === null || this.#refused.has(token.id)) return false
    const leftMs = kept.leftMs - marginOf(token.lifeMs)
    if (leftMs <= 0) return false
    this.#hold(token, { untilMs: readMs + leftMs, askedMs: readMs + kept.leftMs - token.lifeMs })
    return true
  }

  async #askWith(leave: Leave): Promise<TokenFailure | null | 'again'> {
    const { store } = this.#of
    // A process may have kept a token between our look and our leave.
    if (this.#unsaved === null && (await this.#kept(leave.name))) {
      await store.end(leave, { pauseMs: 0, why: '' })
      return null
    }
    let failure: TokenFailure | null | 'again'
    try {
      failure = await this.#ask(leave)
    } catch (error) {
      if (!isSluiceError(error)) throw error
      failure = this.#outage(error)
    }
    if (failure === null) return null
    const pause = failure === 'again' ? { pauseMs: 0, why: '' } : pauseOf(failure)
    await store.end(leave, pause)
    return failure
  }

  /** Asks, lets the vault acknowledge, and keeps. Nothing of it is aborted half-way. */
  async #ask(leave: Leave): Promise<TokenFailure | null | 'again'> {
    const { signal } = new AbortController()
    const isNew = this.#unsaved === null
    const unsaved = this.#unsaved ?? (await this.#answered(leave, signal))
    if ('error' in unsaved) return unsaved
    this.#unsaved = unsaved
    const { login, token, askedMs, endsMs } = unsaved
    if (login.refreshToken !== null) this.#hide(login.refreshToken)
    if (unsaved.expected !== NOT_WRITTEN)
      try {
        await this.#write(unsaved, signal)
      } catch (error) {
        // Another login, or another process, was faster: what it wrote is newer than ours.
        if (!isSluiceError(error, 'conflict')) throw error
        this.#unsaved = null
        return 'again'
      }
    this.#unsaved = { ...unsaved, expected: NOT_WRITTEN }
    const leftMs = endsMs - this.#now()
    if (leftMs <= 0) this.#unsaved = null
    // Without a pause, the endpoint and the vault would be asked without end.
    if (leftMs <= 0) return isNew ? this.#failure(endedAtOnce(this.#of), PASSES) : 'again'
    const sealed = sealToken(this.#of.keys.needed(), leave.name, token)
    const isKept = await this.#of.store.keep(leave, sealed, leftMs)
    this.#unsaved = null
    if (!isKept) return 'again'
    this.#hold(token, { untilMs: this.#now() + Math.max(leftMs - marginOf(token.lifeMs), 1), askedMs })
    return null
  }

  /**
   * Writes a login in the place of the one that it follows. That one may have got another version meanwhile,
   * when somebody sealed the vault with another key. Rejects with `conflict` if the vault has another login.
   */
  async #write({ login, before, expected: first }: Unsaved, signal: AbortSignal): Promise<void> {
    const { logins } = this.#of
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

  /** A new token, with the login that goes with it. */
  async #answered(leave: Leave, signal: AbortSignal): Promise<Unsaved | TokenFailure> {
    const { endpoint, settings: settingsNow, connection, logins } = this.#of
    const settings = settingsNow()
    for (const secret of settings.secrets) this.#hide(secret)
    const known = this.#login(settings)
    const { grant } = settings
    const own = known?.login.refreshToken ?? null
    const refreshToken = keepsNoLogin(grant) ? null : (own ?? settings.refreshToken)
    if (refreshToken === null && grant === 'authorization-code') return this.#withoutRefresh(known)
    const ask = (of: TokenGrant): Promise<AskedToken> =>
      endpoint.ask(settings, of, { connection: connection(), signal })
    // Whoever writes after this look has a newer login than the one that is asked with.
    const { login: before = null, version = null } = logins.read() ?? {}
    const askedMs = this.#now()
    let asked = await ask(refreshToken === null ? { kind: 'first' } : { kind: 'refresh', refreshToken })
    // A refresh token has ended, and the password is there.
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
      of: this.#ownerOf(settings),
      refreshToken: next,
      access: null,
    }
    const writes = !keepsNoLogin(grant) && next !== null && !isSame
    const expected = writes ? version : NOT_WRITTEN
    return { login, expected, before, token, askedMs, endsMs }
  }

  #tokenOf({ accessToken, type, lifeMs }: Extract<TokenAnswer, { kind: 'token' }>): Token {
    this.#hide(accessToken)
    return { id: randomUUID(), accessToken, type, lifeMs: lifeMs ?? UNTOLD_LIFE_MS }
  }

  /** The login of the client as it is configured now. That of another one does not count. */
  #login(settings: OAuthSettings): ReturnType<Logins['read']> {
    const known = this.#of.logins.read()
    return known?.login.of === this.#ownerOf(settings) ? known : null
  }

  #ownerOf(settings: OAuthSettings): string {
    return loginOf(settings)
  }

  /** A login that gave no refresh token has its one access token, until that ends or is refused. */
  #withoutRefresh(known: ReturnType<Logins['read']>): Unsaved | TokenFailure {
    const { destination } = this.#of
    const access = known?.login.access ?? null
    const untilMs = access?.untilMs ?? null
    const leftMs = untilMs === null ? UNTOLD_LIFE_MS : untilMs - Date.now()
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
    const { destination } = this.#of
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

  /** The log or the store failed, or a secret is missing. */
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
    for (const id of this.#older) if (this.#older.size > REMEMBERED) this.#older.delete(id)
    this.#hide(token.accessToken)
  }

  #hide(text: string): void {
    if (this.#secrets.includes(text)) return
    this.#secrets = [...this.#secrets, text].slice(-2 * REMEMBERED)
    this.#of.onSecret?.(text)
  }
}

const PASSES = { mayPass: true, askedMs: null } as const

/** In place of a version: the vault has this login already, or keeps none of the grant. */
const NOT_WRITTEN = -1

function endedAtOnce({ destination }: TokenSourceOptions): SluiceError {
  const message = `Destination \`${destination}\`: its token had ended by the time it was there.`
  return new SluiceError('unreachable', message, { retryable: true })
}

function pauseOf({ error, pauseMs }: TokenFailure): { readonly pauseMs: number; readonly why: string } {
  return { pauseMs, why: error.message }
}
