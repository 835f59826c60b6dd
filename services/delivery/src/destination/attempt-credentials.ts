/**
 * Authenticates the sender to a destination, by the `auth` and the certificates of the destination. An access
 * token of OAuth 2 changes with time, so each attempt asks for it.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { WaitNow } from '@sluice/contracts/records'
import type { Token, TokenSource } from '@sluice/oauth/token-source'
import { sleep } from '@sluice/flow/sleep'
import type { DestinationSpec } from '@sluice/contracts/resources'
import { tlsFault } from '@sluice/http-sender/certificates'
import type { ConnectionOptions } from '@sluice/http-sender/port'
import { MASK } from '@sluice/secrets/redact'

/** A run waits this long for a token, or for a secret. */
export const PATIENCE_MS = 5 * 60_000

/** The longest pause before the next attempt to reach the log and the store of tokens. */
const OUTAGE_PAUSE_MS = 500

/** The access token of one attempt. */
export interface Credential {
  readonly token: Token
  readonly header: string
  /** The tokens that an answer may echo: this one and earlier ones. */
  readonly secrets: readonly string[]
}

export interface AttemptCredentials {
  /** The credential for an attempt now; null if the caller has to wait for `ready` first. */
  readonly current: Credential | null
  /** The wait of `ready`; null while nothing waits. */
  readonly waitsFor: WaitNow | null
  /**
   * Waits for a credential. Resolves with null once there is one, and with the error if that takes too long.
   * `isPatient`: it waits without limit, also for errors that only a person can mend. Resolves at once when
   * aborted. May be called concurrently.
   */
  ready(options: { signal: AbortSignal; isPatient?: boolean }): Promise<SluiceError | null>
  /** Notes an answer. Returns true if it refuses the credential, and a new one may help. */
  answered(credential: Credential, status: number): boolean
  /**
   * True if a refusal of this credential says nothing about the next one. The request may then be sent once
   * more.
   */
  isOlder(credential: Credential): boolean
}

export interface PatienceOptions {
  /** The longest wait for a token, in ms; default five minutes. */
  readonly patienceMs?: number
  /** True to wait also for errors that only a person can mend. */
  readonly waitsForPeople: boolean
}

export class OAuthCredentials implements AttemptCredentials {
  readonly #source: TokenSource
  readonly #patience: PatienceOptions
  #made: Credential | null = null
  #waitsFor: WaitNow | null = null

  constructor(source: TokenSource, patience: PatienceOptions) {
    this.#source = source
    this.#patience = patience
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

  async ready({
    signal,
    isPatient = false,
  }: {
    signal: AbortSignal
    isPatient?: boolean
  }): Promise<SluiceError | null> {
    const { patienceMs: ownMs = PATIENCE_MS } = this.#patience
    const patienceMs = isPatient ? Infinity : ownMs
    const waitsForPeople = isPatient || this.#patience.waitsForPeople
    const sinceMs = performance.now()
    try {
      while (this.#source.current === null) {
        const failure = await this.#source.obtain({ signal })
        if (failure === null) continue
        const { error, pauseMs, mayPass, isOutage } = failure
        // The wait for a lease meets the same outage, and decides when another process should take over.
        if (isOutage) {
          await sleep(Math.min(pauseMs, OUTAGE_PAUSE_MS), { signal })
          return null
        }
        const leftMs = sinceMs + patienceMs - performance.now()
        if (leftMs <= 0 || (!mayPass && !waitsForPeople)) return error
        const until = mayPass || isPatient ? null : Date.now() + leftMs
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
  /** The masked header, which people see. */
  readonly shown: string
  /** The texts that an API may echo of it. */
  readonly secrets: readonly string[]
}

/** True if each attempt asks for an access token. */
export function isOAuth({ auth }: DestinationSpec): boolean {
  return auth !== undefined && 'oauth2' in auth
}

type Fill = (text: string) => string

/**
 * Returns the header Authorization of a destination. Returns null if it has none, or if each attempt has its
 * own.
 */
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
 * Returns the options of connections to a destination. Throws `config`, and names the field, if its
 * certificates cannot be used.
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
