/** Sign-in with a real OpenID provider over real HTTP, as browsers do it and as attackers try it. */
import { createHmac, generateKeyPairSync } from 'node:crypto'
import { signedInView, signInView } from '@sluice/contracts/api/operating'
import { SluiceError } from '@sluice/contracts/errors'
import type { Catalog } from '@sluice/control/catalog'
import { ProjectControl } from '@sluice/control/project-control'
import { createUndiciSender } from '@sluice/http-sender/adapters/undici'
import { createLogger } from '@sluice/runtime/logger'
import {
  CLIENT_ID,
  CLIENT_SECRET,
  startOidcServer,
  type IdTokenChange,
  type OidcServer,
} from '@sluice/testkit/oidc-server'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { readAccess } from '../access/read-access.ts'
import { SignIns } from '../access/sign-ins.ts'
import { AskedRuns } from '../asked-runs.ts'
import { createApi } from './create-api.ts'
import { listen } from '../../test/test-listener.ts'

const nothing = (): Promise<never> => Promise.reject(new SluiceError('unreachable', 'there is nothing'))
const catalog: Catalog = { syncs: nothing, definition: nothing, resources: nothing, publish: nothing }
const parts = { open: nothing, assertSecrets: nothing, openNextRun: nothing, openNoticeSenders: nothing }
const control = new ProjectControl(catalog, { hasHistory: false, ...parts })
const claims = { email: 'ann@example.com', email_verified: true, groups: ['everybody', 'data team'] }
const CALLBACK = '/sign-in/callback'

let provider: OidcServer
beforeAll(async () => {
  provider = await startOidcServer({ claims, redirectUri: `http://127.0.0.1${CALLBACK}` })
})
afterAll(() => provider[Symbol.asyncDispose]())

let opened: AsyncDisposableStack
let logged: string[] = []
beforeEach(() => {
  opened = new AsyncDisposableStack()
})
afterEach(async () => {
  provider.alter(null)
  provider.refuse(false)
  await opened.disposeAsync()
})

type Headers = Readonly<Record<string, string>>

/** A server, and a browser at it that keeps its cookies. */
class Browser {
  readonly base: string
  readonly cookies = new Map<string, string>()
  /** The headers `Set-Cookie` of the last answer. */
  set: readonly string[] = []

  constructor(base: string) {
    this.base = base
  }

  async ask(method: string, path: string, body?: object, headers: Headers = {}): Promise<Response> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await fetch(`${this.base}/api/v1${path}`, {
      method,
      headers: {
        ...{ origin: this.base, 'sec-fetch-site': 'same-origin', cookie },
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined ? null : JSON.stringify(body),
    })
    this.set = answer.headers.getSetCookie()
    for (const set of this.set) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? []
      if (value === '') this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
    return answer
  }

  /** Begins a sign-in. Returns the address at the provider. */
  async begin(to?: string): Promise<string> {
    const answer = await this.ask('POST', '/sign-in', to === undefined ? {} : { to })
    const { url } = (await answer.json()) as { url: string }
    return url
  }

  finish(redirected: string): Promise<Response> {
    return this.ask('POST', '/sign-in/finish', { redirected })
  }

  async signIn(to?: string): Promise<Response> {
    return await this.finish(await provider.logIn(await this.begin(to)))
  }

  get session(): Promise<number> {
    return this.ask('GET', '/session').then(({ status }) => status)
  }
}

async function serve(env: Headers = {}, now: () => number = Date.now): Promise<Browser> {
  logged = []
  const settings = {
    ...{ SLUICE_OIDC_ISSUER: provider.url, SLUICE_OIDC_CLIENT_ID: CLIENT_ID },
    ...{ SLUICE_OIDC_CLIENT_SECRET: CLIENT_SECRET, SLUICE_OIDC_ROLES: 'data team view,read; admins all' },
    ...env,
  }
  const access = readAccess(settings, '0.0.0.0')
  if (access.kind !== 'tokens' || !access.openId) throw new Error('nobody signs in')
  const logger = createLogger({ name: 'test', write: line => logged.push(line) })
  const asked = new AskedRuns({ logger, cancel: new AbortController().signal })
  const openControl = (): Promise<ProjectControl> => Promise.resolve(control)
  const sender = opened.use(createUndiciSender())
  const signIns = new SignIns({ settings: access.openId, sender, logger, now })
  const api = opened.use(await createApi({ access, openControl, asked, logger, signIns, badLoginMs: 1, now }))
  const { port } = opened.use(await listen(api.listener))
  return new Browser(`http://127.0.0.1:${port}`)
}

