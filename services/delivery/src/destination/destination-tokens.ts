/** The token sources of one process: one for each destination and configuration. */
import { createHash } from 'node:crypto'
import { SluiceError } from '@sluice/contracts/errors'
import type { DestinationSpec } from '@sluice/contracts/resources'
import { fillSecrets, type SecretFor, type SecretUse } from '@sluice/contracts/secret-references'
import { findFor, usesByDestination, usesByTokens } from '@sluice/domain/secret-uses'
import type { HttpSender } from '@sluice/http-sender/port'
import { parseLogin } from '@sluice/oauth/login'
import type { TokenStore } from '@sluice/oauth/port'
import { oauthSettings } from '@sluice/oauth/settings'
import { TokenEndpoint } from '@sluice/oauth/token-request'
import { TokenSource, type Logins } from '@sluice/oauth/token-source'
import type { StageMetrics } from '@sluice/partition/stage-metrics'
import { isGranted } from '@sluice/secrets/grants'
import type { KeySource } from '@sluice/secrets/vault/key-file'
import type { Vault } from '@sluice/secrets/vault/vault'
import {
  OAuthCredentials,
  type AttemptCredentials,
  type PatienceOptions,
  connectionOf,
} from './attempt-credentials.ts'
import type { Profile } from './target.ts'

/** Each edit of a destination makes a new source. */
const MAX_SOURCES = 500

export interface DestinationTokensOptions extends PatienceOptions {
  readonly store: TokenStore
  readonly keys: KeySource
  readonly vault: Vault
  readonly sender: HttpSender
  readonly secretFor: SecretFor
  readonly profile: Profile
  /** Called with each secret text, so that logs can mask it. */
  readonly onSecret?: (text: string) => void
  readonly stageMetrics?: Pick<StageMetrics, 'tokenAsked'>
}

export class DestinationTokens implements AsyncDisposable {
  readonly #options: DestinationTokensOptions
  readonly #sources = new Map<string, TokenSource>()

  constructor(options: DestinationTokensOptions) {
    this.#options = options
  }

  /** Returns null for a destination without OAuth 2. */
  of(destination: DestinationSpec): AttemptCredentials | null {
    const { auth, baseUrl, tls } = destination
    if (auth === undefined || !('oauth2' in auth)) return null
    const [, ...sites] = usesByDestination(destination)
    const text = JSON.stringify([auth.oauth2, baseUrl, tls, ...sites])
    const name = `${destination.name}/${createHash('sha256').update(text).digest('hex').slice(0, 12)}`
    const source = this.#sources.get(name) ?? this.#open(destination, auth.oauth2, name)
    this.#sources.delete(name)
    this.#sources.set(name, source)
    // A source that a run still uses goes on. A new one of the same name takes its tokens from the store.
    for (const oldest of this.#sources.keys())
      if (this.#sources.size > MAX_SOURCES) this.#sources.delete(oldest)
    return new OAuthCredentials(source, this.#options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#sources.values()].map(source => source[Symbol.asyncDispose]()))
  }

  #open(destination: DestinationSpec, spec: Parameters<typeof oauthSettings>[0], name: string): TokenSource {
    const { store, keys, sender, secretFor, profile, onSecret, stageMetrics } = this.#options
    const endpoint = new TokenEndpoint(sender)
    const ask: TokenEndpoint['ask'] = async (...request) => {
      const asked = await endpoint.ask(...request)
      stageMetrics?.tokenAsked(destination.name, asked.answer.kind === 'token' ? 'granted' : 'refused')
      return asked
    }
    const atTokens = usesByTokens(destination)
    const uses = [...usesByDestination(destination), ...atTokens]
    const fill = (allowed: readonly SecretUse[]): ((text: string) => string) => {
      const find = findFor(allowed, secretFor)
      return text => fillSecrets(text, find)
    }
    return new TokenSource({
      destination: destination.name,
      name,
      store,
      keys,
      endpoint: { ask },
      logins: loginsOf(this.#options.vault, destination.name, uses),
      settings: () => oauthSettings(spec, fill(uses)),
      connection: () => connectionOf(destination, fill(atTokens), profile),
      ...(onSecret === undefined ? {} : { onSecret }),
    })
  }
}

/**
 * Reads and writes the login of a destination in the vault. Reading throws `config` if the login may not go
 * to a host of the destination.
 */
function loginsOf(vault: Vault, destination: string, uses: readonly SecretUse[]): Logins {
  return {
    caughtUp: options => vault.caughtUp(options),
    read() {
      const kept = vault.login(destination)
      if (kept === null) return null
      const { grants } = kept
      const place = grants === null ? undefined : uses.find(use => !isGranted(grants, use))
      if (place !== undefined)
        throw new SluiceError(
          'config',
          `Destination \`${destination}\`: its login may not go to ${place.host}:${place.port}, where \`baseUrl\`, a header \`Host\` or the URLs of tokens lead ` +
            `now. \`sluice auth ${destination}\` logs in for them.`,
        )
      return { login: parseLogin(kept.value), version: kept.version }
    },
    write: async (login, expected, options) => {
      const grants = vault.grantsOf('login', destination)
      const value = JSON.stringify(login)
      await vault.set({ kind: 'login', name: destination, value, grants, expected }, options)
    },
  }
}
