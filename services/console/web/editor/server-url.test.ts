import { describe, expect, it } from 'vitest'
import { grantFor, serverParts, serverUrl, withHost } from './server-url.ts'

const crm = { host: 'db.example.com', port: '5433', database: 'crm', user: 'reader' }
const nothing = { host: '', port: '', database: '', user: '' }

describe('the URL of a database server', () => {
  it('comes back as its parts, also those of a URL that is still being typed', () => {
    for (const parts of [
      crm,
      { ...crm, port: '' },
      { ...crm, host: '2001:db8::1' },
      { ...crm, user: 'a b@c/d', database: 'ä/ö' },
      { ...crm, user: '${secret:user}' },
      { ...nothing, port: '5433' },
      { ...nothing, database: 'crm' },
      { ...nothing, user: 'reader' },
      nothing,
    ])
      expect(serverParts(serverUrl('postgres', parts))).toEqual(parts)
    expect(serverUrl('mysql', crm)).toBe('mysql://reader@db.example.com:5433/crm')
  })

  it('stays one text if the parts cannot express it', () => {
    for (const url of [
      'postgres://reader:pw@db/crm',
      'postgres://reader@db/crm?ssl=1',
      'jdbc:mysql://db/crm',
    ])
      expect(serverParts(url)).toBeNull()
  })

  it('can be pasted as the host, and leaves its password out', () => {
    expect(withHost(nothing, 'postgresql://reader:pw@db.example.com:5433/crm?sslmode=require')).toEqual(crm)
    expect(withHost(crm, 'other:6000')).toEqual({ ...crm, host: 'other', port: '6000' })
    expect(withHost(crm, ' ::1 ')).toEqual({ ...crm, host: '::1' })
  })

  it('grants a password to this server, and without TLS only if that is said', () => {
    expect(grantFor(crm, true)).toBe('db.example.com source')
    expect(grantFor(crm, false)).toBe('db.example.com source plain')
    expect(grantFor({ ...crm, host: '127.0.0.1' }, false)).toBe('127.0.0.1 source')
    expect(grantFor({ ...crm, host: '::1' }, false)).toBe('[::1] source')
  })
})
