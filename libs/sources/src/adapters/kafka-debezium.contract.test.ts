/** Changes of Debezium in a topic of a real Kafka, in JSON and in Avro by a real schema registry. */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import { typeForSchema } from '@sluice/schema-codec/adapters/avsc'
import { EXACT_LONG } from '@sluice/schema-codec/adapters/number-types'
import type { KafkaSourceSpec, ModelSpec } from '@sluice/contracts/resources'
import { WHY_INVALID } from '@sluice/contracts/values'
import { errorOf } from '../../test/contract.ts'
import { queryFile } from '../../test/query-file.ts'
import { TopicProducer, type WrittenRecord } from '../../test/topic-producer.ts'
import { createKafkaSource } from './kafka.ts'

const given = inject('kafkaBrokers')
const registry = inject('registryUrl')
const brokers = given ?? ''
const { signal } = new AbortController()
const UNAVAILABLE = '__debezium_unavailable_value'

function sourceOf(fields: Partial<KafkaSourceSpec> = {}) {
  const spec: KafkaSourceSpec = { kind: 'source', name: 'cdc', type: 'kafka', brokers: [brokers], ...fields }
  return createKafkaSource({ spec, secretFor: () => 'none', privateNetworks: 'allowed' })
}

let tsMs = 1_700_000_000_000
const sourceBlock = (snapshot = 'false') => ({
  ...{ version: '3.4.0.Final', connector: 'postgresql', name: 'shop', ts_ms: (tsMs += 1), snapshot },
  ...{ db: 'shop', schema: 'public', table: 'customers', txId: 770, lsn: 37_054_448 },
})
const change = (op: string, before: object | null, after: object | null, snapshot?: string) => ({
  ...{ before, after, op, source: sourceBlock(snapshot), ts_ms: tsMs },
})