/** Expects a refusal with these words, and no session. */
async function expectRefused(browser: Browser, answer: Response, words: RegExp | string): Promise<void> {
  const text = await answer.text()
  expect([answer.status, text]).toEqual([403, expect.stringMatching(words)])
  expect(await browser.session).toBe(401)
}

describe('a person whom the provider knows', () => {
  it('signs in with the roles of their claims, is named in the log, and signs out', async () => {
    const browser = await serve()
    const ways = signInView.parse(await (await browser.ask('GET', '/sign-in')).json())
    expect(ways).toEqual({ token: false, provider: new URL(provider.url).host })
    const answer = await browser.signIn('/runs?sync=people')
    const session = signedInView.parse(await answer.json())
    expect(session).toMatchObject({
      ...{ name: 'ann@example.com', by: 'session', roles: ['view', 'read'], to: '/runs?sync=people' },
    })
    const hours = (Date.parse(session.endsAt ?? '') - Date.now()) / 3_600_000
    expect(hours).toBeCloseTo(12, 1)
    expect(await browser.session).toBe(200)
    expect((await browser.ask('POST', '/syncs/people/runs')).status).toBe(403)
    await expect.poll(() => logged.join('')).toMatch(/"who":"ann@example.com"[^\n]*"operation":"run"/)
    expect(logged.join('')).toContain('"subject":"ann"')
    expect(logged.join('')).not.toContain('code=')
    await browser.ask('DELETE', '/session')
    expect(await browser.session).toBe(401)
  })

  it('keeps the session at each server with the same settings, and at none with others', async () => {
    const browser = await serve()
    await browser.signIn()
    const statusAt = async (env: Headers): Promise<number> => {
      const other = await serve(env)
      for (const [name, value] of browser.cookies)
        other.cookies.set(name.replace(/\d+$/, new URL(other.base).port), value)
      return await other.session
    }
    expect(await statusAt({})).toBe(200)
    expect(await statusAt({ SLUICE_OIDC_ROLES: 'data team view' })).toBe(401)
    expect(await statusAt({ SLUICE_OIDC_CLIENT_SECRET: 'another-secret-of-the-client' })).toBe(401)
  })

  it('signs in at one server and comes back at another', async () => {
    const [browser, other] = [await serve(), await serve()]
    const back = await provider.logIn(await browser.begin())
    for (const [name, value] of browser.cookies)
      other.cookies.set(name.replace(/\d+$/, new URL(other.base).port), value)
    expect((await other.finish(back)).status).toBe(200)
  })

  it('is signed out by time: an hour without a request', async () => {
    const clock = { now: Date.now() }
    const browser = await serve({}, () => clock.now)
    await browser.signIn()
    clock.now += 60 * 60_000 - 1
    expect(await browser.session).toBe(200)
    clock.now += 60 * 60_000
    expect(await browser.session).toBe(401)
  })

  it.each([
    ['no value with a role', { SLUICE_OIDC_ROLES: 'admins all' }, 'groups'],
    ['no such claim', { SLUICE_OIDC_ROLES_CLAIM: 'realm_access.roles' }, 'realm_access.roles'],
    ['a value in other letters', { SLUICE_OIDC_ROLES: 'Data Team all' }, 'groups'],
  ])('is let in by nobody with %s', async (_what, env, claim) => {
    const browser = await serve(env)
    const answer = await browser.signIn()
    await expectRefused(browser, answer, new RegExp(`ann@example.com.*${claim}`))
    expect(logged.join('')).toContain('a person has no role')
  })

  it('gets roles of an address of mail only if the provider has verified it', async () => {
    const env = { SLUICE_OIDC_ROLES_CLAIM: 'email', SLUICE_OIDC_ROLES: 'ann@example.com all' }
    const browser = await serve(env)
    provider.alter(token => ({ ...token, claims: { ...token.claims, email_verified: false } }))
    await expectRefused(browser, await browser.signIn(), 'no role here')
    provider.alter(null)
    expect((await browser.signIn()).status).toBe(200)
  })

  it('who calls themselves as a token or the operator is not taken for it', async () => {
    const browser = await serve()
    const { host } = new URL(provider.url)
    for (const [changed, name] of [
      [{ email: 'operator' }, `operator@${host}`],
      [{ email: undefined, preferred_username: 'operator' }, `operator@${host}`],
      [{ email: 'two\nlines@example.com' }, `ann@${host}`],
    ] as const) {
      provider.alter(token => ({ ...token, claims: { ...token.claims, ...changed } }))
      expect(await (await browser.signIn()).json()).toMatchObject({ name })
    }
  })
})

