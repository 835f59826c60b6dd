/**
 * Sign-ins of people with the OpenID provider. A sign-in that has begun stands, encrypted, in a cookie of its
 * browser: so it ends only there, and at any process with the same settings. States: begun → finished or
 * gone, once each.
 */
import { createHash, hkdfSync } from 'node:crypto'
import { MAX_SIGN_IN_PATH } from '@sluice/contracts/api/operations'
import { messageOf, SluiceError } from '@sluice/contracts/errors'
import { jsonOf } from '@sluice/contracts/safe-json'
import { isRole, type Role } from '@sluice/control/roles'
import { RecentMap } from '@sluice/flow/recent-map'
import type { HttpSender } from '@sluice/http-sender/port'
import type { BegunSignIn, OpenIdClient } from '@sluice/oauth/open-id'
import type { Logger } from '@sluice/runtime/logger'
import { EncryptionKeys } from '@sluice/secrets/vault/encryption-keys'
import { z } from 'zod'
import { nameIn, rolesIn, type OpenIdSettings } from './open-id-settings.ts'
import type { Holder } from './sessions.ts'

/** The path below the server's address to which the provider sends the browser back. */
const CALLBACK_PATH = '/sign-in/callback'
export const SIGN_IN_LIFE_MS = 10 * 60_000
/** The most sign-ins that this process remembers as finished. */
const MAX_FINISHED = 10_000
const KEY_BYTES = 32
/** The purpose for which a cookie is sealed. */
const PURPOSE = ['sign-in']
/** Sets the subject of a person apart from the name of a token. */
const PERSON = '~'

const begunSignIn = z.object({
  ...{ redirectUri: z.string(), state: z.string(), nonce: z.string(), verifier: z.string() },
  ...{ to: z.string(), untilMs: z.number() },
})
const person = z.tuple([z.string(), z.array(z.string())])

export interface SignInsOptions {
  readonly settings: OpenIdSettings
  readonly sender: HttpSender
  readonly logger: Logger
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

export interface SignedIn {
  readonly holder: Holder
  /** A path of this server. */
  readonly to: string
}

/** All methods may be called concurrently. */
export class SignIns {
  readonly #options: SignInsOptions
  readonly #now: () => number
  readonly #keys: EncryptionKeys
  /** Changes with the settings, which so end the sessions that they gave. */
  readonly #signs: string
  readonly #finished = new RecentMap<string, true>({ limit: MAX_FINISHED })
  #client: Promise<OpenIdClient> | null = null

  constructor(options: SignInsOptions) {
    const { issuer, clientId, clientSecret, rolesClaim, rolesOf } = options.settings
    this.#options = options
    this.#now = options.now ?? Date.now
    const key = Buffer.from(hkdfSync('sha256', clientSecret, '', 'sluice sign-in', KEY_BYTES))
    this.#keys = EncryptionKeys.of(key.toString('base64'), 'SLUICE_OIDC_CLIENT_SECRET')
    const roles = [...rolesOf].map(([value, given]) => [value, [...given]])
    const settings = JSON.stringify([issuer, clientId, rolesClaim, roles])
    this.#signs = `${clientSecret} ${createHash('sha256').update(settings).digest('hex')}`
  }

