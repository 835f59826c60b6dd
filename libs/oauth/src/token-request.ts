/** Asks a token endpoint, through the sender of the destination. */
import type { KeyObject, webcrypto } from 'node:crypto'
import { messageOf, SluiceError } from '@sluice/contracts/errors'
import { openPrivateKey } from '@sluice/http-sender/private-keys'
import type { ConnectionOptions, HttpSender } from '@sluice/http-sender/port'
import { redactText } from '@sluice/secrets/redact'
import type { ExtraParts, OAuthSettings } from './settings.ts'
import { readTokenAnswer, type TokenAnswer } from './token-answer.ts'

export const TOKEN_TIMEOUT_MS = 30_000
const ANSWER_LIMIT_BYTES = 256 * 1024
/** If the server's clock differs by more than this, times in signed texts follow the server's clock. */
const MIN_SKEW_MS = 5_000

/** The grant with which a token is asked for. */
export type TokenGrant =
  | { readonly kind: 'first' }
  | { readonly kind: 'refresh'; readonly refreshToken: string }
  | { readonly kind: 'code'; readonly code: string; readonly verifier: string; readonly redirectUri: string }

export interface AskedToken {
  readonly answer: TokenAnswer
  /** The pause that the endpoint asks for; null if it asks for none. */
  readonly retryAfterMs: number | null
}

export class TokenEndpoint {
  readonly #sender: HttpSender
  /** The time by which the server's clock was ahead at its last answer. */
  #skewMs = 0

  constructor(sender: HttpSender) {
    this.#sender = sender
  }

  /**
   * Asks once, or twice if the server's clock explains the refusal of a signed text. A failure is an answer,
   * too, and contains no secret. Rejects with `config` for a key that cannot sign, and when aborted.
   */
  async ask(
    settings: OAuthSettings,
    grant: TokenGrant,
    options: { readonly connection: ConnectionOptions; readonly signal: AbortSignal },
  ): Promise<AskedToken> {
    const before = this.#skewMs
    const asked = await this.#askOnce(settings, grant, options)
    const isSigned = settings.privateKey !== null
    const learned = Math.abs(this.#skewMs - before) >= MIN_SKEW_MS
    if (!isSigned || !learned || asked.answer.kind === 'token') return asked
    return await this.#askOnce(settings, grant, options)
  }

  async #askOnce(
    settings: OAuthSettings,
    grant: TokenGrant,
    options: { readonly connection: ConnectionOptions; readonly signal: AbortSignal },
  ): Promise<AskedToken> {
    const { url, headers, body } = await requestOf(settings, grant, this.#skewMs)
    const sentMs = Date.now()
    const result = await this.#sender.send({
      method: 'POST',
      url,
      headers,
      body: Buffer.from(body.toString()),
      timeoutMs: TOKEN_TIMEOUT_MS,
      bodyLimitBytes: ANSWER_LIMIT_BYTES,
      connection: options.connection,
      signal: options.signal,
    })
    if (result.kind === 'failed') {
      const message = redactText(result.error, settings.secrets)
      const answer = { kind: 'refused', code: null, message, mayPass: result.reason !== 'invalid' } as const
      return { answer, retryAfterMs: null }
    }
    const serverMs = Date.parse(result.headers['date'] ?? '')
    if (!Number.isNaN(serverMs)) this.#skewMs = serverMs - (sentMs + Date.now()) / 2
    const seconds = Number(result.headers['retry-after'] ?? Number.NaN)
    const hidden = [...settings.secrets, ...secretsIn(headers, body)]
    return {
      answer: withHint(
        readTokenAnswer(result, (text, options) => redactText(text, hidden, options)),
        settings,
      ),
      retryAfterMs: Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : null,
    }
  }
}

/** Adds a hint about the audience, since servers seldom say that they want another one. */
function withHint(
  answer: TokenAnswer,
  { clientAuthentication, assertionAudience, tokenUrl }: OAuthSettings,
): TokenAnswer {
  if (answer.kind === 'token' || answer.code !== 'invalid_client') return answer
  if (clientAuthentication !== 'private_key_jwt' || assertionAudience !== tokenUrl) return answer
  const hint =
    'Its assertion is for `tokenUrl`; by FAPI 2.0 the server wants its issuer as `assertionAudience`'
  return { ...answer, message: `${answer.message}. ${hint}` }
}

/** Returns the secrets of a request that a server may echo. */
function secretsIn(headers: { readonly [name: string]: string }, body: URLSearchParams): string[] {
  const names = [
    'refresh_token',
    'code',
    'code_verifier',
    'client_secret',
    'client_assertion',
    'assertion',
    'password',
  ]
  const values = names.flatMap(name => body.getAll(name))
  const { authorization = '' } = headers
  return [...values, authorization.replace(/^\S+ /, '')].filter(value => value !== '')
}

async function requestOf(
  settings: OAuthSettings,
  grant: TokenGrant,
  skewMs: number,
): Promise<{ url: string; headers: { [name: string]: string }; body: URLSearchParams }> {
  const isRefresh = grant.kind === 'refresh'
  const extra = isRefresh ? settings.refreshRequest : settings.tokenRequest
  const body = new URLSearchParams(await parametersOf(settings, grant, skewMs))
  const headers: { [name: string]: string } = {
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded;charset=UTF-8',
  }
  await authenticate(settings, { headers, body, skewMs })
  return {
    url: withQuery(isRefresh ? settings.refreshUrl : settings.tokenUrl, extra),
    headers: { ...headers, ...lowerCased(extra.headers) },
    body: withBody(body, extra),
  }
}

function lowerCased(headers: { readonly [name: string]: string }): { [name: string]: string } {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value.trim()]),
  )
}

