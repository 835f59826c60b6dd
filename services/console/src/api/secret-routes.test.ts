/** The routes of the vault over real HTTP, with a real vault behind them. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { problem, secretsView } from '@sluice/contracts/api'
import { SluiceError } from '@sluice/contracts/errors'
import type { Catalog } from '@sluice/control/catalog'
import { ProjectControl } from '@sluice/control/project-control'
import { endOf } from '@sluice/flow/ends'
import { createLogger } from '@sluice/runtime/logger'
import { openTestLog } from '@sluice/testkit/test-log'
import { EncryptionKeys } from '@sluice/secrets/vault/encryption-keys'
import { environmentKeys } from '@sluice/secrets/vault/key-file'
import { Vault } from '@sluice/secrets/vault/vault'
import { AskedRuns } from '../asked-runs.ts'
import { createApi } from './create-api.ts'
import { listen } from '../../test/test-listener.ts'

const VALUE = 'hunter2-and-more'
const TOKENS = { write: 'write-token-0123', read: 'read-token-0123' }
const { signal } = new AbortController()
const logger = createLogger({ name: 'test', level: 'silent' })

/** The project is wrong, which does not matter to the vault. */
const wrong = (): Promise<never> => Promise.reject(new SluiceError('config', 'the project is wrong'))
const catalog: Catalog = { syncs: wrong, definition: wrong, resources: wrong, publish: wrong }

let opened: AsyncDisposableStack
let vault: Vault | null
let masked: string[]
let url: string

