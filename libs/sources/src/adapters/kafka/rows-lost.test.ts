/** Ways in which a row of a topic could seem to be removed. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EntryDecoder } from './decode-entries.ts'
import { TopicTable } from './topic-table.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rows-lost-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

const unreadable = { error: new SluiceError('corrupt', 'its checksum is wrong'), isForeign: false }

interface Written {
  readonly partition?: number
  readonly offset: number
  readonly timestamp: number
  readonly key: unknown
  readonly value: unknown
}

async function read(
  records: readonly Written[],
  {
    partitions = 1,
    sql,
    primaryKey = ['id'],
  }: { partitions?: number; sql?: string; primaryKey?: readonly string[] } = {},
) {
  const model = {
    name: 'm',
    source: 's',
    topic: 't',
    format: 'debezium',
    ...(primaryKey.length === 0 ? {} : { primaryKey }),
    ...(sql === undefined ? {} : { sql }),
  } as unknown as ModelSpec
  const file = join(folder, 'rows.duckdb')
  const decoder = new EntryDecoder({ format: 'debezium', schemas: null, primaryKey })
  {
    await using table = await TopicTable.open({
      ...{ model, topic: 't', primaryKey, file, memoryBytes: 128_000_000 },
      ...{ entries: records.length, partitions, signal: new AbortController().signal },
    })
    for (const { partition = 0, offset, timestamp, key, value } of records) {
      const bytes = (part: unknown) => Buffer.from(typeof part === 'string' ? part : JSON.stringify(part))
      const record = {
        ...{ offset, timestamp, key: bytes(key), value: value === null ? null : bytes(value) },
        ...(key === null ? { unreadable } : {}),
      }
      table.add(decoder.decode(record, partition))
    }
    await table.finish({ sample: null })
  }
  const instance = await DuckDBInstance.create(file)
  const connection = await instance.connect()
  const reader = await connection.runAndReadAll('SELECT * FROM rows ORDER BY 1')
  const rows = reader.getRowObjectsJson()
  connection.closeSync()
  instance.closeSync()
  return rows
}

const event = (op: string, at: number, row: object) => ({
  ...{ op, source: { ts_ms: at, table: 'customers' }, ts_ms: at },
  ...(op === 'd' ? { before: row, after: null } : { before: null, after: row }),
})

describe('a row of a topic', () => {
  it('that is of a table called Message is read', () => {
    const decoder = new EntryDecoder({ format: 'debezium', schemas: null, primaryKey: [] })
    const fields = [{ type: 'int32', optional: false, field: 'id' }]
    const type = (name: string, more: object = {}) => ({
      type: 'struct',
      fields,
      optional: true,
      name,
      ...more,
    })
    const schema = {
      type: 'struct',
      name: 'shop.public.Message.Envelope',
      optional: false,
      fields: [
        type('shop.public.Message.Value', { field: 'before' }),
        type('shop.public.Message.Value', { field: 'after' }),
        {
          type: 'struct',
          fields: [],
          optional: false,
          name: 'io.debezium.connector.postgresql.Source',
          field: 'source',
        },
        { type: 'string', optional: false, field: 'op' },
      ],
    }
    const key = { schema: type('shop.public.Message.Key'), payload: { id: 1 } }
    const decode = (value: unknown) =>
      decoder.decode(
        {
          offset: 0,
          timestamp: 1,
          key: Buffer.from(JSON.stringify(key)),
          value: Buffer.from(JSON.stringify(value)),
        },
        0,
      ).kind
    expect(decode({ schema, payload: event('c', 5, { id: 1 }) })).toBe('row')
    expect(decode({ schema: type('shop.public.Message.Value'), payload: { id: 1 } })).toBe('row')
  })

  it('that comes back in another partition stays, though the tombstone before was written late', async () => {
    const key = { id: 1 }
    const rows = await read(
      [
        { offset: 0, timestamp: 9_000, key, value: event('c', 1_000, { id: 1, v: 'old' }) },
        { offset: 1, timestamp: 9_001, key, value: event('d', 2_000, { id: 1, v: 'old' }) },
        { offset: 2, timestamp: 9_001, key, value: null },
        { partition: 1, offset: 0, timestamp: 9_002, key, value: event('c', 2_500, { id: 1, v: 'new' }) },
      ],
      { partitions: 2 },
    )
    expect(rows).toHaveLength(1)
  })

  it('that a batch behind a truncate hides is not taken for one that the truncate removed', async () => {
    const records: Written[] = [
      { offset: 0, timestamp: 1, key: { id: 1 }, value: event('c', 100, { id: 1, v: 'old' }) },
      { offset: 1, timestamp: 2, key: { none: 1 }, value: { op: 't', source: { ts_ms: 200 }, ts_ms: 200 } },
      { offset: 2, timestamp: 3, key: { id: 2 }, value: event('c', 201, { id: 2, v: 'new' }) },
      { partition: 1, offset: 0, timestamp: 0, key: null, value: null },
    ]
    await expect(read(records, { partitions: 2 })).rejects.toThrow(/may be about any row/)
  })

  it('keeps a value that only a record of an earlier schema tells', async () => {
    const text = (field: string) => ({ type: 'string', optional: true, field })
    const price = {
      ...{ type: 'bytes', name: 'org.apache.kafka.connect.data.Decimal', field: 'price' },
      parameters: { scale: '2', 'connect.decimal.precision': '10' },
    }
    const written = (offset: number, fields: readonly object[], after: object): Written => {
      const row = {
        type: 'struct',
        field: 'after',
        fields: [{ type: 'int32', field: 'id' }, price, ...fields],
      }
      const value = {
        schema: { type: 'struct', fields: [row] },
        payload: event('u', offset, { ...after, price: 'MDk=' }),
      }
      return { offset, timestamp: offset, key: { id: 1 }, value }
    }
    const rows = await read([
      written(1, [text('big')], { id: 1, big: 'told' }),
      written(2, [text('big'), text('extra')], { id: 1, big: '__debezium_unavailable_value', extra: 'new' }),
    ])
    expect(rows).toMatchObject([{ id: 1, big: 'told', extra: 'new' }])
  })

  it('whose key cannot be read says so, also if no key can be read', async () => {
    const records: Written[] = [{ offset: 0, timestamp: 1, key: '\u0002', value: event('c', 1, { id: 1 }) }]
    await expect(read(records, { primaryKey: [] })).rejects.toThrow(/its key cannot be read: it is no JSON/)
  })

  it('keeps its key when it is invalid, also if the SQL makes the key of other columns', async () => {
    const sql = `SELECT tenant || '-' || id AS id, name FROM changes`
    const records: Written[] = [
      { offset: 0, timestamp: 1, key: { id: 1 }, value: event('c', 1, { id: 1, tenant: 'a', name: 'x' }) },
      { offset: 1, timestamp: 2, key: { id: 2 }, value: event('c', 2, { id: 2, tenant: 'a', name: 'y' }) },
      { offset: 2, timestamp: 3, key: { id: 1 }, value: 'broken' },
    ]
    const keys = await read(records, { sql }).then(
      rows => rows.map(({ id }) => id),
      () => 'refused',
    )
    expect(['refused', ['a-1', 'a-2']]).toContainEqual(keys)
  })
})
