/**
 * What shows a destination who sends, asked for with each attempt, since it changes in time: the access token
 * of OAuth 2.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { WaitNow } from '@sluice/contracts/run-records'
import type { Token } from '@sluice/oauth/sealed-token'
import type { TokenSource } from '@sluice/oauth/token-source'
import { sleep } from '@sluice/flow/sleep'
import type { DestinationSpec } from '@sluice/contracts/resources'
import { tlsFault } from '@sluice/http-sender/certificates'
import type { ConnectionOptions } from '@sluice/http-sender/port'
import { MASK } from '@sluice/secrets/redact'

/** How long a run waits for a token, as it does for a secret. */
const PATIENCE_MS = 5 * 60_000

/** How soon to look again whether log and store answer. */
const OUTAGE_PAUSE_MS = 500

/** What one attempt shows. */
export interface Credential {
  readonly token: Token
  readonly header: string
  /** What an answer may give back: what was sent, now and before. */
  readonly secrets: readonly string[]
}

export interface AttemptCredentials {
  /** For an attempt now; null if `ready` has to be awaited before. */
  readonly current: Credential | null
  /** What is waited for; null while nothing is. */
  readonly waitsFor: WaitNow | null
  /**
   * Resolves with null once there is one, and with the reason when that has taken too long. It resolves at
   * once when aborted. May be called concurrently.
   */
  ready(options: { signal: AbortSignal }): Promise<SluiceError | null>
  /** Notes an answer. True if the credential was refused, and another one is worth a try. */
  answered(credential: Credential, status: number): boolean
  /**
   * True if its refusal says nothing of the one that comes after it, so that a request may be tried once
   * more.
   */
  isOlder(credential: Credential): boolean
}

export interface PatienceOptions {
  /** How long to wait for a token, in ms; default five minutes. */
  readonly patienceMs?: number
  /** Whether to wait for what time alone does not mend: somebody else may be mending it. */
  readonly waitsForPeople: boolean
}

export class OAuthCredentials implements AttemptCredentials {
  readonly #source: TokenSource
  readonly #of: PatienceOptions
  #made: Credential | null = null
  #waitsFor: WaitNow | null = null

  constructor(source: TokenSource, of: PatienceOptions) {
    this.#source = source
    this.#of = of
  }

  get current(): Credential | null {
    const token = this.#source.current
    if (token === null) return null
    const { secrets } = this.#source
    if (this.#made?.token !== token || this.#made.secrets !== secrets)
      this.#made = { token, header: `${token.type} ${token.accessToken}`, secrets }
    return this.#made
  }

  get waitsFor(): WaitNow | null {
    return this.#waitsFor
  }

  async ready({ signal }: { signal: AbortSignal }): Promise<SluiceError | null> {
    const { patienceMs = PATIENCE_MS, waitsForPeople } = this.#of
    const sinceMs = performance.now()
    try {
      while (this.#source.current === null) {
        const failure = await this.#source.obtain({ signal })
        if (failure === null) continue
        const { error, pauseMs, mayPass, isOutage } = failure
        // The wait for a lease comes to the same trouble. It knows what to do if another process should try.
        if (isOutage) {
          await sleep(Math.min(pauseMs, OUTAGE_PAUSE_MS), { signal })
          return null
        }
        const leftMs = sinceMs + patienceMs - performance.now()
        if (leftMs <= 0 || (!mayPass && !waitsForPeople)) return error
        const until = mayPass ? null : Date.now() + leftMs
        this.#waitsFor = { kind: 'token', until, detail: error.message }
        await sleep(Math.min(pauseMs, leftMs), { signal })
      }
      this.#waitsFor = null
    } catch (error) {
      if (!signal.aborted) throw error
    }
    return null
  }

  isOlder(credential: Credential): boolean {
    return this.#source.isOlder(credential.token)
  }

  answered(credential: Credential, status: number): boolean {
    return this.#source.answered(credential.token, status)
  }
}

interface Authorization {
  readonly header: string
  /** As it is shown. */
  readonly shown: string
  /** What an API may give back of it. */
  readonly secrets: readonly string[]
}

/**
 * What shows a destination who sends: its `auth`, and the certificates of its connections.
 *
 * True if an attempt's token is asked for when it is needed.
 */
export function isOAuth({ auth }: DestinationSpec): boolean {
  return auth !== undefined && 'oauth2' in auth
}

type Fill = (text: string) => string

/** The header Authorization of a destination; null if it has none, or one for each attempt. */
export function authorizationOf({ auth }: DestinationSpec, fill: Fill): Authorization | null {
  if (auth === undefined || 'oauth2' in auth) return null
  if ('bearer' in auth) {
    const token = fill(auth.bearer).trim()
    return { header: `Bearer ${token}`, shown: `Bearer ${MASK}`, secrets: [token] }
  }
  const username = fill(auth.basic.username)
  const password = fill(auth.basic.password)
  const encoded = Buffer.from(`${username}:${password}`).toString('base64')
  return {
    header: `Basic ${encoded}`,
    shown: `Basic ${MASK}`,
    secrets: [encoded, `${username}:${password}`, password].filter(text => text !== ''),
  }
}

/**
 * How the connections to a destination are opened. Throws `config`, and names the field, if its certificates
 * cannot be used.
 */
export function connectionOf(
  { name, tls, allowPrivateNetwork }: DestinationSpec,
  fill: Fill,
  profile: { readonly allowPrivateNetwork: boolean },
): ConnectionOptions {
  const network = { allowPrivateNetwork: allowPrivateNetwork ?? profile.allowPrivateNetwork }
  if (tls === undefined) return network
  const { insecure, ca, cert, key, pfx, passphrase } = tls
  const given = Object.entries({ ca, cert, key, pfx, passphrase }).flatMap(([field, text]) =>
    text === undefined ? [] : [[field, fill(text)] as const],
  )
  const options = {
    ...Object.fromEntries(given),
    ...(insecure === true ? { rejectUnauthorized: false } : {}),
  }
  const fault = tlsFault(options)
  if (fault === null) return { ...network, tls: options }
  const field = `tls.${fault.field}`
  const message = `\`${field}\` cannot be used: ${fault.message}`
  throw new SluiceError('config', `Destination \`${name}\`: ${message}.`, { details: [{ field, message }] })
}
