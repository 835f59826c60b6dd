import { describe, expect, it } from 'vitest'
import type { SecretUse } from '@sluice/contracts/secret-references'
import {
  boundSecrets,
  watchedSecrets,
  unboundNotice,
  unboundSecrets,
  type KeptSecrets,
} from './bound-secrets.ts'
import { parseGrants, type Grant } from './grants.ts'

const API: SecretUse = { as: 'destination', host: 'api.example.com', port: 443, tls: true }
const VALUE = 'v4lue-of-crm'

function reached(grants: string | undefined, use: Partial<SecretUse> = {}, ungranted = 'refused' as const) {
  const env = { SLUICE_SECRET_CRM: VALUE, SLUICE_SECRET_CRM_FOR: grants }
  try {
    return boundSecrets(env, ungranted)('crm', { ...API, ...use })
  } catch (error) {
    return String(error)
  }
}

describe('a secret goes to the host that its operator has named', () => {
  it.each<[grants: string, use: Partial<SecretUse>]>([
    ['api.example.com', {}],
    ['api.example.com', { as: 'source', port: 5432 }],
    ['API.Example.com.', {}],
    ['api.example.com', { host: 'API.example.COM' }],
    ['api.example.com:443', {}],
    ['other.test, api.example.com destination', {}],
    ['*.example.com', {}],
    ['*.example.com', { host: 'a.b.example.com' }],
    ['api.internal:8080 plain', { host: 'api.internal', port: 8080, tls: false }],
    ['db plain source', { as: 'source', host: 'db', port: 5432, tls: false }],
    ['127.0.0.1', { host: '127.0.0.1', port: 9999, tls: false }],
    ['localhost', { host: 'localhost', port: 1, tls: false }],
    ['[::1]:8080', { host: '::1', port: 8080, tls: false }],
    ['[0:0:0:0:0:0:0:1]', { host: '::1', port: 8080, tls: false }],
    ['bücher.test', { host: 'xn--bcher-kva.test' }],
  ])('%s', (grants, use) => {
    expect(reached(grants, use)).toBe(VALUE)
  })
})

describe('a secret does not go', () => {
  it.each<[what: string, grants: string, use: Partial<SecretUse>]>([
    ['to another host', 'api.example.com', { host: 'evil.test' }],
    ['to a host that begins alike', 'api.example.com', { host: 'api.example.com.evil.test' }],
    ['to a host that ends alike', 'example.com', { host: 'notexample.com' }],
    ['below a host that is granted itself', 'example.com', {}],
    ['to the domain of a wildcard itself', '*.example.com', { host: 'example.com' }],
    ['to a host that only ends like a wildcard', '*.example.com', { host: 'evilexample.com' }],
    ['to another port', 'api.example.com:8443', {}],
    ['to a source where a destination is granted', 'api.example.com destination', { as: 'source' }],
    ['to a destination where a source is granted', 'api.example.com source', {}],
    ['without TLS', 'api.example.com', { tls: false, port: 80 }],
    [
      'without TLS to an address that only looks like loopback',
      '127.0.0.1.evil.test',
      { host: '127.0.0.1.evil.test', tls: false },
    ],
    ['without TLS to a mapped address', '[::ffff:127.0.0.1]', { host: '::ffff:127.0.0.1', tls: false }],
    ['anywhere by an empty grant', '', {}],
    ['to what is no host', 'api.example.com', { host: 'api.example.com/x' }],
  ])('%s', (_what, grants, use) => {
    const said = reached(grants, use)
    expect(said).toContain('The secret `crm` may not go to the')
    expect(said).toContain('SLUICE_SECRET_CRM_FOR')
    expect(said).not.toContain(VALUE)
  })

  it('anywhere without a grant in a process that others give work to, and the error says what to set', () => {
    expect(reached(undefined)).toBe(
      'SluiceError: The secret `crm` may not go to the destination at api.example.com:443: it has no grant. To let it go there, set SLUICE_SECRET_CRM_FOR="api.example.com:443 destination" in the environment of the process that uses it.',
    )
    const use: SecretUse = { as: 'source', host: 'db', port: 5432, tls: false }
    const said = reached(undefined, use)
    expect(said).toContain('set SLUICE_SECRET_CRM_FOR="db:5432 source plain"')
    expect(reached('db:5432 source plain', use)).toBe(VALUE)
  })
})

