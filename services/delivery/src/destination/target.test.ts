import { describe, expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import { asPfx, encryptedKey, makeCertificate } from '@sluice/testkit/make-certificates'
import { boundSecrets } from '@sluice/secrets/bound-secrets'
import { redactText } from '@sluice/secrets/redact'
import { sampleDefinition, type DefinitionFields } from '@sluice/testkit/sample-records'
import { resolveTarget, scopesOf, urlOf, type Target } from './target.ts'

const AGENT = { 'user-agent': 'sluice/0.2.0' }
const SECRETS: { readonly [name: string]: string } = { token: 'tok en', key: 'k&y' }

function lookUp(name: string): string {
  const value = SECRETS[name]
  if (value === undefined) throw new SluiceError('config', `The secret \`${name}\` is not set`)
  return value
}

/** The target of a destination, with no limits but those given. */
function target(
  destination: DefinitionFields['destination'] = {},
  sync: DefinitionFields['sync'] = {},
): Target {
  return resolveTarget(sampleDefinition({ destination: { limits: undefined, ...destination }, sync }), lookUp)
}

describe('the limits', () => {
  const rate = (requests: number, windowMs: number) => ({ requests, windowMs })
  const RATE = { rate: { requests: 5, per: 'minute' } }
  const scopes = (destination: object | undefined, sync?: object) =>
    scopesOf(sampleDefinition({ destination: { limits: destination }, sync: { limits: sync } }))

  it('are 1000 requests per second and 100 at once where neither destination nor sync sets any', () => {
    expect(scopes(undefined)).toEqual([
      { name: 'destination/d', rates: [rate(1000, 1000)], concurrency: 100 },
    ])
    expect(target().concurrency).toBe(100)
  })

  it('have a default each: who sets the rate alone keeps the default concurrency, and the other way', () => {
    expect(scopes(RATE)).toMatchObject([{ rates: [rate(5, 60_000)], concurrency: 100 }])
    expect(scopes({ concurrency: 7 })).toMatchObject([{ rates: [rate(1000, 1000)], concurrency: 7 }])
  })

  it('of a sync take the place of the defaults, so that it may be faster than they are', () => {
    const [shared, own] = scopes(undefined, { rate: { requests: 5000, per: 'second' }, concurrency: 500 })
    expect(shared).toEqual({ name: 'destination/d', rates: [], concurrency: Number.MAX_SAFE_INTEGER })
    expect(own).toEqual({ name: 'sync/s', rates: [rate(5000, 1000)], concurrency: 500 })
  })

  it('of both are both kept, the shared ones first', () => {
    const both = scopes({ ...RATE, concurrency: 9 }, { concurrency: 3 })
    expect(both).toEqual([
      { name: 'destination/d', rates: [rate(5, 60_000)], concurrency: 9 },
      { name: 'sync/s', rates: [], concurrency: 3 },
    ])
    expect(target({ limits: { concurrency: 9 } }, { limits: { concurrency: 3 } }).concurrency).toBe(3)
  })

  it('may be several rates, with windows of any length', () => {
    const rates = [
      { requests: 10, per: 'second' },
      { requests: 500, per: 'hour' },
      { requests: 2, per: '250ms' },
    ]
    expect(scopes({ rate: rates })[0]?.rates).toEqual([rate(10, 1000), rate(500, 3_600_000), rate(2, 250)])
  })

  it('keep a slot for longer than a request can take', () => {
    const { timeoutMs, slotLifeMs } = target({}, { timeout: '2s' })
    expect(timeoutMs).toBe(2000)
    expect(slotLifeMs).toBeGreaterThan(timeoutMs)
  })
})

describe('the URL of a request', () => {
  const url = (baseUrl: string, path: string, query = ''): string => urlOf(target({ baseUrl }), path, query)

  it.each([
    ['http://api', '/rows', 'http://api/rows'],
    ['http://api/', '/rows', 'http://api/rows'],
    ['http://api/v1//', 'rows', 'http://api/v1/rows'],
    ['http://api/v1', '', 'http://api/v1'],
    ['http://api/v1', '?a=1', 'http://api/v1?a=1'],
  ])('of %s and "%s" has one slash between them', (baseUrl, path, expected) => {
    expect(url(baseUrl, path)).toBe(expected)
  })

  it.each([
    '@evil.example',
    '//evil.example',
    '\\\\evil.example',
    ':80@evil.example/',
    '.evil.example',
    'http://evil.example',
  ])('with the path %s stays at the host of the destination', path => {
    expect(new URL(url('https://api.example.com', path)).host).toBe('api.example.com')
    expect(new URL(url('https://api.example.com/v1', path)).pathname).toMatch(/^\/v1\//)
  })

  it('has the query of the destination after its own', () => {
    expect(url('http://api', '/rows', 'a=1')).toBe('http://api/rows?a=1')
    expect(url('http://api', '/rows?b=2', 'a=1')).toBe('http://api/rows?b=2&a=1')
  })
})

describe('what a destination adds to each request', () => {
  it('has its secrets filled in, and shows none of them', () => {
    const { headers, shownHeaders, query, shownQuery, secrets } = target({
      headers: { Authorization: 'Bearer ${secret:token}', 'X-App': 'app' },
      query: { 'api key': '${secret:key}', lang: 'ä b' },
    })
    expect(headers).toEqual({ ...AGENT, authorization: 'Bearer tok en', 'x-app': 'app' })
    expect(shownHeaders).toEqual({ ...AGENT, authorization: 'Bearer ***', 'x-app': 'app' })
    expect(query).toBe('api%20key=k%26y&lang=%C3%A4%20b')
    expect(shownQuery).toBe('api%20key=***&lang=%C3%A4%20b')
    expect(secrets).toEqual(['tok en', 'k&y'])
  })

  it('may have a secret in the path of the base URL, whose last segment alone is one, too', () => {
    const hook = 'T000/B000/abcdefgh'
    const made = resolveTarget(
      sampleDefinition({ destination: { baseUrl: 'https://h/hooks/${secret:hook}/' } }),
      () => hook,
    )
    expect(made.baseUrl).toBe(`https://h/hooks/${hook}`)
    expect(made.shownBaseUrl).toBe('https://h/hooks/***')
    expect(made.secrets).toEqual([hook, 'abcdefgh'])
  })

  it.each([
    ['T000/B000/abcdefgh/', '<pre>Cannot POST /hooks/T000/B000/abcdefgh</pre>', '/hooks/***</pre>'],
    ['/T000/abcdefgh', 'no route for T000/abcdefgh', 'no route for ***'],
    ['T000/abcdefgh/', 'the hook abcdefgh is gone', 'the hook *** is gone'],
    ['k%2Fabc%2Bdef', '{"path":"/hooks/k/abc+def"}', '/hooks/***"}'],
    ['%FF-is-no-text', 'no %FF-is-no-text', 'no ***'],
  ])('masks a secret in the path, %s, as a server gives it back', (hook, answer, shown) => {
    const destination = { baseUrl: 'https://h/hooks/${secret:hook}' }
    const { secrets } = resolveTarget(sampleDefinition({ destination }), () => hook)
    expect(redactText(answer, secrets)).toContain(shown)
  })

  it('is refused where a secret may not go to the site that Host names', () => {
    const find = boundSecrets(
      { SLUICE_SECRET_TOKEN: 't', SLUICE_SECRET_TOKEN_FOR: 'api.test, own.test:444' },
      'refused',
    )
    const to = (Host: string) =>
      resolveTarget(
        sampleDefinition({
          destination: { baseUrl: 'https://api.test', headers: { X: '${secret:token}', Host } },
        }),
        find,
      ).headers['host']
    expect(to('own.test:444')).toBe('own.test:444')
    for (const host of ['evil.test', 'own.test', 'evil.api.test'])
      expect(() => to(host)).toThrow(`may not go to the destination at ${host}:443`)
    expect(() => to('${secret:token}')).toThrow(/may not go to the destination at/)
  })

  it('is refused where a secret is not set', () => {
    const headers = { Authorization: '${secret:missing}' }
    expect(() => target({ headers })).toThrow(expect.objectContaining({ code: 'config' }))
  })

  it('is the name of who sends, unless the destination says another', () => {
    expect(target().headers).toEqual(AGENT)
    expect(target({ headers: { 'User-agent': 'mine/2' } }).headers).toEqual({ 'user-agent': 'mine/2' })
  })

  it.each([
    ['a line break within a secret', 'v4\r\nlue', 'filled in it has a line break'],
    ['a character that is not Latin-1', 'v4lue€ ', 'filled in it has characters beyond Latin-1'],
    ['a control character', 'v4lue\0', 'filled in it has a control character'],
  ])('is refused for %s, which no header can carry, without the value', (_what, value, message) => {
    const definition = sampleDefinition({ destination: { headers: { 'X-Key': '${secret:key}' } } })
    let thrown: unknown
    try {
      resolveTarget(definition, () => value)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toMatchObject({ code: 'config', message: expect.stringContaining(message) })
    expect(String(thrown)).toContain('`key`')
    expect(String(thrown)).not.toContain('v4')
  })

  it('has no white space around it, a line break neither', () => {
    const definition = sampleDefinition({ destination: { headers: { 'X-Key': ' ${secret:key}' } } })
    const { headers, secrets } = resolveTarget(definition, () => 'v4lue\n')
    expect(headers['x-key']).toBe('v4lue')
    expect(secrets).toEqual(['v4lue\n', 'v4lue'])
  })

  it('is a query of whole characters, since half a one is refused in the file', () => {
    expect(target({ query: { 'ä b': '€&' } }).query).toBe('%C3%A4%20b=%E2%82%AC%26')
    expect(() => target({ query: { 'a\ud800': 'b' } })).toThrow('half a character')
  })

  it('is an idempotency key, under the name that the destination wants, unless it wants none', () => {
    expect(target().idempotencyHeader).toBe('idempotency-key')
    expect(target({ idempotencyHeader: 'X-Request-Id' }).idempotencyHeader).toBe('x-request-id')
    expect(target({ idempotencyHeader: false }).idempotencyHeader).toBeNull()
  })
})

describe('the credentials of a destination', () => {
  it('are a user name and a password, shown as neither', () => {
    const auth = { basic: { username: 'me', password: '${secret:token}' } }
    const { headers, shownHeaders, secrets } = target({ auth })
    const encoded = Buffer.from('me:tok en').toString('base64')
    expect(headers['authorization']).toBe(`Basic ${encoded}`)
    expect(shownHeaders['authorization']).toBe('Basic ***')
    expect(secrets).toEqual(expect.arrayContaining([encoded, 'me:tok en', 'tok en']))
  })

  it('are a token, without the line break at its end', () => {
    const definition = sampleDefinition({ destination: { auth: { bearer: '${secret:t}' } } })
    const { headers, shownHeaders, secrets } = resolveTarget(definition, () => 't0ken\n')
    expect(headers['authorization']).toBe('Bearer t0ken')
    expect(shownHeaders['authorization']).toBe('Bearer ***')
    expect(secrets).toContain('t0ken')
  })

  it.each([
    ['no token', '\n', 'it has no token'],
    ['a line break', 'a\nb', 'it has a line break'],
  ])('are refused for %s', (_what, value, message) => {
    const definition = sampleDefinition({ destination: { auth: { bearer: '${secret:t}' } } })
    expect(() => resolveTarget(definition, () => value)).toThrow(message)
  })
})

describe('the connections of a destination', () => {
  const authority = makeCertificate({ name: 'authority' })
  const client = makeCertificate({ by: authority })

  it('have its certificates, opened by their secrets, and no secret of theirs is looked for in answers', () => {
    const tls = { ca: authority.cert, cert: client.cert, key: '${secret:key}', passphrase: '${secret:token}' }
    const definition = sampleDefinition({ destination: { tls } })
    const key = encryptedKey(client, 'tok en')
    const { connection, secrets } = resolveTarget(definition, name => (name === 'key' ? key : 'tok en'))
    expect(connection.tls).toEqual({ ca: authority.cert, cert: client.cert, key, passphrase: 'tok en' })
    expect(secrets).toEqual([])
  })

  it.each([
    ['ca', { ca: 'x' }, '`tls.ca` cannot be used: it is no certificate in PEM'],
    ['cert', { cert: 'x', key: client.key }, '`tls.cert` cannot be used: it is no certificate in PEM'],
    ['key', { cert: client.cert, key: 'x' }, '`tls.key` cannot be used: it is no private key in PEM'],
    ['another key', { cert: client.cert, key: authority.key }, 'it does not belong to the certificate'],
    [
      'passphrase',
      { cert: client.cert, key: encryptedKey(client, 'a'), passphrase: 'b' },
      'does not open it',
    ],
    ['pfx', { pfx: asPfx(client, 'a'), passphrase: 'b' }, '`tls.pfx` cannot be used: it is no PKCS #12'],
  ])('are refused for a wrong %s, which the message names and does not show', (_what, tls, message) => {
    expect(() => target({ tls })).toThrow(message)
  })

  it('may go to private networks, unless the destination or the profile says otherwise', () => {
    expect(target().connection.allowPrivateNetwork).toBe(true)
    expect(target({ allowPrivateNetwork: false }).connection.allowPrivateNetwork).toBe(false)
    const distributed = { allowPrivateNetwork: false }
    const of = (own: { readonly allowPrivateNetwork?: boolean }) => {
      const definition = sampleDefinition({ destination: own })
      return resolveTarget(definition, lookUp, distributed)
    }
    expect(of({}).connection.allowPrivateNetwork).toBe(false)
    expect(of({ allowPrivateNetwork: true }).connection.allowPrivateNetwork).toBe(true)
  })
})
