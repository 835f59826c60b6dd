/** Requests for tokens, at a real authorization server. */
import { generateKeyPairSync } from 'node:crypto'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { fillSecrets } from '@sluice/contracts/secret-references'
import type { OAuthSpec } from '@sluice/contracts/specs/oauth-specs'
import { createUndiciSender } from '@sluice/http-sender/adapters/undici'
import type { HttpSender, OutgoingRequest, SendResult } from '@sluice/http-sender/port'
import { CLIENT_ID, CLIENT_SECRET, startOidcServer, type OidcServer } from '@sluice/testkit/oidc-server'
import { oauthSettings } from './settings.ts'
import { TokenEndpoint, type TokenGrant } from './token-request.ts'

const OFF_MS = 300_000
const options = { connection: {}, signal: new AbortController().signal }
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pem = (key: typeof ec.privateKey): string => key.export({ type: 'pkcs8', format: 'pem' }).toString()
const settingsOf = (spec: Partial<OAuthSpec>) =>
  oauthSettings(
    { grant: 'client-credentials', tokenUrl: 'https://x.example.com/token', clientId: CLIENT_ID, ...spec },
    text => text,
  )

const opened: AsyncDisposable[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const each of opened.splice(0).reverse()) await each[Symbol.asyncDispose]()
})

const serverOf = async (of: Parameters<typeof startOidcServer>[0]): Promise<OidcServer> => {
  const server = await startOidcServer(of)
  opened.push(server)
  return server
}
const realSender = (): HttpSender => {
  const sender = createUndiciSender({ connections: 2 })
  opened.push(sender)
  return sender
}

describe('a client', () => {
  it.each([
    ['client_secret_basic', { clientSecret: CLIENT_SECRET }],
    ['client_secret_post', { clientSecret: CLIENT_SECRET, clientAuthentication: 'body' }],
    ['private_key_jwt', { privateKey: pem(ec.privateKey), clientAuthentication: 'private_key_jwt' }],
    ['private_key_jwt', { privateKey: pem(rsa.privateKey), clientAuthentication: 'private_key_jwt' }],
  ] as const)('shows who it is by %s', async (clientAuthentication, spec) => {
    const jwks = {
      keys: [ec, rsa].map(({ publicKey }) => ({ ...publicKey.export({ format: 'jwk' }), use: 'sig' })),
    }
    const server = await serverOf({ clientAuthentication, jwks })
    const settings = settingsOf({ ...spec, tokenUrl: server.tokenUrl, scopes: ['rows'] })
    const { answer } = await new TokenEndpoint(realSender()).ask(settings, { kind: 'first' }, options)
    expect(answer).toMatchObject({ kind: 'token', type: 'Bearer', lifeMs: 3_600_000, refreshToken: null })
    if (answer.kind === 'token') expect(await server.isValid(answer.accessToken)).toBe(true)
  })

  it.each(['ec', 'ed25519', 'rsa', 'ec for tokenUrl'] as const)(
    'of a server by FAPI 2.0 signs for its issuer: %s',
    async which => {
      const keys = { ec, rsa, ed25519: generateKeyPairSync('ed25519') }
      const key = keys[which === 'ec for tokenUrl' ? 'ec' : which]
      const jwks = { keys: [{ ...key.publicKey.export({ format: 'jwk' }), use: 'sig' }] }
      const server = await serverOf({ clientAuthentication: 'private_key_jwt', jwks, fapi: true })
      const settings = settingsOf({
        tokenUrl: server.tokenUrl,
        clientAuthentication: 'private_key_jwt',
        privateKey: pem(key.privateKey),
        ...(which === 'ec for tokenUrl' ? {} : { assertionAudience: server.url }),
      })
      const { answer } = await new TokenEndpoint(realSender()).ask(settings, { kind: 'first' }, options)
      if (which === 'ec' || which === 'ed25519') {
        expect(answer).toMatchObject({ kind: 'token', type: 'Bearer' })
        return
      }
      // FAPI takes no RS256.
      expect(answer).toMatchObject({ kind: 'refused', code: 'invalid_client' })
      const said = answer.kind === 'refused' ? answer.message : ''
      expect(said.includes('`assertionAudience`')).toBe(which === 'ec for tokenUrl')
    },
  )

  it.each([OFF_MS, -OFF_MS])(
    'whose clock is off by %i ms learns the server’s, and signs by it',
    async offMs => {
      const jwks = { keys: [ec.publicKey.export({ format: 'jwk' })] }
      const server = await serverOf({ clientAuthentication: 'private_key_jwt', jwks })
      const real = realSender()
      const startMs = Date.now()
      vi.useFakeTimers({ toFake: ['Date'], now: startMs + offMs })
      const sent: OutgoingRequest[] = []
      // The server has the right time.
      const sender: Pick<HttpSender, 'send'> = {
        async send(request): Promise<SendResult> {
          sent.push(request)
          vi.setSystemTime(startMs)
          const result = await real.send(request)
          vi.setSystemTime(startMs + offMs)
          return result
        },
      }
      const settings = settingsOf({
        tokenUrl: server.tokenUrl,
        privateKey: pem(ec.privateKey),
        clientAuthentication: 'private_key_jwt',
      })
      const endpoint = new TokenEndpoint({ ...sender, [Symbol.asyncDispose]: () => Promise.resolve() })
      for (let round = 0; round < 2; round += 1)
        expect((await endpoint.ask(settings, { kind: 'first' }, options)).answer.kind).toBe('token')
      // It learns once.
      expect(sent).toHaveLength(3)
    },
  )
})

