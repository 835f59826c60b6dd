/**
 * Sessions of browsers. A session is a text that the server signs and the browser keeps as a cookie. The key
 * comes from the token that somebody logged in with. So a restart keeps sessions, several servers with the
 * same tokens share them, and they end when the token is taken away. States: open → ended, by its holder, by
 * silence, or by its age.
 */
import { createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { RecentMap } from '@sluice/flow/recent-map'
import type { NamedToken } from './tokens.ts'

const MINUTE_MS = 60_000
/** Without a request for so long, a session ends. */
const IDLE_MS = 60 * MINUTE_MS
/** So long after its login, a session ends. */
const MAX_MS = 12 * 60 * MINUTE_MS
/** A session says when it was last used, exact to so much. */
const RENEWED_AFTER_MS = MINUTE_MS
/** Sessions that this process remembers as ended by their holders. */
const ENDED_KEPT = 10_000
const ID_BYTES = 16
const KEY_BYTES = 32
const FORM = /^([a-z0-9-]{1,63})\.([\w-]{22})\.([0-9a-z]{1,10})\.([0-9a-z]{1,10})\.([\w-]{43})$/

const derived = promisify<string, string, number, Buffer>(scrypt)

export interface Session {
  readonly id: string
  readonly token: NamedToken
  /** The text that the browser is to keep from now on; null if it has it. */
  readonly renewed: string | null
  /** When it ends if it is used no more, and when it ends anyway, in milliseconds since 1970. */
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
  readonly #ended = new RecentMap<string, true>({ limit: ENDED_KEPT })

  constructor({ tokens, now = Date.now }: SessionsOptions) {
    this.#tokens = new Map(tokens.map(token => [token.name, token]))
    this.#now = now
  }

  /** A new session, with an id that nobody has seen before. */
  async open(token: NamedToken): Promise<Session & { readonly renewed: string }> {
    const now = this.#now()
    const id = randomBytes(ID_BYTES).toString('base64url')
    return { ...this.#limits(now, now), id, token, renewed: await this.#signed(token, { id, since: now }) }
  }

  /** The session of a text that a browser sent; null unless it is signed, and has not ended. */
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

  /** From now on this process knows the session no more, also where somebody has copied it. */
  end({ id }: Pick<Session, 'id'>): void {
    this.#ended.set(id, true)
  }

  #limits(since: number, used: number): Pick<Session, 'idleUntil' | 'endsAt'> {
    const endsAt = since + MAX_MS
    return { idleUntil: Math.min(used + IDLE_MS, endsAt), endsAt }
  }

  async #signed(
    token: NamedToken,
    of: { readonly id: string; readonly since: number; readonly used?: number },
  ): Promise<string> {
    const { id, since, used = since } = of
    const text = `${token.name}.${id}.${since.toString(36)}.${used.toString(36)}`
    const key = await this.#keyOf(token)
    return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
  }

  /** Slow on purpose: whoever has a session may guess tokens with it, at this price each. */
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
