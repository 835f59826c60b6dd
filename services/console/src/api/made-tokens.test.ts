/** Tokens that people make, over real HTTP, on two servers that share a real log. */
import { once } from 'node:events'
import { auditPage, tokenMadeView, tokensView } from '@sluice/contracts/api/operating'
import type { TokensView } from '@sluice/contracts/api/operating'
import { SluiceError } from '@sluice/contracts/errors'
import { Audit } from '@sluice/control/audit/read-audit'
import type { Catalog } from '@sluice/control/catalog'
import { ProjectControl } from '@sluice/control/project-control'
import { type Role } from '@sluice/control/roles'
import { createLogger } from '@sluice/runtime/logger'
import { EncryptionKeys } from '@sluice/secrets/vault/encryption-keys'
import { environmentKeys } from '@sluice/secrets/vault/key-file'
import { Vault } from '@sluice/secrets/vault/vault'
import { openTestLog, type TestLog } from '@sluice/testkit/test-log'
import { at, sharedTopics, textKey } from '@sluice/topics/topics'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MadeTokens } from '../access/made-tokens.ts'
import { AskedRuns } from '../asked-runs.ts'
import type { Access } from './access.ts'
import { createApi } from './create-api.ts'
import { listen } from '../../test/test-listener.ts'

const OPERATOR = 'write-token-0123'
const ANN = 'a-token-of-anns-own'
const { signal } = new AbortController()
const key = EncryptionKeys.generate()
const tokens = {
  ...{ write: OPERATOR, read: null },
  named: [{ name: 'ann', value: ANN, roles: new Set<Role>(['view', 'secrets']) }],
}
const ACCESS: Access = { kind: 'tokens', tokens, hasAuthors: true }
const nothing = (): Promise<never> => Promise.reject(new SluiceError('unreachable', 'there is nothing'))
const catalog: Catalog = { syncs: nothing, definition: nothing, resources: nothing, publish: nothing }
const parts = { open: nothing, assertSecrets: nothing, openNextRun: nothing, openNoticeSenders: nothing }
const control = new ProjectControl(catalog, { hasHistory: false, ...parts })
let following = Promise.withResolvers<AbortSignal>()
/** A run that never ends. */
control.follow = async function* (_run, ending) {
  following.resolve(ending)
  await once(ending, 'abort')
  ending.throwIfAborted()
  yield* []
}

interface Server {
  readonly vault: Vault
  ask(method: string, path: string, token: string, body?: object): Promise<Response>
  open(path: string, headers: { readonly [name: string]: string }): Promise<Response>
  make(name: string, of: object, token?: string): Promise<string>
  list(): Promise<TokensView['tokens']>
  readonly base: string
}

let opened: AsyncDisposableStack
let log: TestLog
beforeEach(async () => {
  opened = new AsyncDisposableStack()
  log = opened.use(await openTestLog({ partitions: 0 }))
})
afterEach(() => opened.disposeAsync())