  /** The host of the provider. */
  get host(): string {
    return new URL(this.#options.settings.issuer).host
  }

  /**
   * Returns the address at which the person signs in, and a text for a cookie of the browser. `origin` is
   * this server as the browser reaches it, `to` the page to go to afterwards.
   */
  async begin({
    origin,
    to,
  }: {
    readonly origin: string
    readonly to: string
  }): Promise<{ readonly url: string; readonly sealed: string }> {
    const client = await this.#opened()
    const { url, begun } = await client.begin(`${origin}${CALLBACK_PATH}`)
    const untilMs = this.#now() + SIGN_IN_LIFE_MS
    return { url, sealed: this.#sealed({ ...begun, to: ownPath(to, origin), untilMs }) }
  }

  /**
   * Finishes the sign-in to which this address belongs. `sealed` are the cookies of the browser. Throws
   * `forbidden` with the reason, `unreachable` and `config`.
   */
  async finish(redirected: URL, sealed: readonly string[], signal: AbortSignal): Promise<SignedIn> {
    const state = redirected.searchParams.get('state') ?? ''
    const begun = sealed.map(text => this.#opens(text)).find(each => each?.state === state)
    if (begun === undefined || begun === null || this.#finished.get(state) === true)
      throw new SluiceError(
        'forbidden',
        'This sign-in was not begun in this browser within the last ten minutes: begin it again.',
      )
    this.#finished.set(state, true)
    const client = await this.#opened()
    const { settings, logger } = this.#options
    const claims = await client.finish(redirected.searchParams, begun, signal).catch((error: unknown) => {
      logger.warn({ why: messageOf(error) }, 'a sign-in failed')
      throw error
    })
    const name = nameIn(claims, settings)
    const roles = rolesIn(claims, settings)
    if (roles.size === 0) {
      const why = `${name} is known to ${this.host}, but has no role here: no value of the claim \`${settings.rolesClaim}\` stands in SLUICE_OIDC_ROLES. Ask the operator of this server.`
      logger.warn({ who: name, subject: claims['sub'], claims: Object.keys(claims) }, 'a person has no role')
      throw new SluiceError('forbidden', why)
    }
    logger.info({ who: name, subject: claims['sub'], roles: [...roles] }, 'a person signed in')
    return { holder: this.#holder(name, roles), to: begun.to }
  }

  /**
   * The holder of a session of this subject, whose signature is checked afterwards. Null for another text.
   */
  holderOf(subject: string): Holder | null {
    if (!subject.startsWith(PERSON)) return null
    const read = person.safeParse(jsonOf(Buffer.from(subject.slice(1), 'base64url').toString())).data
    if (read === undefined) return null
    const [name, roles] = read
    return { subject, name, roles: new Set(roles.filter(isRole)), signs: this.#signs, endsAt: null }
  }

  #holder(name: string, roles: ReadonlySet<Role>): Holder {
    const text = Buffer.from(JSON.stringify([name, [...roles]])).toString('base64url')
    return { subject: `${PERSON}${text}`, name, roles, signs: this.#signs, endsAt: null }
  }

  async #opened(): Promise<OpenIdClient> {
    const { settings, sender } = this.#options
    // Most servers never sign anybody in, so the package of the protocol is loaded here.
    this.#client ??= import('@sluice/oauth/open-id').then(
      ({ OpenIdClient }) => new OpenIdClient(settings, sender),
    )
    return await this.#client
  }

  #sealed(begun: z.output<typeof begunSignIn>): string {
    const { bytes } = this.#keys.seal(JSON.stringify(begun), PURPOSE)
    return Buffer.from(bytes).toString('base64url')
  }

  /** Null for a text that this server, or one with the same settings, has not made, or that is too old. */
  #opens(sealed: string): (BegunSignIn & { readonly to: string }) | null {
    const [by = ''] = this.#keys.ids
    const text = this.#keys.open({ by, bytes: Buffer.from(sealed, 'base64url') }, PURPOSE)
    const begun = begunSignIn.safeParse(jsonOf(text ?? '')).data
    return begun !== undefined && this.#now() < begun.untilMs ? begun : null
  }
}

/** Returns the path if it leads to a page of this server, and the first page for any other text. */
function ownPath(path: string, origin: string): string {
  const url = path.startsWith('/') && path.length <= MAX_SIGN_IN_PATH ? URL.parse(path, origin) : null
  if (url === null || url.origin !== new URL(origin).origin || url.pathname === CALLBACK_PATH) return '/'
  // A path that begins with two slashes names a host.
  const own = `${url.pathname}${url.search}${url.hash}`
  return URL.parse(own, origin)?.origin === url.origin ? own : '/'
}
