/** The list of tokens, over real HTTP: it is shown to those who have the role. */
import { tokensView } from '@sluice/contracts/api/operating'
import { SluiceError } from '@sluice/contracts/errors'
import type { Catalog } from '@sluice/control/catalog'
import { ProjectControl } from '@sluice/control/project-control'
import { ALL_ROLES, type Role } from '@sluice/control/roles'
import { createLogger } from '@sluice/runtime/logger'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { AskedRuns } from '../asked-runs.ts'
import type { Access } from './access.ts'
import { createApi } from './create-api.ts'
import { listen } from '../../test/test-listener.ts'

const VALUES = {
  operator: 'write-token-0123',
  reader: 'read-token-0123-x',
  ann: 'a-token-of-anns-own',
  bob: 'a-token-of-bobs-own',
}
const ACCESS: Access = {
  kind: 'tokens',
  tokens: {
    ...{ write: VALUES.operator, read: VALUES.reader },
    named: [
      { name: 'ann', value: VALUES.ann, roles: new Set<Role>(['secrets']) },
      { name: 'bob', value: VALUES.bob, roles: new Set<Role>(['view', 'read', 'edit', 'run']) },
    ],
  },
}

/** Nobody has made them on the server. */
const GIVEN = { madeAt: null, madeBy: null, endsAt: null }

// The tokens are the server's own, so no project is asked.
const nothing = (): Promise<never> => Promise.reject(new SluiceError('unreachable', 'there is nothing'))
const catalog: Catalog = { syncs: nothing, definition: nothing, resources: nothing, publish: nothing }
const control = new ProjectControl(catalog, {
  ...{
    hasHistory: false,
    open: nothing,
    assertSecrets: nothing,
    openNextRun: nothing,
    openNoticeSenders: nothing,
  },
})

let opened: AsyncDisposableStack
beforeEach(() => {
  opened = new AsyncDisposableStack()
})
afterEach(() => opened.disposeAsync())

async function serve(access: Access): Promise<(who?: keyof typeof VALUES) => Promise<Response>> {
  const logger = createLogger({ name: 'test', level: 'silent' })
  const asked = new AskedRuns({ logger, cancel: new AbortController().signal })
  const openControl = (): Promise<ProjectControl> => Promise.resolve(control)
  const api = opened.use(await createApi({ access, openControl, asked, logger, badLoginMs: 1 }))
  const { port } = opened.use(await listen(api.listener))
  return who =>
    fetch(`http://127.0.0.1:${port}/api/v1/tokens`, {
      headers: who === undefined ? {} : { authorization: `Bearer ${VALUES[who]}` },
    })
}

it('names each token, what it may do, where it stands and when it was used, and never shows one', async () => {
  const ask = await serve(ACCESS)
  const before = Date.now()
  const text = await (await ask('ann')).text()
  for (const value of Object.values(VALUES)) expect(text).not.toContain(value)
  const { tokens, since } = tokensView.parse(JSON.parse(text))
  expect(tokens).toEqual([
    { name: 'operator', roles: [...ALL_ROLES], from: 'SLUICE_TOKEN', lastUsedAt: null, ...GIVEN },
    { name: 'reader', roles: ['view', 'read'], from: 'SLUICE_READ_TOKEN', lastUsedAt: null, ...GIVEN },
    { name: 'ann', roles: ['secrets'], from: 'SLUICE_TOKENS', lastUsedAt: expect.any(String), ...GIVEN },
    {
      name: 'bob',
      roles: ['view', 'read', 'edit', 'run'],
      from: 'SLUICE_TOKENS',
      lastUsedAt: null,
      ...GIVEN,
    },
  ])
  expect(Date.parse(tokens[2]?.lastUsedAt ?? '')).toBeGreaterThanOrEqual(before)
  expect(Date.parse(since)).toBeLessThanOrEqual(before)
})

it('says nothing to those who may not set secrets', async () => {
  const ask = await serve(ACCESS)
  for (const who of ['reader', 'bob'] as const) {
    const answer = await ask(who)
    expect([who, answer.status]).toEqual([who, 403])
    expect(await answer.text()).not.toContain('ann')
  }
  expect((await ask()).status).toBe(401)
  const text = await (await ask('operator')).text()
  const used = tokensView.parse(JSON.parse(text)).tokens.filter(({ lastUsedAt }) => lastUsedAt !== null)
  expect(used.map(({ name }) => name)).toEqual(['operator', 'reader', 'bob'])
})

it('names none where none is wanted', async () => {
  const ask = await serve({ kind: 'loopback', host: '127.0.0.1' })
  expect(tokensView.parse(await (await ask()).json()).tokens).toEqual([])
})
