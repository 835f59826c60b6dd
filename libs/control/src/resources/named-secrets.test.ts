import type { ResourceSpec } from '@sluice/contracts/resources'
import { expect, it } from 'vitest'
import { namedSecrets } from './named-secrets.ts'

const destination = (name: string, text: string): ResourceSpec => ({
  ...{ kind: 'destination', name, baseUrl: 'https://api.example.com', auth: { bearer: text } },
})
const SPECS = [
  destination('crm', '${secret:crm_Token}'),
  destination('crm-2', '${secret:crm-token} ${secret:crm-token} $${secret:escaped} ${secret:no/name}'),
  destination('mail', '${secret:mail-token}'),
  destination('shop', '${secret:absent}'),
]
const PLACES = {
  kept: [
    { kind: 'secret', name: 'crm-token' },
    { kind: 'secret', name: 'mail-token' },
    { kind: 'login', name: 'absent' },
  ],
  variableOf: (name: string) => (name === 'crm-token' ? 'SLUICE_SECRET_CRM_TOKEN' : null),
}
const user = (name: string) => ({ kind: 'destination', name })

it('lists each secret that resources name, its users, and the environment before the vault', () => {
  expect(namedSecrets(SPECS, { ...PLACES, knowsAll: true })).toEqual([
    { name: 'absent', from: 'missing', variable: null, usedBy: [user('shop')] },
    {
      ...{ name: 'crm-token', from: 'environment', variable: 'SLUICE_SECRET_CRM_TOKEN' },
      usedBy: [user('crm'), user('crm-2')],
    },
    { name: 'mail-token', from: 'vault', variable: null, usedBy: [user('mail')] },
  ])
})

it('does not say that a secret is missing where other processes may have it', () => {
  const [first] = namedSecrets(SPECS, { ...PLACES, knowsAll: false })
  expect(first).toMatchObject({ name: 'absent', from: 'unknown' })
})
