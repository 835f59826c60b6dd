/** Events as Debezium writes them, and rows of other programs. */
import { describe, expect, it } from 'vitest'
import { EntryDecoder } from './decode-entries.ts'
import type { Entry } from './entry.ts'

const KEY_SCHEMA = {
  type: 'struct',
  fields: [{ type: 'int32', optional: false, field: 'id' }],
  optional: false,
  name: 'shop.public.customers.Key',
}
const ROW_FIELDS = [
  { type: 'int32', optional: false, field: 'id' },
  { type: 'string', optional: true, field: 'name' },
  {
    type: 'bytes',
    optional: true,
    name: 'org.apache.kafka.connect.data.Decimal',
    version: 1,
    parameters: { scale: '2', 'connect.decimal.precision': '10' },
    field: 'price',
  },
  { type: 'int64', optional: true, name: 'io.debezium.time.MicroTimestamp', version: 1, field: 'seen' },
  { type: 'string', optional: true, name: 'io.debezium.time.ZonedTimestamp', version: 1, field: 'made' },
  { type: 'int32', optional: true, name: 'io.debezium.time.Date', version: 1, field: 'born' },
  { type: 'int64', optional: true, name: 'io.debezium.time.MicroTime', version: 1, field: 'wakes' },
  { type: 'string', optional: true, name: 'io.debezium.data.Json', version: 1, field: 'more' },
  { type: 'string', optional: true, name: 'io.debezium.data.Uuid', version: 1, field: 'token' },
  {
    type: 'struct',
    fields: [
      { type: 'int32', optional: false, field: 'scale' },
      { type: 'bytes', optional: false, field: 'value' },
    ],
    optional: true,
    name: 'io.debezium.data.VariableScaleDecimal',
    version: 1,
    field: 'any',
  },
  {
    type: 'bytes',
    optional: true,
    name: 'io.debezium.data.Bits',
    parameters: { length: '10' },
    field: 'bits',
  },
  { type: 'array', items: { type: 'string', optional: true }, optional: true, field: 'tags' },
]
const row = (field: string) => ({
  type: 'struct',
  fields: ROW_FIELDS,
  optional: true,
  name: 'shop.public.customers.Value',
  field,
})
const ENVELOPE = {
  type: 'struct',
  fields: [
    row('before'),
    row('after'),
    {
      type: 'struct',
      fields: [{ type: 'string', optional: false, field: 'version' }],
      optional: false,
      name: 'io.debezium.connector.postgresql.Source',
      field: 'source',
    },
    { type: 'string', optional: false, field: 'op' },
    { type: 'int64', optional: true, field: 'ts_ms' },
  ],
  optional: false,
  name: 'shop.public.customers.Envelope',
}
const SOURCE = {
  ...{
    version: '3.4.0.Final',
    connector: 'postgresql',
    name: 'shop',
    ts_ms: 1_700_000_000_123,
    snapshot: 'false',
  },
  ...{ db: 'shop', sequence: '["1","2"]', schema: 'public', table: 'customers', txId: 770, lsn: 37_054_448 },
}

function decode(
  key: unknown,
  value: unknown,
  options: { format?: 'debezium' | 'rows'; primaryKey?: readonly string[] } = {},
): Entry {
  const { format = 'debezium', primaryKey = [] } = options
  const decoder = new EntryDecoder({ format, schemas: null, primaryKey })
  const bytes = (part: unknown): Buffer =>
    Buffer.isBuffer(part) ? part : Buffer.from(typeof part === 'string' ? part : JSON.stringify(part))
  const record = {
    ...{ offset: 7, timestamp: 5, value: value === null ? null : bytes(value) },
    ...(key === null ? { key: Buffer.alloc(0), lacksKey: true } : { key: bytes(key) }),
  }
  return decoder.decode(record, 2)
}

function cellsIn(entry: Entry): { readonly [name: string]: string | null } {
  if (entry.kind !== 'row') throw new Error(`an entry of the kind ${entry.kind}`)
  const { names, texts } = entry.cells
  return Object.fromEntries(names.map((name, index) => [name, texts[index] ?? null]))
}

const change = (op: string, fields: object, more: object = {}) => ({
  ...more,
  op,
  source: SOURCE,
  ts_ms: 9,
  ...fields,
})
const KEY = { schema: KEY_SCHEMA, payload: { id: 1 } }

