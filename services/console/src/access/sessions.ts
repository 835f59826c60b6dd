/**
 * Sessions of browsers. A session is a text that the server signs and the browser keeps as a cookie. The
 * signing key is derived from the token of the login, or from the settings of the OpenID provider. So a
 * restart keeps sessions, several servers with the same settings share them, and they end when the token is
 * removed. States: open → ended, by its holder, by silence, or by its age.
 */
import { createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { RecentMap } from '@sluice/flow/recent-map'
import type { Role } from '@sluice/control/roles'

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
/** The most keys that this process keeps. */
const MAX_KEYS = 1_000
const FORM =
  /^([a-z0-9-]{1,63}|~[\w-]{1,1400})\.([\w-]{22})\.([0-9a-z]{1,10})\.([0-9a-z]{1,10})\.([\w-]{43})$/

const derived = promisify<string, string, number, Buffer>(scrypt)

/** Has a token, or was named by the OpenID provider. */
export interface Holder {
  /** The first part of its sessions: the name of a token, or `~` and what the provider said. */
  readonly subject: string
  readonly name: string
  readonly roles: ReadonlySet<Role>
  /** The secret that the key of its sessions is derived from. */
  readonly signs: string
  /** The end of all its sessions, in milliseconds since 1970. Null if it has none. */
  readonly endsAt: number | null
}

export interface Session {
  readonly id: string
  readonly holder: Holder
  /** The new text for the browser's cookie. Null if it may keep its own. */
  readonly renewed: string | null
  /** The end without further use, and the latest end, in milliseconds since 1970. */
  readonly idleUntil: number
  readonly endsAt: number
}

export interface SessionsOptions {
  /** Null for a subject that is unknown, or no longer known. The signature is checked afterwards. */
  readonly holderOf: (subject: string) => Holder | null
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

/** All methods may be called concurrently. */
export class Sessions {
  readonly #holderOf: SessionsOptions['holderOf']
  readonly #now: () => number
  readonly #keys = new RecentMap<string, Promise<Buffer>>({ limit: MAX_KEYS })
  readonly #ended = new RecentMap<string, true>({ limit: MAX_ENDED })

  constructor({ holderOf, now = Date.now }: SessionsOptions) {
    this.#holderOf = holderOf
    this.#now = now
  }

  /** Opens a new session, whose id nobody has seen before. */
  async open(holder: Holder): Promise<Session & { readonly renewed: string }> {
    const now = this.#now()
    const id = randomBytes(ID_BYTES).toString('base64url')
    const renewed = await this.#signed(holder, { id, since: now })
    return { ...limitsOf(holder, now, now), id, holder, renewed }
  }

  /**
   * Finds the session of a text that a browser sent. Null if the text is not signed, or the session has
   * ended.
   */
  async find(text: string): Promise<Session | null> {
    const [, subject = '', id = '', sinceText = '', usedText = ''] = FORM.exec(text) ?? []
    const holder = subject === '' ? null : this.#holderOf(subject)
    if (holder === null || this.#ended.get(id) !== undefined) return null
    const [since, used] = [Number.parseInt(sinceText, 36), Number.parseInt(usedText, 36)]
    const signed = await this.#signed(holder, { id, since, used })
    if (!isSame(signed, text)) return null
    const now = this.#now()
    const limits = limitsOf(holder, since, used)
    if (now >= limits.idleUntil) return null
    if (now - used < RENEWED_AFTER_MS) return { ...limits, id, holder, renewed: null }
    const renewed = await this.#signed(holder, { id, since, used: now })
    return { ...limitsOf(holder, since, now), id, holder, renewed }
  }

  /** Ends the session in this process, also for somebody who has copied the cookie. */
  end({ id }: Pick<Session, 'id'>): void {
    this.#ended.set(id, true)
  }

  async #signed(
    holder: Holder,
    { id, since, used = since }: { readonly id: string; readonly since: number; readonly used?: number },
  ): Promise<string> {
    const text = `${holder.subject}.${id}.${since.toString(36)}.${used.toString(36)}`
    const key = await this.#keyOf(holder)
    return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
  }

  /**
   * Deriving a key is slow on purpose. The holder of a session could guess tokens, and each guess takes this
   * time.
   */
  #keyOf({ signs }: Holder): Promise<Buffer> {
    const kept = this.#keys.get(signs) ?? derived(signs, 'sluice session', KEY_BYTES)
    this.#keys.set(signs, kept)
    return kept
  }
}

function limitsOf(holder: Holder, since: number, used: number): Pick<Session, 'idleUntil' | 'endsAt'> {
  const endsAt = Math.min(since + MAX_MS, holder.endsAt ?? Infinity)
  return { idleUntil: Math.min(used + IDLE_MS, endsAt), endsAt }
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
