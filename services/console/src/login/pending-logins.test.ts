import { expect, it } from 'vitest'
import type { DestinationSpec } from '@sluice/contracts/resources'
import type { Catalog } from '@sluice/control/catalog'
import { PendingLogins, type BegunLogin } from './pending-logins.ts'

const { signal } = new AbortController()
const ORIGIN = 'https://sluice.example.com'
const oauth2 = {
  grant: 'authorization-code',
  tokenUrl: 'https://login.example.com/token',
  authorizationUrl: 'https://login.example.com/authorize',
  clientId: 'id',
} as const
const CRM: DestinationSpec = {
  ...{ kind: 'destination', name: 'crm', baseUrl: 'https://api.example.com' },
  auth: { oauth2 },
}

function open(destination = CRM) {
  const catalog: Pick<Catalog, 'resources'> = { resources: () => Promise.resolve([destination]) }
  let [began, closed, now] = [0, 0, 0]
  const begun = (redirectUri: string): BegunLogin => ({
    url: `https://login.example.com/authorize?state=s${(began += 1)}&redirect_uri=${redirectUri}`,
    codeTo: 'login.example.com:443',
    grants: 'api.example.com',
    grantOf: url => ({ kind: 'code', code: url.searchParams.get('code') ?? '', verifier: '', redirectUri }),
    finish: (_grant, { by }) => Promise.resolve({ grants: `api.example.com of ${by}`, renews: true }),
    [Symbol.asyncDispose]: () => Promise.resolve(void (closed += 1)),
  })
  const logins = new PendingLogins({
    catalog: catalog as Catalog,
    begin: (_destination, redirectUri) => Promise.resolve(begun(redirectUri)),
    now: () => now,
  })
  return { logins, closed: () => closed, pass: (ms: number) => void (now += ms) }
}

const back = (state: string): URL => new URL(`${ORIGIN}/login/callback?code=c&state=${state}`)
const ann = { origin: ORIGIN, holder: 'session ann', by: 'ann' }

it('finishes a login once, for the one who has begun it', async () => {
  const { logins, closed } = open()
  expect(await logins.begin('crm', ann, signal)).toEqual({
    url: expect.stringContaining(`redirect_uri=${ORIGIN}/login/callback`),
    ...{ codeTo: 'login.example.com:443', for: 'api.example.com' },
  })
  await expect(logins.finish(back('s1'), { ...ann, holder: 'session eve' }, signal)).rejects.toMatchObject({
    code: 'config',
  })
  await expect(logins.finish(back('s2'), ann, signal)).rejects.toMatchObject({ code: 'config' })
  const finished = { destination: 'crm', for: 'api.example.com of ann', renews: true }
  expect(await logins.finish(back('s1'), ann, signal)).toEqual(finished)
  expect(closed()).toBe(1)
  await expect(logins.finish(back('s1'), ann, signal)).rejects.toThrow('No such login was begun')
})

it('forgets logins after ten minutes, and the oldest of very many', async () => {
  const { logins, closed, pass } = open()
  await logins.begin('crm', ann, signal)
  pass(10 * 60_000)
  await expect(logins.finish(back('s1'), ann, signal)).rejects.toThrow('begin it again')
  for (let count = 0; count < 101; count += 1) await logins.begin('crm', ann, signal)
  await expect(logins.finish(back('s2'), ann, signal)).rejects.toThrow('begin it again')
  expect(await logins.finish(back('s102'), ann, signal)).toMatchObject({ destination: 'crm' })
  await logins[Symbol.asyncDispose]()
  expect(closed()).toBe(102)
})

it('begins none that would come back elsewhere, and none to an unknown destination', async () => {
  const elsewhere = { redirect_uri: 'http://127.0.0.1:9999/callback' }
  const { logins } = open({ ...CRM, auth: { oauth2: { ...oauth2, authorizationParams: elsewhere } } })
  await expect(logins.begin('crm', ann, signal)).rejects.toThrow('sluice auth crm')
  await expect(logins.begin('other', ann, signal)).rejects.toMatchObject({ code: 'not-found' })
})