describe('a change in the envelope of Debezium', () => {
  it('is a row by its schema, with the time of its commit', () => {
    const after = {
      ...{ id: 1, name: 'Ann', price: 'AYag', seen: 1_700_000_000_123_456, made: '2024-02-29T11:34:56.5Z' },
      ...{
        born: 19_782,
        wakes: 45_296_500_000,
        more: '{"a": 1.10}',
        token: 'b8ae7cb8-8c4f-4dd5-8cbb-3f0d29ee5b2e',
      },
      ...{ any: { scale: 3, value: 'AeJA' }, bits: 'BQI=', tags: ['a', null] },
    }
    const value = { schema: ENVELOPE, payload: change('u', { before: null, after }) }
    const entry = decode(KEY, value)
    expect(entry).toMatchObject({
      at: { partition: 2, offset: 7 },
      committedAt: 1_700_000_000_123,
      key: { identity: '[["id"],["1"]]' },
      unknown: [],
    })
    expect(cellsIn(entry)).toEqual({
      ...{ id: '1', name: 'Ann', price: '1000.00', seen: '1700000000123456', made: '2024-02-29T11:34:56.5Z' },
      ...{
        born: '19782',
        wakes: '12:34:56.5',
        more: '{"a": 1.10}',
        token: 'b8ae7cb8-8c4f-4dd5-8cbb-3f0d29ee5b2e',
      },
      ...{ any: '123.456', bits: '1000000101', tags: '["a",null]' },
    })
  })

  it('has the same key with a schema, without, and beside the same schema again', () => {
    const bare = decode({ id: 1 }, change('c', { before: null, after: { id: 1, name: 'Ann' } }))
    expect(bare).toMatchObject({ kind: 'row', key: { identity: '[["id"],["1"]]' } })
    const decoder = new EntryDecoder({ format: 'debezium', schemas: null, primaryKey: [] })
    const names = ['Ann', 'Bob {"x":1}'].map((name, offset) => {
      const value = Buffer.from(
        JSON.stringify({ schema: ENVELOPE, payload: change('c', { after: { id: 1, name } }) }),
      )
      return cellsIn(
        decoder.decode({ offset, timestamp: 0, key: Buffer.from(JSON.stringify(KEY)), value }, 0),
      )['name']
    })
    expect(names).toEqual(['Ann', 'Bob {"x":1}'])
  })

  it('removes its row if it is a delete, or the tombstone behind it', () => {
    expect(decode(KEY, change('d', { before: { id: 1 }, after: null })).kind).toBe('removed')
    expect(decode(KEY, null).kind).toBe('removed')
  })

  it('tells a row without a key by its columns, before and after', () => {
    const options = { primaryKey: ['id'] }
    const added = decode(null, change('c', { after: { id: 1, name: 'Ann' } }), options)
    const removed = decode(null, change('d', { before: { id: 1, name: 'Ann' }, after: null }), options)
    expect(added).toMatchObject({ kind: 'row', key: { identity: '["row","l1"]' } })
    expect(removed).toMatchObject({ kind: 'removed', key: { identity: '["row","l1"]' } })
  })

  it('empties the table by a truncate, and is passed over if it is about no row', () => {
    expect(decode(null, change('t', { before: null, after: null })).kind).toBe('emptied')
    expect(decode(null, change('m', { message: { prefix: 'a' } })).kind).toBe('passed')
    expect(decode({ serverName: 'shop' }, { ts_ms: 1 }).kind).toBe('passed')
    expect(decode({ id: '5' }, { status: 'BEGIN', id: '5', event_count: null, ts_ms: 1 }).kind).toBe('passed')
    expect(
      decode({ databaseName: 'a' }, { source: {}, databaseName: 'a', ddl: 'x', tableChanges: [] }).kind,
    ).toBe('passed')
  })

  it('tells the columns whose values the database left out', () => {
    const hidden = '__debezium_unavailable_value'
    const after = {
      id: 1,
      name: hidden,
      tags: [hidden],
      more: 'X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==',
      price: null,
    }
    const entry = decode(KEY, { schema: ENVELOPE, payload: change('u', { after }) })
    expect(entry).toMatchObject({ kind: 'row', unknown: ['name', 'tags', 'more'] })
    expect(cellsIn(entry)).toMatchObject({ id: '1', name: null, tags: null })
  })

  it('reads a flattened row, and a flattened delete', () => {
    expect(cellsIn(decode(KEY, { id: 1, name: 'Ann', __deleted: 'false' }))).toEqual({
      id: 'l1',
      name: 'sAnn',
    })
    expect(decode(KEY, { id: 1, name: 'Ann', __deleted: 'true' }).kind).toBe('removed')
    expect(decode(KEY, { id: 1, __op: 'd' }).kind).toBe('removed')
    // Kafka's JSON converter makes these of a removed row, with a schema and without.
    expect(decode(KEY, { schema: row('after'), payload: null }).kind).toBe('removed')
    expect(decode(KEY, 'null').kind).toBe('removed')
    expect(decode(null, 'null').kind).toBe('passed')
  })

  it('reads a document of MongoDB', () => {
    const after =
      '{"_id": {"$oid": "5f"}, "n": {"$numberLong": "12345678901234567890"}, "big": 12345678901234567890}'
    const entry = decode({ id: '{"$oid": "5f"}' }, change('c', { after }))
    expect(cellsIn(entry)).toEqual({
      ...{
        _id: 'j{"$oid":"5f"}',
        n: 'j{"$numberLong":"12345678901234567890"}',
        big: 'n12345678901234567890',
      },
    })
  })

  it.each([
    ['no JSON', 'garbage', 'it is no JSON'],
    ['an unknown op', change('x', { after: {} }), 'its `op` is "x"'],
    ['an update without a row', change('u', { after: null }), 'no row'],
    ['a text', '"a"', 'neither a change of Debezium nor a row'],
    ['bytes', Buffer.from([0xff, 0xfe]), 'no UTF-8'],
    ['Avro without a registry', Buffer.from([0, 0, 0, 0, 1, 2]), '`registry`'],
    [
      'a value that is not of its schema',
      { schema: ENVELOPE, payload: change('c', { after: { id: 1, price: '!' } }) },
      'column "price" has !, which is no Base64',
    ],
  ])('is unreadable with its key if its value is %s', (_, value, why) => {
    expect(decode(KEY, value)).toMatchObject({
      kind: 'unreadable',
      why: expect.stringContaining(why),
      key: { identity: '[["id"],["1"]]' },
      hidesKey: false,
    })
  })

  it('hides its row if its key cannot be read', () => {
    expect(decode('garbage', change('c', { after: { id: 1 } }))).toMatchObject({
      kind: 'unreadable',
      hidesKey: true,
    })
  })
})
