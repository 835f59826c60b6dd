import { expect, it } from 'vitest'
import { knownSecrets } from './folder-secrets.ts'

const kept = { find: () => null }

it('a secret that is missing is told once, however often it is looked up', () => {
  const { lookUp, missing } = knownSecrets({}, kept)
  expect([lookUp('crm-token'), lookUp('crm-token'), lookUp('other')]).toEqual(['***', '***', '***'])
  expect(missing).toEqual([
    expect.stringContaining('SLUICE_SECRET_CRM_TOKEN'),
    expect.stringContaining('SLUICE_SECRET_OTHER'),
  ])
})