describe.skipIf(given === null)('a topic of Debezium', () => {
  let folder = ''
  const file = () => join(folder, 'extract.duckdb')
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-topic-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const modelOf = (topic: string, fields: Partial<ModelSpec> = {}): ModelSpec => ({
    ...{ kind: 'model', name: 'customers', source: 'cdc', topic, format: 'debezium' },
    ...fields,
  })
  const read = async (
    topic: string,
    fields: Partial<ModelSpec> = {},
    source: Partial<KafkaSourceSpec> = {},
  ) => {
    await using opened = sourceOf(source)
    const extract = await opened.extract(modelOf(topic, fields), { file: file(), signal })
    const rows = await queryFile(file(), 'FROM rows ORDER BY ALL')
    rmSync(file(), { force: true })
    return { ...extract, rows }
  }
  const readAll = async (...records: readonly WrittenRecord[]) => {
    await using topic = await TopicProducer.make(brokers)
    await topic.write(...records)
    return await read(topic.topic)
  }

  it('has the rows of the table after inserts, updates, deletes and a change of a key', async () => {
    const { rows, primaryKey } = await readAll(
      { key: { id: 1 }, value: change('r', null, { id: 1, name: 'Ann' }, 'first') },
      { key: { id: 2 }, value: change('r', null, { id: 2, name: 'Bob' }, 'last') },
      { key: { id: 3 }, value: change('c', null, { id: 3, name: 'Cy' }) },
      { key: { id: 1 }, value: change('u', null, { id: 1, name: 'Anna' }) },
      { key: { id: 2 }, value: change('d', { id: 2, name: null }, null) },
      { key: { id: 2 }, value: null },
      { key: { id: 3 }, value: change('d', { id: 3, name: null }, null) },
      { key: { id: 3 }, value: null },
      { key: { id: 30 }, value: change('c', null, { id: 30, name: 'Cy' }) },
    )
    expect(rows).toEqual([
      { id: '1', name: 'Anna' },
      { id: '30', name: 'Cy' },
    ])
    expect(primaryKey).toEqual(['id'])
  })

  it('is empty before a truncate', async () => {
    const { rows } = await readAll(
      { key: { id: 1 }, value: change('c', null, { id: 1, name: 'Ann' }) },
      { key: null, value: change('t', null, null) },
      { key: { id: 2 }, value: change('c', null, { id: 2, name: 'Bob' }) },
    )
    expect(rows).toEqual([{ id: '2', name: 'Bob' }])
  })

  it('keeps the last value that the database told, and else says what to set', async () => {
    const { rows } = await readAll(
      { key: { id: 1 }, value: change('c', null, { id: 1, n: 1, note: 'long', more: 'x' }) },
      { key: { id: 1 }, value: change('u', null, { id: 1, n: 2, note: UNAVAILABLE, more: 'y' }) },
      { key: { id: 1 }, value: change('u', null, { id: 1, n: 3, note: UNAVAILABLE, more: UNAVAILABLE }) },
      { key: { id: 2 }, value: change('u', null, { id: 2, n: 1, note: UNAVAILABLE, more: 'x' }) },
      { key: { id: 3 }, value: change('c', null, { id: 3, n: 1, note: 'of before', more: 'x' }) },
      { key: { id: 3 }, value: change('d', { id: 3 }, null) },
      { key: { id: 3 }, value: change('u', null, { id: 3, n: 2, note: UNAVAILABLE, more: 'x' }) },
    )
    expect(rows).toEqual([
      { id: '1', n: '3', note: 'long', more: 'y', [WHY_INVALID]: null },
      expect.objectContaining({
        id: '2',
        note: null,
        [WHY_INVALID]: expect.stringContaining('REPLICA IDENTITY FULL'),
      }),
      expect.objectContaining({ id: '3', note: null, [WHY_INVALID]: expect.stringContaining('offset 6') }),
    ])
  })

  it('is read behind a loss if a whole snapshot is there, and else not', async () => {
    await using topic = await TopicProducer.make(brokers)
    await topic.write(
      { key: { id: 1 }, value: change('c', null, { id: 1 }) },
      { key: { id: 2 }, value: change('c', null, { id: 2 }) },
      { key: { id: 1 }, value: change('r', null, { id: 1 }, 'first') },
      { key: { id: 2 }, value: change('r', null, { id: 2 }, 'true') },
    )
    await topic.dropBefore(1)
    await using source = sourceOf()
    const error = await errorOf(source.extract(modelOf(topic.topic), { file: file(), signal }))
    expect(error.message).toContain('does not reach back to its beginning')
    await topic.write({ key: { id: 3 }, value: change('r', null, { id: 3 }, 'last') })
    expect((await read(topic.topic)).rows).toEqual([{ id: '1' }, { id: '2' }, { id: '3' }])
    await topic.dropBefore(3)
    const within = await errorOf(source.extract(modelOf(topic.topic), { file: file(), signal }))
    expect(within.message).toContain('does not reach back to its beginning')
  })

  it.skipIf(registry === null)(
    'has the types of its schema in Avro, also as the schema changes',
    async () => {
      await using topic = await TopicProducer.make(brokers)
      const named = { registry: registry ?? '' }
      const key = await schemaOf(`${topic.topic}-key`, {
        ...{ type: 'record', name: 'Key', namespace: 'shop.public.customers' },
        fields: [{ name: 'id', type: 'long' }],
      })
      const valueOf = (more: readonly object[]) =>
        schemaOf(`${topic.topic}-value`, envelopeSchema([...FIELDS, ...more]))
      const first = await valueOf([])
      const row = {
        ...{ id: 9_007_199_254_740_993n, name: 'Ann', price: Buffer.from([0x01, 0x86, 0xa0]), born: 19_782 },
        ...{ seen: 1_700_000_000_123_456, made: '2024-02-29T11:34:56.5Z', more: '{"a": 1.10}' },
        ...{
          token: 'b8ae7cb8-8c4f-4dd5-8cbb-3f0d29ee5b2e',
          raw: Buffer.from([0xca, 0xfe]),
          tags: ['a', null],
        },
      }
      await topic.write({ key: key({ id: row.id }), value: first(change('c', null, row)) })
      const { rows, columns, primaryKey } = await read(topic.topic, {}, named)
      expect(primaryKey).toEqual(['id'])
      expect(rows).toEqual([
        {
          ...{ id: '9007199254740993', name: 'Ann', price: '1000.00', born: '2024-02-29' },
          ...{ seen: '2023-11-14 22:13:20.123456', made: '2024-02-29 11:34:56.5+00', more: '{"a": 1.10}' },
          ...{ token: 'b8ae7cb8-8c4f-4dd5-8cbb-3f0d29ee5b2e', raw: '\\xCA\\xFE', tags: ['a', null] },
        },
      ])
      expect(columns.map(({ type }) => type)).toEqual([
        ...[
          { kind: 'long' },
          { kind: 'text' },
          { kind: 'decimal', precision: 10, scale: 2 },
          { kind: 'date' },
        ],
        ...[{ kind: 'timestamp', zone: false }, { kind: 'timestamp', zone: true }, { kind: 'json' }],
        ...[{ kind: 'uuid' }, { kind: 'bytes' }, { kind: 'list', of: { kind: 'text' } }],
      ])

      const second = await valueOf([{ name: 'city', type: ['null', 'string'], default: null }])
      await topic.write(
        { key: key({ id: 2n }), value: second(change('c', null, { ...row, id: 2n, city: 'Ulm' })) },
        { key: key({ id: row.id }), value: first(change('d', row, null)) },
        { key: key({ id: 3n }), value: Buffer.from([0, 0, 0, 0, 0, 1]) },
        { key: key({ id: 4n }), value: first(change('c', null, row)).subarray(0, 20) },
      )
      const later = await read(topic.topic, {}, named)
      expect(later.rows).toEqual([
        expect.objectContaining({ id: '2', city: 'Ulm', price: '1000.00', [WHY_INVALID]: null }),
        expect.objectContaining({ id: '3', [WHY_INVALID]: expect.stringContaining('has no schema 0') }),
        expect.objectContaining({ id: '4', [WHY_INVALID]: expect.stringContaining('not of its schema') }),
      ])
      const silent = sourceOf({ registry: 'http://127.0.0.1:1' })
      const error = await errorOf(silent.extract(modelOf(topic.topic), { file: file(), signal }))
      expect(error).toMatchObject({
        code: 'unreachable',
        message: expect.stringContaining('http://127.0.0.1:1'),
      })
    },
  )
})

