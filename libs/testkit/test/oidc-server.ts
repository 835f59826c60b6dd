/**
 * A real authorization server (oidc-provider) on a loopback port, with one client. It counts the requests for
 * tokens, and says whether a token counts. Its clock may be off, and its token endpoint may fail.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import {
  Provider,
  type Adapter,
  type AdapterPayload,
  type Configuration,
  type KoaContextWithOIDC,
} from 'oidc-provider'
import { listen } from './listen.ts'

export const CLIENT_ID = 'sluice-client'
export const CLIENT_SECRET = 'the-secret-of-the-client-4711'
export const REDIRECT_URI = 'http://127.0.0.1:48123/callback'
export const ACCOUNT = { username: 'ann', password: 'the-password-of-ann' }

/** The token endpoint does this with a request in place of answering it. */
export type TokenFault = { readonly status: number; readonly body?: string } | null

export interface OidcServer extends AsyncDisposable {
  readonly url: string
  readonly tokenUrl: string
  readonly authorizationUrl: string
  /** The bodies of all requests for tokens, in order. */
  readonly tokenRequests: readonly URLSearchParams[]
  /** True for an access token that is valid now. */
  isValid(token: string): Promise<boolean>
  /** Ends a token, as its user would. */
  revoke(token: string): Promise<void>
  /** From now on the token endpoint does this; null: it works. */
  fail(fault: TokenFault): void
  /** Logs in and consents as a browser would. Gives the URL that the browser is sent back to. */
  logIn(authorizationUrl: string): Promise<string>
  /** From now on it changes ID tokens so before it gives them; null: it gives them as they are. */
  alter(change: IdTokenChange | null): void
  /** From now on the person refuses to log in, or logs in again. */
  refuse(refuses: boolean): void
}

/** An ID token, and the key that signs it. */
export interface IdToken {
  readonly header: { readonly [name: string]: unknown }
  readonly claims: { readonly [name: string]: unknown }
  readonly key: KeyObject
}
export type IdTokenChange = (token: IdToken) => IdToken

export interface OidcServerOptions {
  /** The name of its host; default `127.0.0.1`. With `localhost` it is another site than that address. */
  readonly host?: string
  /** The claims of its ID tokens about the person, beside the subject. */
  readonly claims?: { readonly [name: string]: unknown }
  /** The time for which access tokens count, in seconds; default 3600. */
  readonly lifeSeconds?: number
  /** A further client that signs: its public keys. */
  readonly jwks?: { readonly keys: readonly object[] }
  readonly clientAuthentication?: 'client_secret_basic' | 'client_secret_post' | 'private_key_jwt'
  readonly rotates?: boolean
  /**
   * True if it keeps to FAPI 2.0: a client that signs names its URL alone, by an algorithm that FAPI takes.
   */
  readonly fapi?: boolean
  /** The address to which it sends browsers back, on any port; default `REDIRECT_URI`. */
  readonly redirectUri?: string
  /** Told of a request for a token before it is handled; it is handled once that resolves. */
  readonly onTokenRequest?: () => Promise<void> | void
}

export async function startOidcServer(options: OidcServerOptions = {}): Promise<OidcServer> {
  const { lifeSeconds = 3600, clientAuthentication = 'client_secret_basic', rotates = true } = options
  let fault: TokenFault = null
  let handle: (request: IncomingMessage, response: ServerResponse) => void = () => undefined
  const server = createServer((request, response) => handle(request, response))
  const listening = await listen(server)
  const url = `http://${options.host ?? '127.0.0.1'}:${listening.port}`
  let change: IdTokenChange | null = null
  let refuses = false
  const provider = new Provider(url, configurationOf({ lifeSeconds, clientAuthentication, rotates, options }))
  registerPasswords(provider)
  const tokenRequests: URLSearchParams[] = []
  provider.use(async (context, next) => {
    if (context.path.startsWith('/interaction/')) {
      await interact(provider, context, refuses)
      return
    }
    if (context.path !== '/token') {
      await next()
      return
    }
    await options.onTokenRequest?.()
    if (fault === null) await next()
    else {
      context.status = fault.status
      context.body = fault.body ?? 'out of order'
    }
    const { oidc } = context as { readonly oidc?: { readonly body?: object } }
    if (change !== null) alterIdToken(context, change)
    const request = new URLSearchParams()
    for (const [name, value] of Object.entries(oidc?.body ?? {})) request.set(name, String(value))
    tokenRequests.push(request)
  })
  const answer = provider.callback()
  handle = (request, response) => void answer(request, response)
  const find = async (token: string): Promise<{ isValid: boolean; destroy(): Promise<void> } | undefined> =>
    (await provider.AccessToken.find(token)) ?? (await provider.ClientCredentials.find(token))
  return {
    url,
    tokenUrl: `${url}/token`,
    authorizationUrl: `${url}/auth`,
    tokenRequests,
    isValid: async token => (await find(token))?.isValid === true,
    revoke: async token => await (await find(token))?.destroy(),
    fail: next => (fault = next),
    logIn: from => browse(from, url),
    alter: next => (change = next),
    refuse: next => (refuses = next),
    [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose](),
  }
}