describe('an ID token', () => {
  const strange = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  const seconds = Math.floor(Date.now() / 1000)
  const with_ =
    (changed: object): IdTokenChange =>
    token => ({ ...token, claims: { ...token.claims, ...changed } })
  it.each<[string, IdTokenChange, RegExp]>([
    ['of another sign-in', with_({ nonce: 'another' }), /nonce/],
    ['without a nonce', with_({ nonce: undefined }), /nonce/],
    ['for another client', with_({ aud: 'another-client' }), /aud/],
    ['for two clients', with_({ aud: [CLIENT_ID, 'another-client'] }), /aud/],
    ['for two clients, from the other', with_({ aud: [CLIENT_ID, 'x'], azp: 'x' }), /azp/],
    ['of another issuer', with_({ iss: 'https://evil.example' }), /iss/],
    ['that has ended', with_({ exp: seconds - 60 }), /clock of this server.*set the clocks/],
    ['that has not begun', with_({ nbf: seconds + 600 }), /clock of this server/],
    ['without an end', with_({ exp: undefined }), /exp/],
    ['with the signature of another key', token => ({ ...token, key: strange }), /signature/],
    ['without a signature', token => ({ ...token, header: { alg: 'none' } }), /alg/],
    ['with a shared secret', token => ({ ...token, header: { ...token.header, alg: 'HS256' } }), /alg/],
  ])('%s lets nobody in', async (_what, change, words) => {
    const browser = await serve()
    provider.alter(change)
    await expectRefused(browser, await browser.signIn(), words)
    expect(logged.join('')).toContain('a sign-in failed')
    expect(logged.join('')).not.toContain('eyJ')
  })
})