async function serve({ access = ACCESS, now = Date.now, keyText = key } = {}): Promise<Server> {
  const keys = environmentKeys({ SLUICE_ENCRYPTION_KEY: keyText })
  const vault = opened.use(await Vault.open({ ...log, keys }, { signal }))
  const logger = createLogger({ name: 'test', level: 'silent' })
  const asked = new AskedRuns({ logger, cancel: new AbortController().signal })
  const openControl = (): Promise<ProjectControl> => Promise.resolve(control)
  const madeTokens = new MadeTokens(vault, now)
  const api = opened.use(
    await createApi({ access, openControl, asked, logger, badLoginMs: 1, madeTokens, now }),
  )
  const { port } = opened.use(await listen(api.listener))
  const base = `http://127.0.0.1:${port}`
  const ask: Server['ask'] = (method, path, token, body) =>
    fetch(`${base}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
      body: body === undefined ? null : JSON.stringify(body),
    })
  return {
    ...{ vault, base, ask },
    open: (path, headers) => fetch(`${base}/api/v1${path}`, { headers }),
    make: async (name, of, token = OPERATOR) => {
      const answer = await ask('POST', `/tokens/${name}`, token, of)
      const text = await answer.text()
      expect([answer.status, text]).toEqual([200, expect.any(String)])
      return tokenMadeView.parse(JSON.parse(text)).token
    },
    list: async () => tokensView.parse(await (await ask('GET', '/tokens', OPERATOR)).json()).tokens,
  }
}

const statusOf = async (server: Server, token: string): Promise<number> =>
  (await server.ask('GET', '/session', token)).status

describe('a token that somebody makes', () => {
  it('counts on every server with its roles, and on none from its revocation on', async () => {
    const [one, other] = [await serve(), await serve()]
    const token = await one.make('ci', { roles: ['view', 'run'] })
    await other.vault.caughtUp({ signal })
    const session = await other.ask('GET', '/session', token)
    expect(await session.json()).toMatchObject({ name: 'ci', by: 'token', roles: ['view', 'run'] })
    expect((await other.ask('GET', '/tokens', token)).status).toBe(403)
    expect((await other.ask('DELETE', '/tokens/ci', OPERATOR)).status).toBe(200)
    await one.vault.caughtUp({ signal })
    expect([await statusOf(one, token), await statusOf(other, token)]).toEqual([401, 401])
    expect((await one.list()).map(({ name }) => name)).toEqual(['operator', 'ann'])
  })

  it('is shown once: neither the list nor the topic has it', async () => {
    const server = await serve()
    const token = await server.make('ci', { roles: ['view'] })
    expect(token).toMatch(/^sluice_[\w-]{43}$/)
    expect(JSON.stringify(await server.list())).not.toContain(token)
    const records = await log.read(at(sharedTopics(log.prefix).secrets, 0))
    expect(records.length).toBeGreaterThan(0)
    for (const { record } of records) {
      const text = JSON.stringify(record, (_, value: unknown) =>
        value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value,
      )
      expect(text).not.toMatch(/sluice_|"hash"/)
    }
  })

  it('ends the sessions that were opened with it when it is revoked', async () => {
    const server = await serve()
    const token = await server.make('ci', { roles: ['view'] })
    const login = await server.ask('POST', '/session', token, { token })
    const cookie = (login.headers.getSetCookie()[0] ?? '').split(';')[0] ?? ''
    expect((await server.open('/session', { cookie })).status).toBe(200)
    await server.ask('DELETE', '/tokens/ci', OPERATOR)
    expect((await server.open('/session', { cookie })).status).toBe(401)
    // Another token of the same name does not bring them back.
    await server.make('ci', { roles: ['view'] })
    expect((await server.open('/session', { cookie })).status).toBe(401)
  })

  it('ends at its end, and so do its sessions', async () => {
    const clock = { now: Date.now() }
    const server = await serve({ now: () => clock.now })
    const endsAt = new Date(clock.now + 60_000).toISOString()
    const token = await server.make('ci', { roles: ['view'], endsAt })
    const login = await server.ask('POST', '/session', token, { token })
    expect(await login.json()).toMatchObject({ endsAt, idleUntil: endsAt })
    const cookie = (login.headers.getSetCookie()[0] ?? '').split(';')[0] ?? ''
    clock.now += 60_000
    expect(await statusOf(server, token)).toBe(401)
    expect((await server.open('/session', { cookie })).status).toBe(401)
    const past = { roles: ['view'], endsAt: new Date(clock.now).toISOString() }
    expect((await server.ask('POST', '/tokens/late', OPERATOR, past)).status).toBe(400)
  })

  it('stands in the audit with its maker, roles and end, and so does its revocation', async () => {
    const server = await serve()
    await server.make('ci', { roles: ['view'] }, ANN)
    expect(await server.list()).toContainEqual({
      ...{ name: 'ci', roles: ['view'], from: 'made', madeAt: expect.any(String), madeBy: 'ann' },
      ...{ endsAt: null, lastUsedAt: null },
    })
    await server.ask('DELETE', '/tokens/ci', OPERATOR)
    const endsAt = new Date(Date.now() + 60_000).toISOString()
    await server.make('nightly', { roles: ['view', 'run'], endsAt })
    const page = auditPage.parse(await new Audit(log).page({ limit: 10 }, signal))
    expect(page.entries).toMatchObject([
      { kind: 'token', name: 'nightly', action: 'set', token: { roles: ['view', 'run'], endsAt } },
      { kind: 'token', name: 'ci', action: 'remove', by: 'operator' },
      { kind: 'token', name: 'ci', action: 'set', by: 'ann', token: { roles: ['view'], endsAt: null } },
    ])
    expect(page.entries[1]).not.toHaveProperty('token')
  })
})

it.each([
  ['is revoked', false],
  ['is revoked, and another one of its name is made', true],
])('ends a stream once the token of its client %s', async (_what, another) => {
  const server = await serve()
  const token = await server.make('ci', { roles: ['view'] })
  following = Promise.withResolvers<AbortSignal>()
  const stream = server.ask('GET', '/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV/events', token)
  const ending = await following.promise
  expect(ending.aborted).toBe(false)
  await server.ask('DELETE', '/tokens/ci', OPERATOR)
  if (another) await server.make('ci', { roles: ['view'] })
  await stream
  expect(ending.reason).toMatchObject({ message: 'The token counts no longer.' })
})

describe('nobody', () => {
  it.each([
    ['without the role secrets', 'run', { roles: ['view'] }],
    ['with a role that they lack', 'secrets', { roles: ['view', 'operate'] }],
  ])('makes a token %s', async (_what, role, body) => {
    const named = [{ name: 'bob', value: 'a-token-of-bobs-own', roles: new Set(['view', role] as Role[]) }]
    const server = await serve({ access: { ...ACCESS, tokens: { ...tokens, named } } })
    const answer = await server.ask('POST', '/tokens/ci', 'a-token-of-bobs-own', body)
    expect(answer.status).toBe(403)
    expect((await server.list()).map(({ name }) => name)).toEqual(['operator', 'bob'])
  })

  it('lets others write where the settings know one author', async () => {
    const server = await serve({ access: { kind: 'tokens', tokens } })
    const answer = await server.ask('POST', '/tokens/ed', OPERATOR, { roles: ['view', 'edit'] })
    expect([answer.status, await answer.text()]).toEqual([403, expect.stringContaining('SLUICE_TOKENS')])
    const list = tokensView.parse(await (await server.ask('GET', '/tokens', OPERATOR)).json())
    expect(list.mayGive).toEqual(['view', 'read', 'run', 'approve', 'operate', 'secrets'])
  })

  it('writes with a token that was made before the settings knew one author', async () => {
    const server = await serve()
    const token = await server.make('ed', { roles: ['view', 'edit'] })
    const later = await serve({ access: { kind: 'tokens', tokens } })
    const session = await later.ask('GET', '/session', token)
    expect(await session.json()).toMatchObject({ name: 'ed', roles: ['view'] })
    expect(await later.list()).toContainEqual(expect.objectContaining({ name: 'ed', roles: ['view'] }))
  })

  it.each([
    ['a name of the environment', 'ann', 409],
    ['the name of the operator', 'operator', 409],
    ['a name with other letters', 'Bob.', 400],
    ['a name with a blank', 'b%20b', 400],
  ])('makes a token with %s', async (_what, name, status) => {
    const server = await serve()
    expect((await server.ask('POST', `/tokens/${name}`, OPERATOR, { roles: ['view'] })).status).toBe(status)
  })

  it('makes two tokens of one name, not even at once on two servers', async () => {
    const [one, other] = [await serve(), await serve()]
    const answers = await Promise.all(
      [one, other].map(server => server.ask('POST', '/tokens/ci', OPERATOR, { roles: ['view'] })),
    )
    expect(answers.map(({ status }) => status).toSorted((one, other) => one - other)).toEqual([200, 409])
  })

  it('revokes a token of the environment, and is told where it stands', async () => {
    const server = await serve()
    const answer = await server.ask('DELETE', '/tokens/ann', OPERATOR)
    expect([answer.status, await answer.text()]).toEqual([409, expect.stringContaining('SLUICE_TOKENS')])
    expect((await server.ask('DELETE', '/tokens/nobody', OPERATOR)).status).toBe(404)
    expect(await statusOf(server, ANN)).toBe(200)
  })

  it('makes a token by a write to the topic: a record without the key is none', async () => {
    const server = await serve()
    const stranger = await serve({ keyText: EncryptionKeys.generate() })
    const forged = await stranger.make('eve', { roles: ['view', 'secrets'] })
    await server.vault.caughtUp({ signal })
    expect(await statusOf(server, forged)).toBe(401)
    // The record of one name does not count for another, with more roles.
    const token = await server.make('ci', { roles: ['view'] })
    const target = at(sharedTopics(log.prefix).secrets, 0)
    const own = (await log.read(target)).findLast(
      ({ record }) => record?.name === 'sluice.SecretRecord' && record.value.kind === 'token',
    )
    if (own?.record?.name !== 'sluice.SecretRecord') throw new Error('there is no record')
    const value = log.io.encode('SecretRecord', { ...own.record.value, name: 'other' })
    await log.append(target, [{ key: textKey('token/other'), value }])
    await server.ask('DELETE', '/tokens/ci', OPERATOR)
    await server.vault.caughtUp({ signal })
    expect(await statusOf(server, token)).toBe(401)
  })
})

it('a server without tokens, or without a key, makes none and says why', async () => {
  const server = await serve({ access: { kind: 'loopback', host: '127.0.0.1' } })
  const answer = await server.open('/tokens', {})
  expect(tokensView.parse(await answer.json()).makesNone).toContain('SLUICE_TOKEN')
  const made = await fetch(`${server.base}/api/v1/tokens/ci`, {
    ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
    body: JSON.stringify({ roles: ['view'] }),
  })
  expect(made.status).toBe(409)
})