function withQuery(url: string, { query }: ExtraParts): string {
  const whole = new URL(url)
  for (const [name, value] of Object.entries(query)) whole.searchParams.set(name, value)
  return whole.href
}

/** Adds the user's parameters. An empty one removes the parameter of that name. */
function withBody(body: URLSearchParams, extra: ExtraParts): URLSearchParams {
  for (const [name, value] of Object.entries(extra.body)) {
    if (value === '') body.delete(name)
    else body.set(name, value)
  }
  return body
}

async function parametersOf(
  settings: OAuthSettings,
  grant: TokenGrant,
  skewMs: number,
): Promise<{ [name: string]: string }> {
  const { scope, audience, username, password } = settings
  const wanted = {
    ...(scope === null ? {} : { scope }),
    ...(audience === null || settings.grant === 'jwt-bearer' ? {} : { audience }),
  }
  if (grant.kind === 'refresh') return { grant_type: 'refresh_token', refresh_token: grant.refreshToken }
  if (grant.kind === 'code') {
    const { code, verifier: code_verifier, redirectUri: redirect_uri } = grant
    return { grant_type: 'authorization_code', code, code_verifier, redirect_uri }
  }
  switch (settings.grant) {
    case 'client-credentials':
      return { grant_type: 'client_credentials', ...wanted }
    case 'password':
      return { grant_type: 'password', username: username ?? '', password: password ?? '', ...wanted }
    case 'jwt-bearer': {
      const assertion = await signed(settings, { ...assertionOf(settings) }, skewMs)
      return { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion }
    }
    case 'authorization-code':
    case 'refresh-token':
      throw new SluiceError('internal', `a token of ${settings.grant} is not asked for anew`)
    default:
      return settings.grant satisfies never
  }
}

/** Returns the claims of RFC 7523 §3, with the scope, which Google wants and other servers ignore. */
function assertionOf({ clientId, username, audience, tokenUrl, scope }: OAuthSettings): object {
  const claims = { iss: clientId, sub: username ?? clientId, aud: audience ?? tokenUrl }
  return scope === null ? claims : { ...claims, scope }
}

async function authenticate(
  settings: OAuthSettings,
  { headers, body, skewMs }: { headers: { [name: string]: string }; body: URLSearchParams; skewMs: number },
): Promise<void> {
  const { clientId, clientSecret, clientAuthentication, assertionAudience } = settings
  if (clientAuthentication === 'header') {
    const pair = `${formEncoded(clientId)}:${formEncoded(clientSecret ?? '')}`
    headers['authorization'] = `Basic ${Buffer.from(pair).toString('base64')}`
    return
  }
  // The assertion identifies the client.
  if (clientAuthentication === 'none' && settings.grant === 'jwt-bearer') return
  body.set('client_id', clientId)
  if (clientAuthentication === 'body') body.set('client_secret', clientSecret ?? '')
  if (clientAuthentication === 'private_key_jwt') {
    const claims = { iss: clientId, sub: clientId, aud: assertionAudience }
    body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
    body.set('client_assertion', await signed(settings, claims, skewMs))
  }
}

/**
 * Encodes as RFC 6749 §2.3.1 requires, but only characters that need it: many servers do not decode, and most
 * ids have dashes.
 */
export function formEncoded(text: string): string {
  return encodeURIComponent(text).replaceAll('%20', '+')
}

/** Returns a JWT with these claims, signed with the client's key. Throws `config` if the key cannot sign. */
async function signed(
  { privateKey, keyId, clientId, secrets }: OAuthSettings,
  claims: object,
  skewMs: number,
): Promise<string> {
  // The package is loaded only here, since most clients sign nothing.
  const oauth = await import('oauth4webapi')
  try {
    const key = await signingKey(openPrivateKey(privateKey ?? ''))
    const authenticate = oauth.PrivateKeyJwt(keyId === null ? key : { key, kid: keyId }, {
      [oauth.modifyAssertion]: (header, payload) => {
        Object.assign(payload, claims)
        // Servers know this algorithm by its older name, EdDSA. FAPI 2.0 also uses that name.
        if (header['alg'] === 'Ed25519') header['alg'] = 'EdDSA'
      },
    })
    const client = { client_id: clientId, [oauth.clockSkew]: Math.round(skewMs / 1000) }
    const body = new URLSearchParams()
    await authenticate({ issuer: 'https://unused.invalid' }, client, body, new Headers())
    return body.get('client_assertion') ?? ''
  } catch (cause) {
    const why = redactText(
      messageOf(cause).replace(', and needs `passphrase`', ': write it without a pass phrase'),
      secrets,
    )
    throw new SluiceError('config', `\`auth.oauth2.privateKey\` cannot sign: ${why}`)
  }
}

/** Makes a signing key: RS256 for RSA, ES256 to ES512 for elliptic curves, EdDSA for Ed25519. */
async function signingKey(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const type = key.asymmetricKeyType
  if (type === 'rsa') return key.toCryptoKey({ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, false, ['sign'])
  if (type === 'ed25519') return key.toCryptoKey({ name: 'Ed25519' }, false, ['sign'])
  const curves: { readonly [name: string]: string } = {
    prime256v1: 'P-256',
    secp384r1: 'P-384',
    secp521r1: 'P-521',
  }
  const namedCurve = curves[key.asymmetricKeyDetails?.namedCurve ?? '']
  if (type === 'ec' && namedCurve !== undefined)
    return key.toCryptoKey({ name: 'ECDSA', namedCurve }, false, ['sign'])
  throw new Error(`a key of type ${type ?? 'unknown'} is not supported: expected RSA, EC or Ed25519`)
}
