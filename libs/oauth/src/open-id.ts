/**
 * Sign-in of people by an OpenID provider: the authorization code flow with PKCE, state and nonce. The
 * provider is found by its issuer. Its ID token counts only with a signature by a key of the provider, and
 * with the right issuer, audience, time and nonce (OpenID Connect Core 1.0 §3.1.3.7).
 */
import * as oauth from 'oauth4webapi'
import { messageOf, SluiceError } from '@sluice/contracts/errors'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import type { HttpSender } from '@sluice/http-sender/port'
import { formEncoded } from './token-request.ts'

const TIMEOUT_MS = 15_000
const ANSWER_LIMIT_BYTES = 1_000_000
/** The time for which the provider's description is used. Its keys are asked for more often. */
const DESCRIPTION_MS = 60 * 60_000
/** The clocks of server and provider may differ by this much. */
const CLOCK_TOLERANCE_S = 30
const MAX_SAID = 200

export interface OpenIdClientSettings {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  readonly scope: string
}

/** The texts of a sign-in that only this server and its browser know. */
export interface BegunSignIn {
  readonly redirectUri: string
  readonly state: string
  readonly nonce: string
  readonly verifier: string
}

export type Claims = Readonly<Record<string, unknown>>

/** All methods may be called concurrently. */
export class OpenIdClient {
  readonly #settings: OpenIdClientSettings
  readonly #sender: HttpSender
  readonly #client: oauth.Client
  #found: { readonly provider: Promise<oauth.AuthorizationServer>; readonly untilMs: number } | null = null

  constructor(settings: OpenIdClientSettings, sender: HttpSender) {
    this.#settings = settings
    this.#sender = sender
    this.#client = { client_id: settings.clientId, [oauth.clockTolerance]: CLOCK_TOLERANCE_S }
  }

  /** Returns the address at which the person signs in. Throws `unreachable` and `config`. */
  async begin(redirectUri: string): Promise<{ readonly url: string; readonly begun: BegunSignIn }> {
    const provider = await this.#provider()
    const begun = {
      redirectUri,
      state: oauth.generateRandomState(),
      nonce: oauth.generateRandomNonce(),
      verifier: oauth.generateRandomCodeVerifier(),
    }
    const url = URL.parse(provider.authorization_endpoint ?? '')
    if (url === null || (url.protocol !== 'https:' && !this.#isPlain))
      throw new SluiceError('config', `${this.#settings.issuer} names no address at which people sign in.`)
    const parameters = {
      response_type: 'code',
      client_id: this.#settings.clientId,
      redirect_uri: redirectUri,
      scope: this.#settings.scope,
      state: begun.state,
      nonce: begun.nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(begun.verifier),
      code_challenge_method: 'S256',
    }
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
    return { url: url.href, begun }
  }

  /**
   * Returns the claims of the person who comes back. Throws `forbidden` if the provider names nobody,
   * `config` if it refuses this client, and `unreachable`.
   */
  async finish(redirected: URLSearchParams, begun: BegunSignIn, signal: AbortSignal): Promise<Claims> {
    const provider = await this.#provider()
    const client = this.#client
    try {
      const found = oauth.validateAuthResponse(provider, client, redirected, begun.state)
      const response = await oauth.authorizationCodeGrantRequest(
        provider,
        client,
        this.#authentication(provider),
        found,
        begun.redirectUri,
        begun.verifier,
        this.#means(signal),
      )
      const options = { expectedNonce: begun.nonce, requireIdToken: true }
      const answer = await oauth.processAuthorizationCodeResponse(provider, client, response, options)
      await oauth.validateApplicationLevelSignature(provider, response, this.#means(signal))
      const claims = oauth.getValidatedIdTokenClaims(answer)
      if (claims === undefined) throw new Error('it has no ID token')
      return claims
    } catch (error) {
      throw this.#inWords(error)
    }
  }

  get #isPlain(): boolean {
    return this.#settings.issuer.startsWith('http:')
  }

  /** The settings allow an issuer without TLS on this machine alone. */
  #means(signal: AbortSignal) {
    return {
      [oauth.customFetch]: this.#fetch,
      [oauth.allowInsecureRequests]: this.#isPlain,
      signal,
    }
  }

  async #provider(): Promise<oauth.AuthorizationServer> {
    if (this.#found === null || elapsedMs() >= this.#found.untilMs) {
      const provider = this.#discover()
      const found = { provider, untilMs: elapsedMs() + DESCRIPTION_MS }
      this.#found = found
      // A failure is not kept.
      provider.catch(() => {
        if (this.#found === found) this.#found = null
      })
    }
    return await this.#found.provider
  }

  /** Several callers wait for it, so none of them ends it. */
  async #discover(): Promise<oauth.AuthorizationServer> {
    const { signal } = new AbortController()
    const issuer = new URL(this.#settings.issuer)
    try {
      const response = await oauth.discoveryRequest(issuer, this.#means(signal))
      return await oauth.processDiscoveryResponse(issuer, response)
    } catch (cause) {
      if (cause instanceof SluiceError) throw cause
      throw new SluiceError(
        'config',
        `${issuer.href} is no OpenID provider, or calls itself otherwise: SLUICE_OIDC_ISSUER has to be the \`issuer\` of its \`.well-known/openid-configuration\`.`,
        { cause },
      )
    }
  }

  /** The client secret goes into a header, as OpenID Connect has it by default, or into the body. */
  #authentication({
    token_endpoint_auth_methods_supported: methods = ['client_secret_basic'],
  }: oauth.AuthorizationServer): oauth.ClientAuth {
    const { clientId, clientSecret } = this.#settings
    if (!methods.includes('client_secret_basic') && methods.includes('client_secret_post'))
      return oauth.ClientSecretPost(clientSecret)
    return (_provider, _client, _body, headers) => {
      const pair = `${formEncoded(clientId)}:${formEncoded(clientSecret)}`
      headers.set('authorization', `Basic ${Buffer.from(pair).toString('base64')}`)
    }
  }