function configurationOf(of: {
  readonly lifeSeconds: number
  readonly clientAuthentication: NonNullable<OidcServerOptions['clientAuthentication']>
  readonly rotates: boolean
  readonly options: OidcServerOptions
}): Configuration {
  const { lifeSeconds, clientAuthentication, rotates, options } = of
  const isSigned = clientAuthentication === 'private_key_jwt'
  return {
    adapter: Memory,
    jwks: { keys: [SIGNING_KEY] },
    clients: [
      {
        client_id: CLIENT_ID,
        ...(isSigned
          ? { jwks: { keys: [...(options.jwks?.keys ?? [])] } }
          : { client_secret: CLIENT_SECRET }),
        token_endpoint_auth_method: clientAuthentication,
        grant_types: ['client_credentials', 'authorization_code', 'refresh_token', 'password'],
        redirect_uris: [options.redirectUri ?? REDIRECT_URI],
        response_types: ['code'],
        application_type: 'native',
      },
    ],
    scopes: ['openid', 'offline_access', 'rows', 'profile', 'email'],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      revocation: { enabled: true },
      ...(options.fapi === true ? { fapi: { enabled: true, profile: '2.0' } } : {}),
    },
    ...(options.fapi === true
      ? { enabledJWA: { clientAuthSigningAlgValues: ['PS256', 'ES256', 'EdDSA'] } }
      : {}),
    ttl: {
      AccessToken: lifeSeconds,
      ClientCredentials: lifeSeconds,
      RefreshToken: 86_400,
      Grant: 86_400,
      IdToken: 3600,
      Session: 3600,
      Interaction: 3600,
    },
    rotateRefreshToken: rotates,
    issueRefreshToken: () => Promise.resolve(true),
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => Promise.resolve({ sub: id, ...options.claims }),
    }),
    claims: { profile: Object.keys(options.claims ?? {}) },
    // Many providers put all claims into the ID token.
    conformIdTokenClaims: false,
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    cookies: { keys: ['for the tests alone'] },
    clockTolerance: 15,
  }
}

/** Logs in and consents, in place of a person. */
async function interact(
  provider: Provider,
  context: Pick<KoaContextWithOIDC, 'req' | 'res' | 'respond'>,
  refuses: boolean,
): Promise<void> {
  const { req, res } = context
  const { prompt, params, session, grantId } = await provider.interactionDetails(req, res)
  if (refuses) {
    const result = { error: 'access_denied', error_description: 'End-User aborted interaction' }
    await provider.interactionFinished(req, res, result)
  } else if (prompt.name === 'login') {
    await provider.interactionFinished(req, res, { login: { accountId: ACCOUNT.username } })
  } else {
    const clientId = String(params['client_id'])
    const found = grantId === undefined ? undefined : await provider.Grant.find(grantId)
    const grant = found ?? new provider.Grant({ accountId: session?.accountId ?? '', clientId })
    grant.addOIDCScope(typeof params['scope'] === 'string' ? params['scope'] : '')
    await provider.interactionFinished(
      req,
      res,
      { consent: { grantId: await grant.save() } },
      { mergeWithLastSubmission: true },
    )
  }
  context.respond = false
}

