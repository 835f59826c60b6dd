import { describe, expect, it } from 'vitest'
import { parseRedisAddress } from './redis-address.ts'

describe('the address of Redis', () => {
  it.each([
    ['redis://redis', { kind: 'single', node: { host: 'redis', port: 6379 }, database: 0, tls: false }],
    ['rediss://u:p%40ss@h:1/3', { kind: 'single', username: 'u', password: 'p@ss', database: 3, tls: true }],
    ['redis://:p:w@h/0', { username: null, password: 'p:w' }],
    ['redis://u:a/b@c@h:7', { username: 'u', password: 'a/b@c', node: { host: 'h', port: 7 } }],
    ['redis://[::1]:6380', { node: { host: '::1', port: 6380 } }],
    ['redis://h?family=6', { family: 6 }],
    [
      'redis+sentinel://u:p@a:1,b/mymaster/2?sentinelPassword=s%26s',
      {
        kind: 'sentinel',
        sentinels: [
          { host: 'a', port: 1 },
          { host: 'b', port: 26379 },
        ],
        master: 'mymaster',
        database: 2,
        password: 'p',
        sentinelUsername: null,
        sentinelPassword: 's&s',
      },
    ],
    [
      'rediss+cluster://a:7000,b:7001',
      {
        kind: 'cluster',
        tls: true,
        nodes: [
          { host: 'a', port: 7000 },
          { host: 'b', port: 7001 },
        ],
      },
    ],
  ])('is read from %s', (url, address) => {
    expect(parseRedisAddress(url)).toMatchObject(address)
  })

  it('is shown without users and passwords', () => {
    expect(parseRedisAddress('redis+sentinel://u:p@a:1,b:2/m/0?sentinelPassword=x').shown).toBe(
      'redis+sentinel://a:1,b:2/m/0',
    )
  })

  it.each([
    ['', 'redis://host:6379/0'],
    ['http://h', 'redis://host:6379/0'],
    ['redis://', 'host or host:port'],
    ['redis://h:0', 'host or host:port'],
    ['redis://h:70000', 'host or host:port'],
    ['redis://:s3cret', 'host or host:port'],
    ['redis://user:s3cret', 'host or host:port'],
    ['redis://a:1,b:2', 'several are for'],
    ['redis://h/s3cret', 'number of a database'],
    ['redis://h/0/1', 'at most the number'],
    ['redis://h?s=1', 'there is no option s'],
    ['redis://u:%zz@h', '%25'],
    ['redis+cluster://a:1,b:2/3', 'database 0 only'],
    ['redis+cluster://a,,b', 'host 2 of 3'],
    ['redis+sentinel://a:1,b:2', 'name of the master'],
    ['redis+sentinel://a/m/0/1', 'name of the master'],
  ])('%j is refused with a word on what is wanted, and without a password', (url, wanted) => {
    const refused = expect(() => parseRedisAddress(url))
    refused.toThrow(expect.objectContaining({ code: 'config', message: expect.stringContaining(wanted) }))
    refused.toThrow(expect.objectContaining({ message: expect.not.stringContaining('s3cret') }))
  })
})