it('an error about a grant that is missing comes after that of a secret that is missing', () => {
  expect(() => boundSecrets({}, 'refused')('crm', API)).toThrow(
    'set the environment variable SLUICE_SECRET_CRM',
  )
})

describe('a secret of the vault that may not go to a changed address', () => {
  const kept = (grants: readonly Grant[] | null): KeptSecrets => ({
    find: name => (name === 'crm' ? { value: VALUE, grants, version: 1, since: 0 } : null),
  })
  const refusedBy = (env: Record<string, string>, grants: readonly Grant[] | null): string => {
    try {
      return boundSecrets(env, 'refused', kept(grants))('crm', { ...API, host: 'b.example.com' })
    } catch (error) {
      return String(error)
    }
  }

  it('is to be set again for that address, by a command', () => {
    const grants = parseGrants('test', 'api.example.com')
    const said = refusedBy({}, grants)
    expect(said).toBe(
      'SluiceError: The secret `crm` may not go to the destination at b.example.com:443: the vault keeps it for other hosts. Set it again for this one: `sluice secret set crm --for "b.example.com:443 destination"`.',
    )
    expect(refusedBy({}, null)).toContain('the vault keeps it for no host. Set it again')
  })

  it('is granted by the environment where that has grants or the value', () => {
    const variable = 'add "b.example.com:443 destination" to SLUICE_SECRET_CRM_FOR'
    expect(refusedBy({ SLUICE_SECRET_CRM_FOR: 'api.example.com' }, null)).toContain(variable)
    expect(refusedBy({ SLUICE_SECRET_CRM: VALUE }, null)).toContain('set SLUICE_SECRET_CRM_FOR=')
  })
})

it('a secret without a grant goes anywhere in a process of one person, and with one only there', () => {
  const env = { SLUICE_SECRET_A: 'a', SLUICE_SECRET_B: 'b', SLUICE_SECRET_B_FOR: 'b.test' }
  const secretFor = boundSecrets(env, 'allowed')
  expect(secretFor('a', { ...API, tls: false })).toBe('a')
  expect(() => secretFor('b', API)).toThrow('add "api.example.com:443 destination" to SLUICE_SECRET_B_FOR')
  expect(unboundSecrets(['b', 'a', 'a'], env)).toEqual(['a'])
  expect(unboundNotice(['a', 'c'], env)).toBe(
    'The secrets `a`, `c` may go to any host that the project names. SLUICE_SECRET_A_FOR=HOST binds the first to a host.',
  )
  expect(unboundNotice(['kept'], env)).toBe(
    'The secret `kept` may go to any host that the project names. `sluice secret set kept --for HOST` sets it again, and binds it to a host.',
  )
})

it.each([
  '*',
  '*.com',
  '*.127.0.0.1',
  'a*.example.com',
  'https://api.example.com',
  'user@api.example.com',
  'api.example.com/path',
  'api.example.com:0',
  'api.example.com:99999',
  'api.example.com sorce',
  'api.example.com source destination',
  'api.example.com plain plain',
  'a.test,,b.test',
  '::1',
])('refuses %j as a grant when the process starts, and names the variable', text => {
  expect(() => boundSecrets({ SLUICE_SECRET_CRM_FOR: text }, 'refused')).toThrow(
    /^SLUICE_SECRET_CRM_FOR: ".*" is no grant: expected hosts/,
  )
})

it.each(['crm-for', 'CRM_FILE', 'crm_for'])(
  '%s is no secret, since its variable says something of another',
  name => {
    const env = { SLUICE_SECRET_CRM_FOR: 'api.test', SLUICE_SECRET_CRM_FILE: '/etc/hostname' }
    expect(() => boundSecrets(env, 'allowed')(name, API)).toThrow('is no name of a secret')
  },
)

it('a value that is used is reported, so that logs mask it, and a refused one is not', () => {
  const heard: string[] = []
  const env = { SLUICE_SECRET_CRM: VALUE, SLUICE_SECRET_CRM_FOR: 'api.example.com' }
  const secretFor = watchedSecrets(boundSecrets(env, 'refused'), value => void heard.push(value))
  expect(secretFor('crm', API)).toBe(VALUE)
  expect(() => secretFor('crm', { ...API, host: 'evil.test' })).toThrow('may not go')
  expect(heard).toEqual([VALUE])
})
