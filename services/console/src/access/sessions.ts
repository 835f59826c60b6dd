/**
 * Sessions of browsers. A session is a text that the server signs and the browser keeps as a cookie. The
 * signing key is derived from the token of the login. So a restart keeps sessions, several servers with the
 * same tokens share them, and they end when the token is removed. States: open → ended, by its holder, by
 * silence, or by its age.
 */
import { createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { RecentMap } from '@sluice/flow/recent-map'
import type { NamedToken } from './tokens.ts'

const MINUTE_MS = 60_000
/** A session ends after this time without a request. */
const IDLE_MS = 60 * MINUTE_MS
/** A session ends this long after its login in any case. */
const MAX_MS = 12 * 60 * MINUTE_MS
/** The time of the last use in the cookie is this accurate. */
const RENEWED_AFTER_MS = MINUTE_MS
/** The most sessions that this process remembers as ended by their holders. */
const MAX_ENDED = 10_000
const ID_BYTES = 16
const KEY_BYTES = 32
const FORM = /^([a-z0-9-]{1,63})\.([\w-]{22})\.([0-9a-z]{1,10})\.([0-9a-z]{1,10})\.([\w-]{43})$/

const derived = promisify<string, string, number, Buffer>(scrypt)

export interface Session {
  readonly id: string
  readonly token: NamedToken
  /** The new text for the browser's cookie. Null if it may keep its own. */
  readonly renewed: string | null
  /** The end without further use, and the latest end, in milliseconds since 1970. */
  readonly idleUntil: number
  readonly endsAt: number
}

export interface SessionsOptions {
  readonly tokens: readonly NamedToken[]
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

/** All methods may be called concurrently. */
export class Sessions {
  readonly #tokens: ReadonlyMap<string, NamedToken>
  readonly #now: () => number
  readonly #keys = new Map<string, Promise<Buffer>>()
  readonly #ended = new RecentMap<string, true>({ limit: MAX_ENDED })

  constructor({ tokens, now = Date.now }: SessionsOptions) {
    this.#tokens = new Map(tokens.map(token => [token.name, token]))
    this.#now = now
  }

  /** Opens a new session, whose id nobody has seen before. */
  async open(token: NamedToken): Promise<Session & { readonly renewed: string }> {
    const now = this.#now()
    const id = randomBytes(ID_BYTES).toString('base64url')
    return { ...this.#limits(now, now), id, token, renewed: await this.#signed(token, { id, since: now }) }
  }

  /**
   * Finds the session of a text that a browser sent. Null if the text is not signed, or the session has
   * ended.
   */
  async find(text: string): Promise<Session | null> {
    const [, name = '', id = '', sinceText = '', usedText = ''] = FORM.exec(text) ?? []
    const token = this.#tokens.get(name)
    if (token === undefined || this.#ended.get(id) !== undefined) return null
    const [since, used] = [Number.parseInt(sinceText, 36), Number.parseInt(usedText, 36)]
    const signed = await this.#signed(token, { id, since, used })
    if (!isSame(signed, text)) return null
    const now = this.#now()
    const limits = this.#limits(since, used)
    if (now >= limits.idleUntil) return null
    if (now - used < RENEWED_AFTER_MS) return { ...limits, id, token, renewed: null }
    const renewed = await this.#signed(token, { id, since, used: now })
    return { ...this.#limits(since, now), id, token, renewed }
  }

  /** Ends the session in this process, also for somebody who has copied the cookie. */
  end({ id }: Pick<Session, 'id'>): void {
    this.#ended.set(id, true)
  }

  #limits(since: number, used: number): Pick<Session, 'idleUntil' | 'endsAt'> {
    const endsAt = since + MAX_MS
    return { idleUntil: Math.min(used + IDLE_MS, endsAt), endsAt }
  }

  async #signed(
    token: NamedToken,
    { id, since, used = since }: { readonly id: string; readonly since: number; readonly used?: number },
  ): Promise<string> {
    const text = `${token.name}.${id}.${since.toString(36)}.${used.toString(36)}`
    const key = await this.#keyOf(token)
    return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
  }

  /**
   * Deriving a key is slow on purpose. The holder of a session could guess tokens, and each guess takes this
   * time.
   */
  #keyOf({ name, value }: NamedToken): Promise<Buffer> {
    const kept = this.#keys.get(name) ?? derived(value, 'sluice session', KEY_BYTES)
    this.#keys.set(name, kept)
    return kept
  }
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