beforeAll(async () => {
  await using opening = new AsyncDisposableStack()
  const log = opening.use(await openTestLog({ partitions: 0 }))
  const keys = environmentKeys({ SLUICE_ENCRYPTION_KEY: EncryptionKeys.generate() })
  masked = []
  const onOpened = (value: string): void => void masked.push(value)
  const own = opening.use(await Vault.open({ ...log, keys, onOpened }, { signal }))
  vault = own
  const pipeline = {
    ...{ ...log, logger, newRunId: () => 'R', servicesElsewhere: true },
    get vault() {
      return vault
    },
    start: (_only: unknown, { drain }: { readonly drain: AbortSignal }) => endOf(drain),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  const open = () => Promise.resolve(pipeline)
  const control = new ProjectControl(catalog, {
    ...{
      hasHistory: true,
      open,
      assertSecrets: () => Promise.resolve(),
      openNextRun: wrong,
      openNoticeSenders: wrong,
      variableOf: (name: string) => (name === 'of-the-server' ? 'SLUICE_SECRET_OF_THE_SERVER' : null),
    },
  })
  const access = { kind: 'tokens', tokens: TOKENS } as const
  const asked = new AskedRuns({ logger, cancel: signal })
  const openControl = (): Promise<ProjectControl> => Promise.resolve(control)
  const api = opening.use(await createApi({ access, openControl, asked, logger, badLoginMs: 1 }))
  const { port } = opening.use(await listen(api.listener))
  url = `http://127.0.0.1:${port}/api/v1`
  opened = opening.move()
})
afterAll(() => opened.disposeAsync())

async function ask(method: string, path: string, body?: string, token = TOKENS.write) {
  const type = body === undefined ? {} : { 'content-type': 'application/json' }
  const headers = { authorization: `Bearer ${token}`, ...type }
  const response = await fetch(`${url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) })
  return { status: response.status, text: await response.text() }
}
const put = (name: string, of: object, token?: string) =>
  ask('PUT', `/secrets/${name}`, JSON.stringify(of), token)

it('keep a secret whose value is in no answer and is masked from then on', async () => {
  const set = await put('CRM_key', { value: VALUE, for: 'api.example.com' })
  expect([set.status, JSON.parse(set.text)]).toEqual([
    200,
    { name: 'crm-key', for: 'api.example.com', replaced: false },
  ])
  expect(masked).toContain(VALUE)
  expect(vault?.find('crm-key')?.value).toBe(VALUE)
  const list = await ask('GET', '/secrets', undefined, TOKENS.read)
  expect(secretsView.parse(JSON.parse(list.text)).secrets).toMatchObject([
    { kind: 'secret', name: 'crm-key', for: 'api.example.com', by: 'operator' },
  ])
  // `for: null` removes the grants, and an absent `for` keeps them.
  expect(JSON.parse((await put('crm-key', { value: 'another', for: null })).text)).toMatchObject({
    for: null,
  })
  const removed = await ask('DELETE', '/secrets/crm-key')
  expect([removed.status, JSON.parse(removed.text)]).toEqual([200, { removed: 'crm-key' }])
  expect((await ask('DELETE', '/secrets/crm-key?kind=login')).status).toBe(404)
  expect((await ask('POST', '/vault/reseal')).text).toBe('{"resealed":0}\n')
  expect(set.text + list.text).not.toContain(VALUE)
})

it('name the variable of the environment that goes before the secret', async () => {
  const set = async (name: string): Promise<unknown> =>
    JSON.parse((await put(name, { value: VALUE, for: 'api.example.com' })).text)
  expect(await set('Of_the_server')).toEqual({
    ...{ name: 'of-the-server', for: 'api.example.com', replaced: false },
    variable: 'SLUICE_SECRET_OF_THE_SERVER',
  })
  expect(await set('another')).not.toHaveProperty('variable')
  for (const name of ['of-the-server', 'another']) await ask('DELETE', `/secrets/${name}`)
})

it('let the token for reading see, and change nothing', async () => {
  for (const [method, path, body] of [
    ['PUT', '/secrets/a', `{"value":"${VALUE}"}`],
    ['DELETE', '/secrets/a', undefined],
    ['POST', '/vault/reseal', '{}'],
  ] as const)
    expect([method, (await ask(method, path, body, TOKENS.read)).status]).toEqual([method, 403])
  expect((await ask('PUT', '/secrets/a', `{"value":"${VALUE}"}`, 'nobody-has-this-token')).status).toBe(401)
  expect((await ask('GET', '/secrets', undefined, TOKENS.read)).text).toBe('{"secrets":[]}\n')
})

it.each([
  ['no JSON', 'a', VALUE, 400],
  ['half of JSON', 'a', `{"value":"${VALUE}`, 400],
  ['the value as all there is', 'a', `"${VALUE}"`, 400],
  ['the name of somebody else', 'a', `{"value":"${VALUE}","by":"ada"}`, 400],
  ['another field', 'a', `{"value":"${VALUE}","kind":"login"}`, 400],
  ['no value', 'a', '{}', 400],
  ['an empty value', 'a', '{"value":""}', 400],
  ['a number', 'a', '{"value":47110815}', 400],
  ['half a character', 'a', `{"value":"${VALUE}\\ud83d"}`, 400],
  ['wrong grants', 'a', `{"value":"${VALUE}","for":"https://x"}`, 422],
  ['a name that is none', 'a%2Fb', `{"value":"${VALUE}"}`, 422],
  ['a name of a file', 'key-file', `{"value":"${VALUE}"}`, 422],
  ['a value that is too long', 'a', `{"value":"${VALUE.repeat(700_000)}"}`, 422],
  ['a body that is too long', 'a', `{"value":"${VALUE.repeat(1_300_000)}"}`, 413],
])('refuse %s, and repeat nothing of it', async (_what, name, body, status) => {
  const answer = await ask('PUT', `/secrets/${name}`, body)
  expect([answer.status, problem.parse(JSON.parse(answer.text)).status]).toEqual([status, status])
  expect(answer.text).not.toMatch(/hunter2|47110815/)
  expect(vault?.list()).toEqual([])
})

it('refuse another method and another type of body', async () => {
  const { status, text } = await ask('POST', '/secrets/a', '{}')
  expect([status, problem.parse(JSON.parse(text)).detail]).toEqual([
    405,
    expect.stringContaining('PUT or DELETE'),
  ])
  const headers = { authorization: `Bearer ${TOKENS.write}`, 'content-type': 'text/plain' }
  const plain = (path: string) => fetch(url + path, { method: 'PUT', headers, body: VALUE })
  expect([(await plain('/secrets/a')).status, (await plain('/runs')).status]).toEqual([415, 405])
})

it('say that the key is missing', async () => {
  vault = null
  const answers = [
    await ask('GET', '/secrets'),
    await put('a', { value: VALUE }),
    await ask('DELETE', '/secrets/a'),
  ]
  for (const { status, text } of answers)
    expect([status, problem.parse(JSON.parse(text)).detail]).toEqual([
      422,
      expect.stringContaining('SLUICE_ENCRYPTION_KEY'),
    ])
})
