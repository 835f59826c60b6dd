/** The beginning of a login: what the URL carries that a person opens. */
import { expect, it } from 'vitest'
import type { DestinationSpec } from '@sluice/contracts/resources'
import { boundSecrets } from '@sluice/secrets/bound-secrets'
import { openTestLog } from '@sluice/testkit/test-log'
import { environmentKeys } from '@sluice/secrets/vault/key-file'
import { Vault } from '@sluice/secrets/vault/vault'
import { beginLogin } from './log-in.ts'

const { signal } = new AbortController()
const oauth2 = {
  grant: 'authorization-code',
  tokenUrl: 'https://login.example.com/token',
  authorizationUrl: 'https://login.example.com/authorize',
  clientId: 'id',
} as const
const ENV = {
  SLUICE_SECRET_CRM: 'the-value',
  SLUICE_SECRET_CRM_FOR: 'api.example.com, login.example.com',
}

async function begun(own: Partial<Extract<DestinationSpec['auth'], { oauth2: unknown }>['oauth2']>) {
  await using log = await openTestLog({ partitions: 0 })
  await using vault = await Vault.open({ ...log, keys: environmentKeys({}) }, { signal })
  const auth = { oauth2: { ...oauth2, ...own } }
  return await beginLogin(
    { kind: 'destination', name: 'crm', baseUrl: 'https://api.example.com', auth },
    {
      redirectUri: 'http://127.0.0.1/callback',
      secretFor: boundSecrets(ENV, 'refused'),
      sender: {
        send: () => Promise.reject(new Error('unused')),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      },
      vault,
    },
  )
}
const urlOf = async (own: Parameters<typeof begun>[0]): Promise<string> => (await begun(own)).url

it('says before it begins where the code goes, and where the login may go', async () => {
  const { codeTo, grants } = await begun({ tokenUrl: 'https://token.example.com:8443/' })
  expect(codeTo).toBe('token.example.com:8443')
  expect(grants).toBe('api.example.com:443 destination, token.example.com:8443 destination')
})

it.each(['tokenUrl', 'refreshUrl', 'authorizationUrl'])(
  'is no login where its %s is not encrypted, but on this machine',
  async field => {
    await expect(begun({ [field]: 'http://evil.example.com/' })).rejects.toThrow(
      `Destination \`crm\`: the \`${field}\` of a login has to be https://, or to lead to this machine, and leads to evil.example.com:80.`,
    )
    expect(await urlOf({ [field]: 'http://127.0.0.1:9/' })).toContain('code_challenge')
  },
)

it.each([
  { authorizationParams: { hint: '${secret:crm}' } },
  { clientId: '${secret:crm}' },
  { scopes: ['a', '${secret:crm}'] },
  { audience: '${secret:crm}' },
])('a secret goes into it where it may go to its server, and to no other: %j', async own => {
  expect(await urlOf(own)).toContain('the-value')
  const authorizationUrl = 'https://evil.example.com/authorize'
  await expect(urlOf({ ...own, authorizationUrl })).rejects.toThrow(
    'The secret `crm` may not go to the destination at evil.example.com:443',
  )
})
