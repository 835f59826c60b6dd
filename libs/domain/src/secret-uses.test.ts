import { expect, it } from 'vitest'
import { useByDestination, useBySource, usesByDestination } from './secret-uses.ts'

it.each([
  ['https://api.test', {}, { host: 'api.test', port: 443, tls: true }],
  ['http://api.test:8080/v1', {}, { host: 'api.test', port: 8080, tls: false }],
  ['https://[::1]/', {}, { host: '::1', port: 443, tls: true }],
  ['https://api.test', { tls: { insecure: true } }, { host: 'api.test', port: 443, tls: false }],
])('a destination %s uses its secrets at its own server, encrypted only if checked', (baseUrl, more, use) => {
  expect(useByDestination({ baseUrl, ...more })).toEqual({ as: 'destination', ...use })
})

it.each([
  [{}, []],
  [{ host: 'other.test' }, [['other.test', 8443]]],
  [{ HOST: ' other.test:444 ' }, [['other.test', 444]]],
  [{ Host: '[::1]:444' }, [['::1', 444]]],
  // No grant covers what is no host.
  [{ Host: '${secret:h}:444' }, [['${secret:h}:444', 8443]]],
])(
  'a destination with the headers %j uses its secrets at the site that Host names, too',
  (headers, sites) => {
    const own = { as: 'destination', host: 'api.test', port: 8443, tls: true }
    expect(usesByDestination({ baseUrl: 'https://api.test:8443/v1', headers })).toEqual([
      own,
      ...sites.map(([host, port]) => ({ ...own, host, port })),
    ])
  },
)

it('a source uses its secrets at its own server, encrypted only if checked', () => {
  const of = { type: 'postgres', url: 'postgres://u@db/d' } as const
  expect(useBySource(of)).toEqual({ as: 'source', host: 'db', port: 5432, tls: false })
  expect(useBySource({ ...of, tls: {} })?.tls).toBe(true)
  expect(useBySource({ ...of, tls: { insecure: true } })?.tls).toBe(false)
  expect(useBySource({ ...of, type: 'mysql', url: 'mysql://u@[::1]/d' })).toMatchObject({
    host: '::1',
    port: 3306,
  })
})

it('what is no server has no use', () => {
  expect([useByDestination({ baseUrl: 'ftp://x' }), useByDestination({ baseUrl: 'x' })]).toEqual([null, null])
  expect(useBySource({ type: 'mysql', url: 'mysql:' })).toBeNull()
})