describe('a request', () => {
  const answer: SendResult = {
    ...{
      kind: 'answered',
      status: 200,
      headers: {},
      body: '{"access_token":"a"}',
      startedAt: 0,
      durationMs: 0,
    },
  }
  const sentWith = async (spec: Partial<OAuthSpec>, grant: TokenGrant): Promise<OutgoingRequest> => {
    let sent: OutgoingRequest | null = null
    const endpoint = new TokenEndpoint({
      send: request => {
        sent = request
        return Promise.resolve(answer)
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    })
    await endpoint.ask(settingsOf(spec), grant, options)
    if (sent === null) throw new Error('nothing was sent')
    return sent
  }
  const bodyOf = ({ body }: OutgoingRequest) =>
    Object.fromEntries(new URLSearchParams(Buffer.from(body ?? []).toString()))

  it('has what a user adds, each kind of request its own', async () => {
    const spec = {
      clientSecret: 's',
      refreshUrl: 'https://x.example.com/refresh?v=1',
      scopes: 'a b',
      audience: 'rows',
      tokenRequest: {
        headers: { 'X-Own': ' 1 ' },
        query: { tenant: 'a/b' },
        body: { resource: 'r', audience: '' },
      },
      refreshRequest: { query: { v: '2' }, body: { again: 'yes' } },
    }
    const first = await sentWith(spec, { kind: 'first' })
    expect(first).toMatchObject({ method: 'POST', url: 'https://x.example.com/token?tenant=a%2Fb' })
    expect(first.headers).toMatchObject({ 'x-own': '1', accept: 'application/json' })
    expect(bodyOf(first)).toEqual({ grant_type: 'client_credentials', scope: 'a b', resource: 'r' })
    const refresh = await sentWith(spec, { kind: 'refresh', refreshToken: 't' })
    expect(refresh.url).toBe('https://x.example.com/refresh?v=2')
    expect(bodyOf(refresh)).toEqual({ grant_type: 'refresh_token', refresh_token: 't', again: 'yes' })
  })

  it('encodes of id and secret no more than has to be', async () => {
    const { headers } = await sentWith({ clientId: 'a-b_c.d', clientSecret: 'p:w d+é' }, { kind: 'first' })
    const pair = Buffer.from((headers['authorization'] ?? '').slice(6), 'base64').toString()
    expect(pair).toBe('a-b_c.d:p%3Aw+d%2B%C3%A9')
  })

  it('with jwt-bearer has an assertion as Salesforce and Google want it', async () => {
    const spec = {
      grant: 'jwt-bearer',
      privateKey: pem(rsa.privateKey),
      keyId: 'k1',
      username: 'ann@example.com',
      audience: 'https://login.salesforce.com',
      scopes: 'rows',
    } as const
    const { grant_type, assertion = '', ...others } = bodyOf(await sentWith(spec, { kind: 'first' }))
    expect(grant_type).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer')
    expect(others).toEqual({})
    const [header, claims] = assertion
      .split('.')
      .slice(0, 2)
      .map(part => JSON.parse(Buffer.from(part, 'base64url').toString()) as { [name: string]: unknown })
    expect(header).toMatchObject({ alg: 'RS256', kid: 'k1' })
    expect(claims).toMatchObject({
      ...{ iss: CLIENT_ID, sub: 'ann@example.com', aud: 'https://login.salesforce.com', scope: 'rows' },
    })
    expect(Number(claims?.['exp']) - Number(claims?.['iat'])).toBeGreaterThan(0)
  })

  it('with private_key_jwt says whom the assertion is for: the token endpoint, or as the server wants it', async () => {
    const spec = { privateKey: pem(ec.privateKey), clientAuthentication: 'private_key_jwt' } as const
    const audienceOf = async (own: Partial<OAuthSpec>): Promise<unknown> => {
      const { client_assertion: jwt = '' } = bodyOf(await sentWith({ ...spec, ...own }, { kind: 'first' }))
      const claims: unknown = JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString())
      return Reflect.get(Object(claims), 'aud')
    }
    expect(await audienceOf({ audience: 'rows' })).toBe('https://x.example.com/token')
    const issuer = 'https://x.example.com/tenant'
    expect(await audienceOf({ audience: 'rows', assertionAudience: issuer })).toBe(issuer)
  })

  it('says of a key that cannot sign what is wrong, without the key', async () => {
    const privateKey = '-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----'
    const refused = sentWith({ grant: 'jwt-bearer', privateKey }, { kind: 'first' })
    await expect(refused).rejects.toThrow(/^`auth\.oauth2\.privateKey` cannot sign: /)
    await expect(refused).rejects.not.toThrow(/nonsense/)
    const encrypted = ec.privateKey.export({
      ...{ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' },
    })
    await expect(
      sentWith({ grant: 'jwt-bearer', privateKey: String(encrypted) }, { kind: 'first' }),
    ).rejects.toThrow('cannot sign: it is encrypted: write it without a pass phrase')
  })
})

it('an endpoint that gives back what it was asked with shows no secret of headers, query, body or name', async () => {
  const tokenRequest = {
    headers: { 'x-api': 'v1 ${secret:key}' },
    query: { t: '${secret:tenant}' },
    body: { p: '${secret:pin}' },
  }
  const spec = { grant: 'client-credentials', tokenUrl: 'https://x.example.com', tokenRequest } as const
  const settings = oauthSettings({ ...spec, clientId: '${secret:id}' }, text =>
    fillSecrets(text, name => `the-${name}`),
  )
  const sender: HttpSender = {
    send({ headers, url, body }) {
      const asked = [headers['x-api'], url, Buffer.from(body ?? []).toString()].join(' ')
      return Promise.resolve({ ...ANSWERED, body: JSON.stringify({ error: 'x', error_description: asked }) })
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  const { answer } = await new TokenEndpoint(sender).ask(settings, { kind: 'first' }, options)
  expect(answer).toMatchObject({
    message:
      'HTTP 400: x: v1 *** https://x.example.com/?t=*** grant_type=client_credentials&client_id=***&p=***',
  })
})
const ANSWERED = { kind: 'answered', status: 400, headers: {}, startedAt: 0, durationMs: 0 } as const