const maybe = (name: string, type: unknown) => ({ name, type: ['null', type], default: null })
const FIELDS = [
  { name: 'id', type: 'long' },
  maybe('name', 'string'),
  maybe('price', {
    ...{ type: 'bytes', scale: 2, precision: 10, logicalType: 'decimal', 'connect.version': 1 },
    'connect.parameters': { scale: '2', 'connect.decimal.precision': '10' },
    'connect.name': 'org.apache.kafka.connect.data.Decimal',
  }),
  maybe('born', { type: 'int', 'connect.version': 1, 'connect.name': 'io.debezium.time.Date' }),
  maybe('seen', { type: 'long', 'connect.version': 1, 'connect.name': 'io.debezium.time.MicroTimestamp' }),
  maybe('made', { type: 'string', 'connect.version': 1, 'connect.name': 'io.debezium.time.ZonedTimestamp' }),
  maybe('more', { type: 'string', 'connect.version': 1, 'connect.name': 'io.debezium.data.Json' }),
  maybe('token', { type: 'string', 'connect.version': 1, 'connect.name': 'io.debezium.data.Uuid' }),
  maybe('raw', 'bytes'),
  maybe('tags', { type: 'array', items: ['null', 'string'] }),
]

/** The schema of an envelope, as Connect's AvroConverter writes it. */
function envelopeSchema(fields: readonly object[]): object {
  const value = { type: 'record', name: 'Value', fields, 'connect.name': 'shop.public.customers.Value' }
  return {
    ...{ type: 'record', name: 'Envelope', namespace: 'shop.public.customers' },
    'connect.name': 'shop.public.customers.Envelope',
    fields: [
      { name: 'before', type: ['null', value], default: null },
      { name: 'after', type: ['null', 'Value'], default: null },
      {
        name: 'source',
        type: {
          ...{ type: 'record', name: 'Source', namespace: 'io.debezium.connector.postgresql' },
          fields: [
            { name: 'version', type: 'string' },
            { name: 'ts_ms', type: 'long' },
            {
              name: 'snapshot',
              type: [{ type: 'string', 'connect.default': 'false' }, 'null'],
              default: 'false',
            },
          ],
        },
      },
      { name: 'op', type: 'string' },
      { name: 'ts_ms', type: ['null', 'long'], default: null },
    ],
  }
}

/** Registers a schema, and returns what encodes values with it. */
async function schemaOf(subject: string, schema: object): Promise<(value: object) => Buffer> {
  const answer = await fetch(`${registry ?? ''}/subjects/${subject}-${randomUUID()}/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: JSON.stringify(schema) }),
  })
  const { id } = (await answer.json()) as { readonly id: number }
  // Whole numbers keep all their digits.
  const type = typeForSchema(schema, part => {
    const named = typeof part === 'object' && part !== null ? Reflect.get(part, 'type') : part
    return named === 'long' ? EXACT_LONG : undefined
  })
  return value => {
    const buffer = Buffer.alloc(10_000)
    buffer.writeUInt32BE(id, 1)
    return buffer.subarray(0, type.encode(value, buffer, 5))
  }
}