describe('an attacker', () => {
  it('cannot sign a victim in as themselves: a sign-in ends only in the browser in which it began', async () => {
    const attacker = await serve()
    const victim = new Browser(attacker.base)
    const back = await provider.logIn(await attacker.begin())
    await expectRefused(victim, await victim.finish(back), 'not begun in this browser')
    // Also if the victim has begun one, too.
    await victim.begin()
    await expectRefused(victim, await victim.finish(back), 'not begun in this browser')
  })

  it('cannot play a callback again, neither with the cookie that was used nor without it', async () => {
    const browser = await serve()
    const back = await provider.logIn(await browser.begin())
    const before = new Map(browser.cookies)
    expect((await browser.finish(back)).status).toBe(200)
    expect(browser.set.find(set => set.includes('sign-in'))).toMatch(/Max-Age=0/)
    const thief = new Browser(browser.base)
    await expectRefused(thief, await thief.finish(back), 'not begun in this browser')
    for (const [name, value] of before) thief.cookies.set(name, value)
    await expectRefused(thief, await thief.finish(back), 'not begun in this browser')
    // Another process of the server does not know it, but the provider does.
    const other = await serve()
    for (const [name, value] of before)
      other.cookies.set(name.replace(/\d+$/, new URL(other.base).port), value)
    await expectRefused(other, await other.finish(back), 'begin it again')
  })

  it('cannot use the code without the verifier, or with another state', async () => {
    const browser = await serve()
    const back = new URL(await provider.logIn(await browser.begin()))
    const other = await serve()
    const begun = new URL(await other.begin())
    back.searchParams.set('state', begun.searchParams.get('state') ?? '')
    await expectRefused(other, await other.finish(back.href), 'begin it again')
    back.searchParams.set('state', 'another')
    await expectRefused(browser, await browser.finish(back.href), 'not begun in this browser')
  })

  it('cannot pass off the answer of another provider', async () => {
    const browser = await serve()
    const back = new URL(await provider.logIn(await browser.begin()))
    back.searchParams.set('iss', 'https://evil.example')
    await expectRefused(browser, await browser.finish(back.href), 'iss')
  })

  it.each([
    '//evil.example',
    'https://evil.example/',
    '/\\evil.example',
    '/..//evil.example',
    '/\t/evil.example',
    'javascript:alert(1)',
    '@evil.example',
    '/sign-in/callback?code=x',
    '',
  ])('cannot lead a person to %s after the sign-in', async to => {
    const browser = await serve()
    const answer = (await (await browser.signIn(to)).json()) as { to: string }
    expect(answer.to).toBe('/')
  })

  it.each([
    ['another site', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
    ['another port of this machine', { origin: 'http://127.0.0.1:1', 'sec-fetch-site': 'same-site' }],
  ])('cannot begin or finish a sign-in from a page of %s', async (_what, headers) => {
    const browser = await serve()
    const back = await provider.logIn(await browser.begin())
    expect((await browser.ask('POST', '/sign-in', {}, headers)).status).toBe(403)
    const finished = await browser.ask('POST', '/sign-in/finish', { redirected: back }, headers)
    expect([finished.status, finished.headers.getSetCookie()]).toEqual([403, []])
  })

  it('cannot plant a session: a sign-in makes a new one', async () => {
    const browser = await serve()
    await browser.signIn()
    const first = [...browser.cookies]
    await browser.signIn()
    expect([...browser.cookies]).not.toEqual(first)
  })

  it('cannot give themselves roles: a session that somebody else has written is none', async () => {
    const browser = await serve()
    await browser.signIn()
    const [[name = '', value = ''] = []] = browser.cookies
    const [, ...signed] = value.split('.')
    const mine = `~${Buffer.from(JSON.stringify(['ann@example.com', ['view', 'secrets']])).toString('base64url')}`
    browser.cookies.set(name, [mine, ...signed].join('.'))
    expect(await browser.session).toBe(401)
    const text = [mine, ...signed.slice(0, -1)].join('.')
    const mac = createHmac('sha256', CLIENT_SECRET).update(text).digest('base64url')
    browser.cookies.set(name, `${text}.${mac}`)
    expect(await browser.session).toBe(401)
  })
})

describe('the cookies of a sign-in', () => {
  it('are read by the server alone, and not sent by other sites; over TLS no other host sets them', async () => {
    const plain = await serve()
    await plain.begin()
    expect(plain.set).toEqual([
      expect.stringMatching(/^sluice-sign-in-\d+=[\w-]+; Path=\/; Max-Age=600; HttpOnly; SameSite=Strict$/),
    ])
    expect(plain.set.join()).not.toMatch(/nonce|verifier/)
    const secure = await serve({ SLUICE_PUBLIC_URL: 'https://sluice.example.com' })
    const headers = { origin: 'https://sluice.example.com' }
    const answer = await secure.ask('POST', '/sign-in', {}, headers)
    const { url } = (await answer.json()) as { url: string }
    expect(new URL(url).searchParams.get('redirect_uri')).toBe(`https://sluice.example.com${CALLBACK}`)
    expect(secure.set).toEqual([expect.stringMatching(/^__Host-sluice-sign-in=.*SameSite=Strict; Secure$/)])
  })

  it('count for ten minutes', async () => {
    const clock = { now: Date.now() }
    const browser = await serve({}, () => clock.now)
    const back = await provider.logIn(await browser.begin())
    clock.now += 10 * 60_000
    await expectRefused(browser, await browser.finish(back), 'within the last ten minutes')
  })
})

describe('a sign-in that fails', () => {
  it('says that the person cancelled it', async () => {
    const browser = await serve()
    provider.refuse(true)
    await expectRefused(browser, await browser.signIn(), /cancelled.*End-User aborted/)
  })

  it('says that the provider does not answer, or is none, and goes on once it does', async () => {
    const gone = await serve({ SLUICE_OIDC_ISSUER: 'http://127.0.0.1:9' })
    const answer = await gone.ask('POST', '/sign-in', {})
    expect([answer.status, await answer.text()]).toEqual([
      503,
      expect.stringContaining('127.0.0.1:9 does not answer'),
    ])
    const other = await serve({ SLUICE_OIDC_ISSUER: `${provider.url}/other` })
    const wrong = await other.ask('POST', '/sign-in', {})
    expect([wrong.status, await wrong.text()]).toEqual([422, expect.stringContaining('SLUICE_OIDC_ISSUER')])
  })

  it('says that the provider refuses the client', async () => {
    const browser = await serve({ SLUICE_OIDC_CLIENT_SECRET: 'another-secret-of-the-client' })
    const answer = await browser.signIn()
    expect([answer.status, await answer.text()]).toEqual([
      422,
      expect.stringContaining('SLUICE_OIDC_CLIENT_SECRET'),
    ])
    expect(await browser.session).toBe(401)
  })
})

it('a server without a provider has tokens alone', async () => {
  const logger = createLogger({ name: 'test', level: 'silent' })
  const asked = new AskedRuns({ logger, cancel: new AbortController().signal })
  const access = readAccess({ SLUICE_TOKEN: 'write-token-0123' }, '0.0.0.0')
  const api = opened.use(
    await createApi({ access, openControl: () => Promise.resolve(control), asked, logger }),
  )
  const { port } = opened.use(await listen(api.listener))
  const browser = new Browser(`http://127.0.0.1:${port}`)
  expect(await (await browser.ask('GET', '/sign-in')).json()).toEqual({ token: true, provider: null })
  expect((await browser.ask('POST', '/sign-in', {})).status).toBe(409)
})
