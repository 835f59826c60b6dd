/**
 * Logins to destinations that people have begun in a browser and not finished. They live in this process, so
 * a login finishes only where it began. States: begun → finishing → gone, or begun → gone when it is too old,
 * when too many others were begun since, or when the server ends.
 */
import { randomBytes } from 'node:crypto'
import { SluiceError } from '@sluice/contracts/errors'
import type { DestinationSpec } from '@sluice/contracts/resources'
import type { Catalog } from '@sluice/control/catalog'
import type { TokenGrant } from '@sluice/oauth/token-request'
import { elapsedMs } from '@sluice/flow/elapsed-ms'

/** The path below the console's address to which the destination's server sends the browser back. */
const CALLBACK_PATH = '/login/callback'

const LIFE_MS = 10 * 60_000
const MAX_PENDING = 100

/** A login that services/embedded has begun. `grantOf` and `finish` carry it on. */
export interface BegunLogin extends AsyncDisposable {
  readonly url: string
  readonly codeTo: string
  readonly grants: string
  readonly grantOf: (redirected: URL) => TokenGrant
  readonly finish: (
    grant: TokenGrant,
    options: { readonly signal: AbortSignal; readonly by: string },
  ) => Promise<{ readonly grants: string; readonly renews: boolean }>
}

export interface LoginsOptions {
  readonly catalog: Catalog
  /** Throws `usage` for a destination that nobody logs in to. */
  readonly begin: (destination: DestinationSpec, redirectUri: string) => Promise<BegunLogin>
  /** Returns the time in ms, by a clock that no one sets. Default `elapsedMs`. */
  readonly now?: () => number
}

interface Pending {
  readonly destination: string
  /** The session or token that has begun it. No other may finish it. */
  readonly holder: string
  readonly login: BegunLogin
  readonly untilMs: number
}

export interface FinishedLogin {
  readonly destination: string
  readonly for: string
  readonly renews: boolean
}

export class PendingLogins implements AsyncDisposable {
  readonly #options: LoginsOptions
  readonly #now: () => number
  /** By the state that comes back, in the order in which they were begun. */
  readonly #pending = new Map<string, Pending>()

  constructor(options: LoginsOptions) {
    this.#options = options
    this.#now = options.now ?? elapsedMs
  }

  /**
   * Returns the address at which the person logs in, and the hosts that the login may go to. Throws
   * `not-found`, `usage` and `config`.
   */
  async begin(
    name: string,
    { origin, holder }: { readonly origin: string; readonly holder: string },
    signal: AbortSignal,
  ): Promise<{ readonly url: string; readonly codeTo: string; readonly for: string }> {
    const all = await this.#options.catalog.resources(signal)
    const destination = all.find(spec => spec.kind === 'destination' && spec.name === name)
    if (destination?.kind !== 'destination')
      throw new SluiceError('not-found', `There is no destination \`${name}\`.`)
    const redirectUri = `${origin}${CALLBACK_PATH}`
    assertComesBack(destination, redirectUri)
    await this.#forgetSome()
    const login = await this.#options.begin(destination, redirectUri)
    const state = new URL(login.url).searchParams.get('state') ?? randomBytes(16).toString('base64url')
    this.#pending.set(state, { destination: name, holder, login, untilMs: this.#now() + LIFE_MS })
    return { url: login.url, codeTo: login.codeTo, for: login.grants }
  }

  /**
   * Finishes the login to whose address the browser came back. Each address works only once. `by` is the name
   * of the person. Throws `config` if no pending login of this holder has this address, and the errors of the
   * destination's server.
   */
  async finish(
    redirected: URL,
    { holder, by }: { readonly holder: string; readonly by: string },
    signal: AbortSignal,
  ): Promise<FinishedLogin> {
    const state = redirected.searchParams.get('state') ?? ''
    const pending = this.#pending.get(state)
    if (pending === undefined || pending.holder !== holder || this.#now() >= pending.untilMs)
      throw new SluiceError(
        'config',
        'No such login was begun in this browser within the last ten minutes: begin it again.',
      )
    this.#pending.delete(state)
    await using login = pending.login
    const { grants, renews } = await login.finish(login.grantOf(redirected), { signal, by })
    return { destination: pending.destination, for: grants, renews }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { login } of this.#pending.values()) await login[Symbol.asyncDispose]()
    this.#pending.clear()
  }

  /** Forgets logins that are too old, and the oldest one if there are too many. */
  async #forgetSome(): Promise<void> {
    for (const [state, { login, untilMs }] of this.#pending) {
      if (this.#now() < untilMs && this.#pending.size < MAX_PENDING) continue
      this.#pending.delete(state)
      await login[Symbol.asyncDispose]()
    }
  }
}

/** A destination may name another callback address itself. The browser would not come back here then. */
function assertComesBack({ name, auth }: DestinationSpec, redirectUri: string): void {
  const own =
    auth !== undefined && 'oauth2' in auth ? auth.oauth2.authorizationParams?.['redirect_uri'] : undefined
  if (own === undefined || own === redirectUri) return
  throw new SluiceError(
    'usage',
    `The destination \`${name}\` names ${own} as \`redirect_uri\`, and this console is at ${redirectUri}: take the parameter away, or log in with \`sluice auth ${name}\`.`,
  )
}