  readonly #fetch = async (
    url: string,
    { method, headers, body, signal }: oauth.CustomFetchOptions<'GET' | 'POST', URLSearchParams | undefined>,
  ): Promise<Response> => {
    const result = await this.#sender.send({
      ...{ method, url, headers, body: body === undefined ? null : Buffer.from(body.toString()) },
      ...{ timeoutMs: TIMEOUT_MS, bodyLimitBytes: ANSWER_LIMIT_BYTES },
      signal: signal ?? new AbortController().signal,
    })
    if (result.kind === 'failed')
      throw new SluiceError(
        'unreachable',
        `The OpenID provider at ${new URL(url).host} does not answer: ${result.error}`,
        { retryable: true },
      )
    return new Response(result.body === '' ? null : result.body, {
      status: result.status,
      headers: { 'content-type': result.headers['content-type'] ?? '' },
    })
  }

  #inWords(error: unknown): unknown {
    if (error instanceof SluiceError) return error
    const refused = (message: string): SluiceError => new SluiceError('forbidden', message, { cause: error })
    if (error instanceof oauth.AuthorizationResponseError)
      return refused(
        error.error === 'access_denied'
          ? `The provider let nobody in: the sign-in was cancelled, or you have no access to this application.${said(error)}`
          : `The provider ended the sign-in with \`${cut(error.error)}\`.${said(error)}`,
      )
    if (error instanceof oauth.ResponseBodyError) {
      if (error.error === 'invalid_grant')
        return refused(
          'The provider takes this sign-in no longer, or has answered it before: begin it again.',
        )
      const why = `The provider refuses this server with \`${cut(error.error)}\`.${said(error)}`
      const hint = 'Compare SLUICE_OIDC_CLIENT_ID and SLUICE_OIDC_CLIENT_SECRET with what it knows.'
      return new SluiceError('config', `${why} ${hint}`, { cause: error })
    }
    if (error instanceof oauth.OperationProcessingError && error.code === oauth.JWT_TIMESTAMP_CHECK)
      return refused(
        `By the clock of this server, ${new Date().toISOString()}, the ID token of the provider has ended or has not begun: set the clocks of both.`,
      )
    return refused(`The provider named nobody in a way that counts: ${messageOf(error)}`)
  }
}

function said({ error_description: text }: { readonly error_description?: string | undefined }): string {
  return text === undefined || text === '' ? '' : ` It says: ${cut(text)}`
}

/** A text of the provider, on one line. */
function cut(text: string): string {
  return text.replaceAll(/[\p{C}\s]+/gu, ' ').slice(0, MAX_SAID)
}
