import { describe, expect, it } from 'vitest'
import { readAccess } from './read-access.ts'

const WRITE = 'write-token-01234'
const ANN = 'a-token-of-anns-own'

function refusalOf(env: { readonly [name: string]: string }): string {
  try {
    return `it is taken as ${readAccess(env, '0.0.0.0').kind}`
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

describe('the tokens of a server', () => {
  it('have names and roles, one on each line or between semicolons', () => {
    const SLUICE_TOKENS = `# people\nann view,read,run ${ANN}\n\n bob  all  a-token-of-bobs-own ;ci run a-token-of-the-ci\n`
    const access = readAccess({ SLUICE_TOKEN: WRITE, SLUICE_TOKENS }, '0.0.0.0')
    const named = access.kind === 'tokens' ? (access.tokens.named ?? []) : []
    expect(named.map(({ name, value, roles }) => [name, value, roles.size])).toEqual([
      ['ann', ANN, 3],
      ['bob', 'a-token-of-bobs-own', 7],
      ['ci', 'a-token-of-the-ci', 1],
    ])
  })

  it.each([
    ['no roles', `ann ${ANN}`, 'expected a name, its roles and its token'],
    ['a fourth word', `ann all ${ANN} x`, 'expected a name, its roles and its token'],
    ['an unknown role', `ann view,admin ${ANN}`, 'unknown role: expected view, read'],
    ['a role of a prototype', `ann constructor ${ANN}`, 'expected view, read'],
    ['a short token', 'ann view short', 'fewer than 16 characters'],
    ['a name in capitals', `Ann view ${ANN}`, 'expected a name of small letters'],
    ['the name of another token', `operator view ${ANN}`, 'is taken'],
    ['a name twice', `ann view ${ANN};ann run ${ANN}x`, 'names `ann` twice'],
    ['a token twice', `ann view ${ANN};bob run ${ANN}`, 'have the same token'],
    ['the token that may do everything', `ann view ${WRITE}`, 'have the same token'],
  ])('are refused with %s, and the refusal repeats no token', (_what, SLUICE_TOKENS, why) => {
    const message = refusalOf({ SLUICE_TOKEN: WRITE, SLUICE_TOKENS })
    expect(message).toContain(why)
    for (const value of [ANN, WRITE, 'short']) expect(message).not.toContain(` ${value}`)
  })

  it('are enough without SLUICE_TOKEN, and without any only this machine is answered', () => {
    expect(readAccess({ SLUICE_TOKENS: `ann all ${ANN}` }, '0.0.0.0').kind).toBe('tokens')
    expect(readAccess({}, '127.0.0.1').kind).toBe('loopback')
    expect(() => readAccess({}, '0.0.0.0')).toThrow('SLUICE_TOKEN')
  })
})

describe('the OpenID provider of a server', () => {
  const WHOLE = {
    SLUICE_OIDC_ISSUER: 'https://login.example.com/realms/x',
    SLUICE_OIDC_CLIENT_ID: 'sluice',
    SLUICE_OIDC_CLIENT_SECRET: 'a-secret-of-the-client',
    SLUICE_OIDC_ROLES: '# people\nthe data team view,read\n\nleads all',
  }

  it('is enough without a token, and gives roles to values of a claim', () => {
    const access = readAccess(WHOLE, '0.0.0.0')
    const openId = access.kind === 'tokens' ? access.openId : null
    expect(openId).toMatchObject({ rolesClaim: 'groups', scope: 'openid profile email' })
    expect([...(openId?.rolesOf ?? [])].map(([value, roles]) => [value, roles.size])).toEqual([
      ['the data team', 2],
      ['leads', 7],
    ])
  })

  it('is asked for an ID token, whatever else it is asked for', () => {
    const access = readAccess({ ...WHOLE, SLUICE_OIDC_SCOPES: 'groups' }, '0.0.0.0')
    expect(access).toMatchObject({ openId: { scope: 'openid groups' } })
  })

  it.each([
    ['no client', { SLUICE_OIDC_CLIENT_ID: '' }, 'also wants SLUICE_OIDC_CLIENT_ID'],
    ['no secret', { SLUICE_OIDC_CLIENT_SECRET: '' }, 'also wants SLUICE_OIDC_CLIENT_SECRET'],
    ['no roles for anybody', { SLUICE_OIDC_ROLES: '' }, 'also wants SLUICE_OIDC_ROLES'],
    ['an unknown role', { SLUICE_OIDC_ROLES: 'leads view,admin' }, 'expected a value of the claim'],
    ['a value without roles', { SLUICE_OIDC_ROLES: 'leads' }, 'expected a value of the claim'],
    ['a value twice', { SLUICE_OIDC_ROLES: 'a view; a all' }, 'named twice'],
    ['an issuer without TLS', { SLUICE_OIDC_ISSUER: 'http://login.example.com' }, 'with https'],
    ['an issuer with a query', { SLUICE_OIDC_ISSUER: 'https://x.example/?a' }, 'without a query'],
    ['a short secret', { SLUICE_OIDC_CLIENT_SECRET: 'short' }, 'at least 16 characters'],
  ])('is refused with %s', (_what, wrong, why) => {
    const message = refusalOf({ ...WHOLE, ...wrong })
    expect(message).toContain(why)
    expect(message).not.toMatch(/a-secret-of|short/)
  })
})

describe('the address that browsers use', () => {
  it('is kept as an origin, and opens nothing without a token', () => {
    const env = { SLUICE_TOKEN: WRITE, SLUICE_PUBLIC_URL: 'https://Sluice.Example.com/below/' }
    expect(readAccess(env, '0.0.0.0')).toMatchObject({ publicOrigin: 'https://sluice.example.com' })
    const without = { SLUICE_PUBLIC_URL: 'https://x.example' }
    expect(readAccess(without, '127.0.0.1')).toEqual({ kind: 'loopback', host: '127.0.0.1' })
  })

  it.each(['sluice.example.com', 'https://x.example/?a', 'https://u@x.example', 'ftp://x.example'])(
    'is not %s',
    SLUICE_PUBLIC_URL => {
      expect(() => readAccess({ SLUICE_TOKEN: WRITE, SLUICE_PUBLIC_URL }, '0.0.0.0')).toThrow(
        'the address that browsers use',
      )
    },
  )
})
