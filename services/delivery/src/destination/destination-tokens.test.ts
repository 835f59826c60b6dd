import { expect, it } from 'vitest'
import type { DestinationSpec } from '@sluice/contracts/resources'
import { createLocalTokenStore } from '@sluice/oauth/adapters/local'
import { boundSecrets } from '@sluice/secrets/bound-secrets'
import { sampleDefinition } from '@sluice/testkit/sample-records'
import { EncryptionKeys } from '@sluice/secrets/vault/encryption-keys'
import { environmentKeys } from '@sluice/secrets/vault/key-file'
import type { Vault } from '@sluice/secrets/vault/vault'
import { DestinationTokens } from './destination-tokens.ts'

it('a token that was asked for does not go to a site that Host names later, unless its secrets may', async () => {
  const env = { SLUICE_SECRET_ID: 'i', SLUICE_SECRET_ID_FOR: 'api.test, login.test, own.test' }
  let asked = 0
  await using tokens = new DestinationTokens({
    store: createLocalTokenStore(),
    keys: environmentKeys({ SLUICE_ENCRYPTION_KEY: EncryptionKeys.generate() }),
    vault: { caughtUp: () => Promise.resolve(), login: () => null } as unknown as Vault,
    sender: {
      send() {
        const body = `{"access_token":"token-${(asked += 1)}"}`
        const answer = { kind: 'answered', status: 200, headers: {}, body } as const
        return Promise.resolve({ ...answer, startedAt: 0, durationMs: 0 })
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
    secretFor: boundSecrets(env, 'refused'),
    profile: { allowPrivateNetwork: true },
    waitsForPeople: false,
  })
  const oauth2 = { grant: 'client-credentials', tokenUrl: 'https://login.test', clientId: '${secret:id}' }
  const tokenWith = async (headers: DestinationSpec['headers']): Promise<string | undefined> => {
    const { destination } = sampleDefinition({
      destination: { baseUrl: 'https://api.test', auth: { oauth2 }, headers },
    })
    const credentials = tokens.of(destination)
    const fault = await credentials?.ready({ signal: new AbortController().signal })
    return fault?.message ?? credentials?.current?.header
  }
  expect(await tokenWith({})).toBe('Bearer token-1')
  expect(await tokenWith({ host: 'evil.test' })).toContain('may not go to the destination at evil.test:443')
  expect(await tokenWith({ host: 'own.test' })).toBe('Bearer token-2')
  expect(await tokenWith({})).toBe('Bearer token-1')
  expect(asked).toBe(2)
})