/** RFC 6749 §4.3, which the server has no part for. */
function registerPasswords(provider: Provider): void {
  provider.registerGrantType(
    'password',
    async context => {
      const { client, params } = context.oidc
      if (client === undefined) throw new Error('no client')
      if (params?.['username'] !== ACCOUNT.username || params['password'] !== ACCOUNT.password) {
        context.status = 400
        context.body = { error: 'invalid_grant', error_description: 'wrong user name or password' }
        return
      }
      const grant = new provider.Grant({ accountId: ACCOUNT.username, clientId: client.clientId })
      grant.addOIDCScope('openid offline_access')
      const grantId = await grant.save()
      const of = {
        client,
        accountId: ACCOUNT.username,
        grantId,
        scope: 'openid offline_access',
        gty: 'password',
      }
      const access = new provider.AccessToken(of)
      const refresh = new provider.RefreshToken({ ...of, rotations: 0, iiat: Math.floor(Date.now() / 1000) })
      context.body = {
        access_token: await access.save(),
        expires_in: access.expiration,
        refresh_token: await refresh.save(),
        token_type: access.tokenType,
      }
    },
    ['username', 'password', 'scope'],
  )
}

/** Follows redirects with cookies, up to the client's own address. */
async function browse(from: string, server: string): Promise<string> {
  const cookies = new Map<string, string>()
  let url = from
  for (let hops = 0; hops < 10; hops += 1) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(url, { redirect: 'manual', headers: { cookie } })
    for (const set of response.headers.getSetCookie()) {
      const [pair = ''] = set.split(';')
      const equals = pair.indexOf('=')
      cookies.set(pair.slice(0, equals), pair.slice(equals + 1))
    }
    const location = response.headers.get('location')
    if (location === null) throw new Error(`${url} answers ${response.status}: ${await response.text()}`)
    url = new URL(location, url).href
    if (!url.startsWith(`${server}/`)) return url
  }
  throw new Error('too many redirects')
}

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const SIGNING_KEY = { ...privateKey.export({ format: 'jwk' }) }

/** Signs another ID token in place of the one that the server has made. */
function alterIdToken(context: { body: unknown }, change: IdTokenChange): void {
  const { body } = context
  if (typeof body !== 'object' || body === null || !('id_token' in body)) return
  const [header = '', payload = ''] = String(body.id_token).split('.')
  const read = (part: string): IdToken['claims'] =>
    JSON.parse(Buffer.from(part, 'base64url').toString()) as IdToken['claims']
  const altered = change({ header: read(header), claims: read(payload), key: privateKey })
  const write = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url')
  const signed = `${write(altered.header)}.${write(altered.claims)}`
  const signature = sign('sha256', Buffer.from(signed), altered.key).toString('base64url')
  context.body = { ...body, id_token: `${signed}.${signature}` }
}

interface Kept {
  readonly payload: AdapterPayload
  readonly untilMs: number
}

const kept = new Map<string, Kept>()

/** The memory of the servers of one test process. */
class Memory implements Adapter {
  readonly #name: string

  constructor(name: string) {
    this.#name = name
  }

  upsert(id: string, payload: AdapterPayload, expiresIn: number): Promise<undefined> {
    const untilMs = Number.isFinite(expiresIn) ? Date.now() + expiresIn * 1000 : Infinity
    kept.set(`${this.#name}/${id}`, { payload, untilMs })
    return Promise.resolve(undefined)
  }

  find(id: string): Promise<AdapterPayload | undefined> {
    const found = kept.get(`${this.#name}/${id}`)
    return Promise.resolve(found !== undefined && found.untilMs > Date.now() ? found.payload : undefined)
  }

  findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return this.#first(({ payload }) => payload.uid === uid)
  }

  findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return this.#first(({ payload }) => payload.userCode === userCode)
  }

  async consume(id: string): Promise<undefined> {
    const payload = await this.find(id)
    if (payload !== undefined) payload.consumed = Math.floor(Date.now() / 1000)
  }

  destroy(id: string): Promise<undefined> {
    kept.delete(`${this.#name}/${id}`)
    return Promise.resolve(undefined)
  }

  revokeByGrantId(grantId: string): Promise<undefined> {
    for (const [id, { payload }] of kept) if (payload.grantId === grantId) kept.delete(id)
    return Promise.resolve(undefined)
  }

  #first(fits: (found: Kept) => boolean): Promise<AdapterPayload | undefined> {
    for (const [id, found] of kept)
      if (id.startsWith(`${this.#name}/`) && fits(found)) return Promise.resolve(found.payload)
    return Promise.resolve(undefined)
  }
}
