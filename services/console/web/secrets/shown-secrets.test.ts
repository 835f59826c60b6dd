import type { SecretsView } from '@sluice/contracts/api'
import { expect, it } from 'vitest'
import { shownSecrets } from './shown-secrets.ts'

const since = '2026-01-01T00:00:00.000Z'
const kept = (kind: 'secret' | 'login', name: string): SecretsView['secrets'][number] => ({
  ...{ kind, name, for: null, since, key: 'k' },
})
const by = (name: string) => [{ kind: 'destination' as const, name }]

it('shows each secret once, those first that are not set, with their origin and users', () => {
  const shown = shownSecrets({
    secrets: [kept('login', 'shop'), kept('secret', 'both'), kept('secret', 'spare')],
    named: [
      { name: 'absent', from: 'missing', variable: null, usedBy: by('crm') },
      { name: 'both', from: 'environment', variable: 'SLUICE_SECRET_BOTH', usedBy: by('crm') },
      { name: 'a-variable', from: 'environment', variable: 'SLUICE_SECRET_A_VARIABLE', usedBy: by('mail') },
    ],
  })
  expect(
    shown.map(({ name, from, usedBy, kept: own }) => [name, from, usedBy[0]?.name, own !== null]),
  ).toEqual([
    ['absent', 'missing', 'crm', false],
    ['a-variable', 'environment', 'mail', false],
    ['both', 'environment', 'crm', true],
    ['shop', 'vault', 'shop', true],
    ['spare', 'vault', undefined, true],
  ])
})

it('shows the vault alone for a server that names no users', () => {
  expect(shownSecrets({ secrets: [kept('secret', 'spare')] })).toMatchObject([
    { name: 'spare', from: 'vault' },
  ])
})
