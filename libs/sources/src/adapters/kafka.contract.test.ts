/** A topic of a real Kafka, read as a table. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import type { KafkaSourceSpec, ModelSpec } from '@sluice/contracts/resources'
import { WHY_INVALID } from '@sluice/contracts/values'
import { errorOf } from '../../test/contract.ts'
import { queryFile } from '../../test/query-file.ts'
import { TopicProducer, type WrittenRecord } from '../../test/topic-producer.ts'
import { createKafkaSource } from './kafka.ts'

const given = inject('kafkaBrokers')
const brokers = given ?? ''
const { signal } = new AbortController()

function sourceOf(fields: Partial<KafkaSourceSpec> = {}) {
  const spec: KafkaSourceSpec = { kind: 'source', name: 'cdc', type: 'kafka', brokers: [brokers], ...fields }
  return createKafkaSource({
    spec,
    secretFor: () => {
      throw new Error('no secret is wanted')
    },
    privateNetworks: 'allowed',
  })
}

function modelOf(topic: string, fields: Partial<ModelSpec> = {}): ModelSpec {
  return { kind: 'model', name: 'customers', source: 'cdc', topic, format: 'rows', ...fields }
}

describe.skipIf(given === null)('a topic of rows', () => {
  let folder = ''
  const file = () => join(folder, 'extract.duckdb')
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-topic-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const read = async (topic: string, fields: Partial<ModelSpec> = {}) => {
    await using source = sourceOf()
    const extract = await source.extract(modelOf(topic, fields), { file: file(), signal })
    const rows = await queryFile(file(), 'FROM rows ORDER BY ALL')
    rmSync(file(), { force: true })
    return { ...extract, rows }
  }
  const rowsOf = async (records: readonly WrittenRecord[], fields: Partial<ModelSpec> = {}) => {
    await using topic = await TopicProducer.make(brokers)
    await topic.write(...records)
    return await read(topic.topic, fields)
  }

  it('has the newest row of each key, and none that a tombstone removed', async () => {
    const { rows, rowCount, primaryKey, columns } = await rowsOf([
      { key: { id: 1 }, value: { id: 1, name: 'Ann' } },
      { key: { id: 2 }, value: { id: 2, name: 'Bob' } },
      { key: { id: 3 }, value: { id: 3, name: 'Cy' } },
      { key: { id: 1 }, value: { id: 1, name: 'Anna' } },
      { key: { id: 2 }, value: null },
    ])
    expect(rows).toEqual([
      { id: '1', name: 'Anna' },
      { id: '3', name: 'Cy' },
    ])
    expect(rowCount).toBe(2)
    expect(primaryKey).toEqual(['id'])
    expect(columns).toEqual([
      { name: 'id', type: { kind: 'long' } },
      { name: 'name', type: { kind: 'text' } },
    ])
    expect(readdirSync(folder)).toEqual([])
  })

  it('gives a row the fields of its key that it lacks, and a key of one value as the column `key`', async () => {
    const fields = await rowsOf([{ key: { shop: 'a', id: 7 }, value: { name: 'Ann' } }])
    expect(fields.rows).toEqual([{ name: 'Ann', shop: 'a', id: '7' }])
    expect(fields.primaryKey).toEqual(['shop', 'id'])
    const one = await rowsOf([
      { key: 'ann', value: { name: 'Ann' } },
      { key: 'bob', value: { name: 'Bob' } },
      { key: 'ann', value: null },
    ])
    expect(one.rows).toEqual([{ name: 'Bob', key: 'bob' }])
    expect(one.primaryKey).toEqual(['key'])
    const named = await rowsOf([{ key: '17', value: { id: 17, name: 'Ann' } }], { primaryKey: 'id' })
    expect(named.rows).toEqual([{ id: '17', name: 'Ann' }])
    const clash = await rowsOf([{ key: '17', value: { key: 'x' } }])
    expect(clash.rows).toEqual([
      expect.objectContaining({ [WHY_INVALID]: expect.stringContaining('`primaryKey`') }),
    ])
  })

  it('keeps all digits, texts and nested values as they are', async () => {
    const value =
      '{"id":9007199254740993,"big":123456789012345678901234567890,"price":1.10,"tags":["a",1.50],"at":{"b":2},"mixed":1,"text":"a\\u0000\\ud83d b\\\\ud800","yes":true,"nothing":null}'
    const { rows, columns } = await rowsOf([
      { key: '1', value },
      { key: '2', value: '{"id":2,"mixed":"x"}' },
    ])
    expect(rows).toEqual([
      expect.objectContaining({ id: '2', mixed: 'x', price: null }),
      {
        ...{ id: '9007199254740993', big: '123456789012345678901234567890', price: '1.10' },
        ...{ tags: '["a",1.50]', at: '{"b":2}', mixed: '1', text: 'a\u0000\ufffd b\\ud800' },
        ...{ yes: true, nothing: null, key: '1' },
      },
    ])
    expect(Object.fromEntries(columns.map(({ name, type }) => [name, type.kind]))).toEqual({
      ...{ id: 'long', big: 'json', price: 'json', tags: 'json', at: 'json', mixed: 'text', text: 'text' },
      ...{ yes: 'boolean', nothing: 'text', key: 'long' },
    })
  })

  it('reads no record of a transaction that was aborted, and ends behind its marker', async () => {
    await using topic = await TopicProducer.make(brokers)
    await topic.write({ key: '1', value: { name: 'Ann' } })
    await topic.transact('commit', { key: '2', value: { name: 'Bob' } })
    await topic.transact('abort', { key: '1', value: { name: 'never' } }, { key: '2', value: null })
    expect((await read(topic.topic)).rows).toEqual([
      { name: 'Ann', key: '1' },
      { name: 'Bob', key: '2' },
    ])
  })

  it('makes a row invalid whose newest record cannot be read, and never removes it', async () => {
    const { rows } = await rowsOf([
      { key: { id: 1 }, value: { id: 1, name: 'Ann' } },
      { key: { id: 2 }, value: { id: 2, name: 'Bob' } },
      { key: { id: 1 }, value: 'garbage' },
      { key: { id: 2 }, value: Buffer.from([0xff, 0xfe, 0xfd]) },
      { key: { id: 3 }, value: '[1,2]' },
    ])
    expect(rows).toEqual([
      { id: '1', name: null, [WHY_INVALID]: expect.stringMatching(/, partition 0, offset 2: it is no JSON/) },
      { id: '2', name: null, [WHY_INVALID]: expect.stringMatching(/offset 3: .*UTF-8/) },
      { id: '3', name: null, [WHY_INVALID]: expect.stringMatching(/offset 4: .*no row/) },
    ])
  })

  it('takes the key of an unreadable record from the row before, and else takes nothing', async () => {
    const records = [
      { key: 'a', value: { id: 1, name: 'Ann' } },
      { key: 'a', value: 'garbage' },
    ]
    const { rows } = await rowsOf(records, { primaryKey: 'id' })
    expect(rows).toEqual([{ id: '1', name: null, [WHY_INVALID]: expect.stringContaining('offset 1') }])
    await using topic = await TopicProducer.make(brokers)
    await topic.write(...records, { key: 'b', value: 'garbage' })
    await using source = sourceOf()
    const error = await errorOf(
      source.extract(modelOf(topic.topic, { primaryKey: 'id' }), { file: file(), signal }),
    )
    expect(error.code).toBe('query')
    expect(error.message).toMatch(/partition 0, offset 2: it is no JSON.*Nothing was taken/)
    expect(readdirSync(folder)).toEqual([])
  })

  it('takes nothing while the key of a record cannot be read, until a tombstone takes it away', async () => {
    await using topic = await TopicProducer.make(brokers)
    const key = Buffer.from([0xff, 0xfe])
    await topic.write({ key: 'a', value: { name: 'Ann' } }, { key, value: { name: 'lost' } })
    await using source = sourceOf()
    const error = await errorOf(source.extract(modelOf(topic.topic), { file: file(), signal }))
    expect(error.message).toMatch(/partition 0, offset 1: its key cannot be read/)
    await topic.write({ key, value: null })
    expect((await read(topic.topic)).rows).toEqual([{ name: 'Ann', key: 'a' }])
  })

  it('counts records without a key as invalid, unless the row has the key', async () => {
    const records = [
      { key: null, value: { id: 1, name: 'Ann' } },
      { key: null, value: { id: 1, name: 'Anna' } },
      { key: null, value: 'garbage' },
      { key: null, value: null },
    ]
    const { rows } = await rowsOf(records, { primaryKey: 'id' })
    expect(rows).toEqual([
      { id: '1', name: 'Anna', [WHY_INVALID]: null },
      { id: null, name: null, [WHY_INVALID]: expect.stringContaining('offset 2') },
    ])
    await using topic = await TopicProducer.make(brokers)
    await topic.write(...records)
    await using source = sourceOf()
    const error = await errorOf(source.extract(modelOf(topic.topic), { file: file(), signal }))
    expect(error.message).toContain('primaryKey')
  })

  it('reads a row of 1 MB', async () => {
    const note = 'x'.repeat(900_000)
    const { rows } = await rowsOf([{ key: '1', value: { note } }])
    expect(rows).toEqual([{ note, key: '1' }])
  })

  it('judges a key in several partitions by the time of its records, and a tie as invalid', async () => {
    // Kafka would delete records of 1970 at once.
    await using topic = await TopicProducer.make(brokers, { settings: { 'retention.ms': '-1' } })
    await topic.write(
      { key: 'a', value: { n: 1 }, timestamp: 1_000 },
      { key: 'b', value: { n: 1 }, timestamp: 2_000 },
    )
    await topic.addPartitions(2)
    await topic.write(
      { key: 'a', value: { n: 2 }, partition: 1, timestamp: 1_500 },
      { key: 'b', value: { n: 2 }, partition: 1, timestamp: 2_000 },
    )
    const { rows } = await read(topic.topic)
    expect(rows).toHaveLength(2)
    expect(rows).toEqual(
      expect.arrayContaining([
        { n: '2', key: 'a', [WHY_INVALID]: null },
        { n: expect.anything(), key: 'b', [WHY_INVALID]: expect.stringContaining('the same time') },
      ]),
    )
  })

  it('takes nothing of a topic whose first records are lost, whatever it says of its cleanup', async () => {
    await using topic = await TopicProducer.make(brokers)
    await topic.write({ key: 'a', value: { n: 1 } }, { key: 'b', value: { n: 1 } })
    await topic.dropBefore(1)
    await using source = sourceOf()
    for (const policy of ['delete', 'compact']) {
      await topic.set({ 'cleanup.policy': policy })
      const error = await errorOf(source.extract(modelOf(topic.topic), { file: file(), signal }))
      expect(error.code).toBe('query')
      expect(error.message).toMatch(/partition 0 lost its first 1 offsets, written before 20.*snapshot/)
    }
  })

  it('reads `changes` row by row by the SQL of a model, and lets no condition remove an invalid row', async () => {
    const { rows, columns, primaryKey } = await rowsOf(
      [
        { key: { id: 1 }, value: { id: 1, name: 'Ann', country: 'DE' } },
        { key: { id: 2 }, value: { id: 2, name: 'Bob', country: 'FR' } },
        { key: { id: 3 }, value: 'garbage' },
      ],
      { sql: "select id, upper(name) as name from changes where country = 'DE'" },
    )
    expect(rows).toEqual([
      { id: '1', name: 'ANN', [WHY_INVALID]: null },
      { id: '3', name: null, [WHY_INVALID]: expect.stringContaining('offset 2') },
    ])
    expect(columns.map(({ name }) => name)).toEqual(['id', 'name'])
    expect(primaryKey).toEqual(['id'])
    const star = await rowsOf([{ key: '1', value: { n: 1 } }], { sql: 'select *, n + 1 as m from changes' })
    expect(star.rows).toEqual([{ n: '1', key: '1', m: '2' }])
  })

  it.each([
    ['select count(*) from changes', 'an aggregate'],
    ['select id from changes group by id', 'GROUP BY'],
    ['select distinct id from changes', 'DISTINCT'],
    ['select id from changes limit 1', 'LIMIT'],
    ['select row_number() over () as id from changes', 'window'],
    ['select id from changes where id in (select 1)', 'subquery'],
    ['select a.id from changes a join changes b using (id)', 'joins'],
    ["select * from 'x.csv'", 'something else'],
    ['with a as (select 1) select id from changes', 'WITH'],
    ['select id from changes union all select id from changes', 'several queries'],
    ['select unnest([1, 2]) as id from changes', 'unnest'],
    ['drop table changes', 'DROP'],
  ])('refuses %s', async (sql, why) => {
    await using topic = await TopicProducer.make(brokers)
    await topic.write({ key: { id: 1 }, value: { id: 1 } })
    await using source = sourceOf()
    const error = await errorOf(source.extract(modelOf(topic.topic, { sql }), { file: file(), signal }))
    expect(error.code).toBe('query')
    expect(error.message).toContain(why)
    expect(error.details[0]).toMatchObject({ field: 'sql' })
  })

  it('says that a topic does not exist, has no rows, or that no broker answers', async () => {
    await using source = sourceOf()
    const missing = await errorOf(source.extract(modelOf('no-such-topic'), { file: file(), signal }))
    expect(missing.code).toBe('query')
    expect(missing.message).toContain('no-such-topic')
    await using empty = await TopicProducer.make(brokers)
    const nothing = await errorOf(
      source.extract(modelOf(empty.topic, { primaryKey: 'id' }), { file: file(), signal }),
    )
    expect(nothing.message).toContain('has no rows')
    await using away = sourceOf({ brokers: ['127.0.0.1:1'] })
    const late = AbortSignal.timeout(40_000)
    const silent = await errorOf(away.extract(modelOf('any'), { file: file(), signal: late }))
    expect(silent).toMatchObject({ code: 'unreachable', retryable: true })
    expect(silent.message).toContain('Source cdc')
    expect(readdirSync(folder)).toEqual([])
  })

  it('describes the columns of the latest rows, and samples them', async () => {
    await using topic = await TopicProducer.make(brokers, { partitions: 3 })
    await topic.write(
      ...Array.from({ length: 50 }, (_, id) => ({ key: { id }, value: { id, name: `n${id}` } })),
    )
    await using source = sourceOf()
    const columns = await source.describe(modelOf(topic.topic), { signal })
    expect(columns.map(({ name }) => name)).toEqual(['id', 'name'])
    const { rowCount } = await source.extract(modelOf(topic.topic), { file: file(), signal, sample: 10 })
    expect(rowCount).toBe(10)
  })
})
