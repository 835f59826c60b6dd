import { describe, expect, it } from 'vitest'
import { body, destination, model, resourceName, sync } from './resources.ts'
import { duration, size } from './specs/plain-values.ts'

describe('durations', () => {
  it.each([
    ['250ms', 250],
    ['30s', 30_000],
    ['1.5s', 1500],
    ['15m', 900_000],
    ['1h', 3_600_000],
    ['7d', 604_800_000],
  ])('%s is %i ms', (text, ms) => {
    expect(duration.parse(text)).toBe(ms)
  })

  it.each(['', '5', '5 s', 's', '-1s', '1w', '0s', '0.1ms', '366d', '1S', 5, null])('%j is refused', text => {
    expect(duration.safeParse(text).success).toBe(false)
  })
})

describe('sizes', () => {
  it.each([
    ['1B', 1],
    ['64KB', 64_000],
    ['1.5MB', 1_500_000],
  ])('%s is %i bytes', (text, bytes) => {
    expect(size.parse(text)).toBe(bytes)
  })

  it.each(['', '5', '0B', '1GB', '1kb', '101MB', 5])('%j is refused', text => {
    expect(size.safeParse(text).success).toBe(false)
  })
})

describe('names', () => {
  it.each(['a', 'a-b', '0', 'a'.repeat(63)])('%s is one', name => {
    expect(resourceName.safeParse(name).success).toBe(true)
  })
  it.each(['', 'A', '-a', 'a-', 'a_b', 'a.b', 'a'.repeat(64), 'a\n'])('%j is refused', name => {
    expect(resourceName.safeParse(name).success).toBe(false)
  })
})

const trigger = { method: 'POST', path: '/x' }
const minimalSync = { kind: 'sync', name: 's', model: 'm', destination: 'd', triggers: { added: trigger } }

describe('a sync', () => {
  it('has the documented defaults', () => {
    expect(sync.parse(minimalSync)).toEqual({
      ...minimalSync,
      schedule: 'manual',
      firstRun: 'backfill',
      timeout: 30_000,
      partitions: 4,
    })
  })

  it('makes batches of 100 rows and 1 MB of an empty batch', () => {
    const parsed = sync.parse({ ...minimalSync, triggers: { added: { ...trigger, batch: {} } } })
    expect(parsed.triggers.added).toMatchObject({ batch: { size: 100, bytes: 1_000_000 } })
  })

  it('wants at least one trigger', () => {
    expect(sync.safeParse({ ...minimalSync, triggers: {} }).error?.issues).toMatchObject([
      { path: ['triggers'], message: 'at least one trigger: added, changed or removed' },
    ])
  })
})

describe('a model', () => {
  const base = { kind: 'model', name: 'm', source: 's', primaryKey: 'id' }
  it('wants sql or a table, or both for a table that is followed', () => {
    expect(model.safeParse({ ...base, sql: 'select 1' }).success).toBe(true)
    expect(model.safeParse({ ...base, table: 'a.b' }).success).toBe(true)
    expect(model.safeParse(base).success).toBe(false)
    expect(model.safeParse({ ...base, sql: 'select 1', table: 'a.b' }).success).toBe(true)
  })
  it('wants key columns, each once', () => {
    expect(model.safeParse({ ...base, sql: 'x', primaryKey: ['a', 'b'] }).success).toBe(true)
    expect(model.safeParse({ ...base, sql: 'x', primaryKey: [] }).success).toBe(false)
    expect(model.safeParse({ ...base, sql: 'x', primaryKey: ['a', 'a'] }).success).toBe(false)
    expect(model.safeParse({ ...base, sql: 'x', primaryKey: '' }).success).toBe(false)
  })
})

describe('a destination', () => {
  const base = { kind: 'destination', name: 'd' }
  it.each(['https://api.example.com', 'http://127.0.0.1:80/v1/', 'https://[::1]/x'])('takes %s', baseUrl => {
    expect(destination.safeParse({ ...base, baseUrl }).success).toBe(true)
  })
  it.each([
    'api.example.com',
    'ftp://x',
    'https://',
    'https://u:p@x',
    'https://x/?a=b',
    'https://x/#f',
    '/path',
    '',
  ])('refuses %j as a base URL', baseUrl => {
    expect(destination.safeParse({ ...base, baseUrl }).success).toBe(false)
  })
  it.each(['Content-Length', 'transfer-encoding', 'Connection', 'Expect', 'TE', 'Upgrade'])(
    'refuses the header %s, which is not its own',
    name => {
      const baseUrl = 'https://x'
      expect(destination.safeParse({ ...base, baseUrl, headers: { [name]: '1' } }).success).toBe(false)
      expect(destination.safeParse({ ...base, baseUrl, idempotencyHeader: name }).success).toBe(false)
      const added = { method: 'POST', path: '/', headers: { [name]: '1' } }
      expect(sync.safeParse({ ...minimalSync, triggers: { added } }).success).toBe(false)
      expect(destination.safeParse({ ...base, baseUrl, headers: { Host: 'x' } }).success).toBe(true)
    },
  )
  it('refuses headers that would smuggle others', () => {
    const baseUrl = 'https://x'
    expect(destination.safeParse({ ...base, baseUrl, headers: { 'X-A': 'a\r\nX-B: b' } }).success).toBe(false)
    expect(destination.safeParse({ ...base, baseUrl, headers: { 'X A': 'a' } }).success).toBe(false)
    expect(destination.safeParse({ ...base, baseUrl, headers: { 'X-A': 'ü' } }).success).toBe(true)
  })
})

describe('a body', () => {
  it.each([
    { json: '{}' },
    { jsonColumn: 'doc', wrap: '{{ items }}' },
    { fields: { a: 'x', b: ['y', { value: 3 }], c: { template: 't' }, d: { object: { value: 'z' } } } },
    { fields: { a: { value: { value: [null, true, 1.5, 'x'] } }, b: { value: 'x', template: 'y' } } },
    { fields: { a: { column: 'x', whenNull: 'omit' } }, whenNull: 'empty' },
    { xml: '<a/>' },
    { form: { a: '{{ id }}' } },
    { text: { contentType: 'text/csv', template: '' } },
  ])('may be %j', written => {
    expect(body.parse(written)).toEqual(written)
  })

  const wanted = 'a map with one of `json`, `jsonColumn`, `fields`, `xml`, `form`, `text`'
  it.each([
    [{}, wanted],
    ['{}', wanted],
    [{ wrap: '{{ items }}' }, wanted],
    [{ json: 'a', xml: 'b' }, `${wanted}, found json and xml`],
    [{ json: 3 }, 'a body of `json` as docs/reference/trigger.md has it'],
    [{ json: '{}', wrap: 'x' }, 'Unrecognized key: "wrap"'],
    [{ fields: { a: 'x' }, whenNull: 'skip' }, 'a body of `fields` as docs/reference/trigger.md has it'],
    [{ fields: { a: 3 } }, 'a body of `fields` as docs/reference/trigger.md has it'],
  ])('is not %j', (written, message) => {
    expect(body.safeParse(written).error?.issues).toMatchObject([{ path: [], message }])
  })
})
