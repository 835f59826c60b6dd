/**
 * What topics of a real Kafka show as they grow: values, filters, breaks while a reader waits, and long
 * backlogs.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openExtractRows } from '@sluice/delivered-state/adapters/extract-rows'
import type { ModelSpec } from '@sluice/contracts/resources'
import { JsonText, type Row } from '@sluice/contracts/values'
import { randomFrom } from '@sluice/testkit/random'
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import { errorOf } from '../../test/contract.ts'
import { BOUNDS, entriesOf, readerOf, sliceOf, untilBreak } from '../../test/stream-contract.ts'
import { kafkaSpec, streamSourceOf } from '../../test/stream-topics.ts'
import { TopicProducer, type WrittenRecord } from '../../test/topic-producer.ts'
import type { StreamEntry, StreamReader } from '../stream-port.ts'

const given = inject('kafkaBrokers')
const brokers = given ?? ''
const { signal } = new AbortController()

let lsn = 1_000
const change = (op: string, after: object | null, source: object = {}) => {
  lsn += 8
  return {
    ...{ before: null, after, op, ts_ms: Date.now() },
    source: {
      ...{ connector: 'postgresql', name: 'shop', db: 'shop', ts_ms: Date.now(), snapshot: 'false', lsn },
      ...{ sequence: JSON.stringify([String(lsn - 8), String(lsn)]), ...source },
    },
  }
}

describe.skipIf(given === null)('a topic that grows', { timeout: 300_000 }, () => {
  let folder = ''
  let files = 0
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-stream-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const modelOf = ({ topic }: TopicProducer, fields: Partial<ModelSpec> = {}): ModelSpec => ({
    ...{ kind: 'model', name: 'people', source: 'cdc', topic, format: 'rows' },
    ...fields,
  })
  const compare = async (reader: StreamReader) => {
    const file = join(folder, `${(files += 1)}.duckdb`)
    return await reader.compare({ file, signal })
  }
  const sourceOf = () => streamSourceOf(kafkaSpec(brokers))

  /** Compares, writes such records again, and returns the rows of both by key. */
  const bothWays = async (make: () => readonly WrittenRecord[], fields: Partial<ModelSpec> = {}) => {
    await using topic = await TopicProducer.make(brokers)
    const records = make()
    await topic.write(...records)
    await using source = sourceOf()
    await using reader = await readerOf(source, modelOf(topic, fields), null)
    const { file, columns, primaryKey = ['id'] } = await compare(reader)
    const compared = new Map<string, Row | null>()
    await using rows = await openExtractRows({ file, columns, primaryKey, memoryLimit: '128MB', signal })
    for await (const page of rows.rows()) for (const { key, row } of page) compared.set(key, row)
    await topic.write(...make())
    const { entries } = await entriesOf(reader, records.length)
    return { compared, streamed: new Map(entries.map(({ key, row }) => [key, row])) }
  }

  it('gives the values of a comparison, whatever they are', async () => {
    const values: readonly unknown[] = [
      ...[true, 0, -0, 5, 1.5, 2 ** 53, '', 'Ann', '\ufeffx', 'a\u0000b', '😀', '\ud800', null],
      ...[[1, 2], [], { a: { b: 1.5 } }, '2024-02-29', '1e400'],
    ]
    const column = (kind: (value: unknown) => boolean) => values.filter(kind)
    const columns = {
      text: column(value => typeof value === 'string'),
      number: column(value => typeof value === 'number'),
      whole: [1, -7, 2 ** 40],
      flag: [true, false],
      nested: column(value => typeof value === 'object' && value !== null),
      any: values,
    }
    const length = values.length
    const records = Array.from({ length }, (_, id) => ({
      key: { id },
      value: {
        id,
        ...Object.fromEntries(Object.entries(columns).map(([name, all]) => [name, all[id % all.length]])),
      },
    }))
    const { compared, streamed } = await bothWays(() => records)
    expect(streamed).toEqual(compared)
    const several = records.map(({ key, value }) => ({ key: { ...key, region: 'EU "1"\n' }, value }))
    const composite = await bothWays(() => several)
    expect(composite.streamed).toEqual(composite.compared)
    expect(composite.streamed.size).toBe(length)
  })

  it('gives the values of a comparison by the schema that stands beside them', async () => {
    const field = (name: string, type: string, rest: object = {}) => ({
      field: name,
      type,
      optional: true,
      ...rest,
    })
    const fields = [
      field('id', 'int32'),
      field('big', 'int64'),
      field('price', 'bytes', {
        ...{ name: 'org.apache.kafka.connect.data.Decimal' },
        parameters: { scale: '2', 'connect.decimal.precision': '10' },
      }),
      field('born', 'int32', { name: 'io.debezium.time.Date' }),
      field('seen', 'int64', { name: 'io.debezium.time.MicroTimestamp' }),
      field('made', 'string', { name: 'io.debezium.time.ZonedTimestamp' }),
      field('more', 'string', { name: 'io.debezium.data.Json' }),
      field('score', 'float'),
      field('ratio', 'double'),
      field('raw', 'bytes'),
      field('tags', 'array', { items: { type: 'string', optional: true } }),
    ]
    const schema = { type: 'struct', fields: [{ field: 'after', type: 'struct', fields }] }
    const make = () =>
      [1, 2].map(id => ({
        key: { schema: null, payload: { id } },
        value: {
          schema,
          payload: change('c', {
            ...{
              id,
              big: id === 1 ? 9007199254740991 : null,
              price: 'MDk=',
              born: 19_000 + id,
              seen: 1_700_000_000_000_001,
            },
            ...{
              made: '2024-02-29T12:00:00.5Z',
              more: '{"a": 1.50}',
              score: 0.1,
              ratio: 1e21,
              raw: 'AAH/',
              tags: ['a', null],
            },
          }),
        },
      }))
    const { compared, streamed } = await bothWays(make, { format: 'debezium' })
    expect(streamed).toEqual(compared)
    expect(streamed.get('1')).toMatchObject({
      born: '2022-01-09',
      more: new JsonText('{"a": 1.50}'),
      score: 0.1,
    })
  })

  it('removes a row that no longer matches the SQL, and refuses SQL that is not row by row', async () => {
    await using topic = await TopicProducer.make(brokers)
    const row = (id: number, country: string) => ({ key: { id }, value: { id, country, name: `n${id}` } })
    await topic.write(row(1, 'DE'), row(2, 'FR'))
    await using source = sourceOf()
    const model = modelOf(topic, {
      sql: "select 'x' || id as id, upper(name) as name from changes where country = 'DE'",
    })
    await using reader = await readerOf(source, model, null)
    expect((await compare(reader)).rowCount).toBe(1)
    await topic.write(row(1, 'FR'), row(2, 'DE'), { key: { id: 1 }, value: null })
    const { entries } = await entriesOf(reader, 3)
    expect(entries.map(({ key, row: made }) => [key, made])).toEqual([
      ['x1', null],
      ['x2', { id: 'x2', name: 'N2' }],
      ['x1', null],
    ])
    for (const [sql, why] of [
      ['select count(*) as id from changes', 'an aggregate'],
      ['select id from changes limit 1', 'LIMIT'],
      ['select name as id from changes', 'makes the key'],
    ] as const) {
      const error = await errorOf(source.describe(modelOf(topic, { sql }), { signal }))
      expect(error).toMatchObject({ code: 'query', message: expect.stringContaining(why) })
    }
  })

  it('reads the flat rows of Debezium, and passes over what is about no row', async () => {
    await using topic = await TopicProducer.make(brokers)
    const flat = (id: number, more: object = {}) => ({ key: { id }, value: { id, name: `n${id}`, ...more } })
    await topic.write(flat(1))
    await using source = sourceOf()
    await using reader = await readerOf(source, modelOf(topic, { format: 'debezium' }), null)
    await compare(reader)
    await topic.write(
      flat(2),
      { key: null, value: { ts_ms: 1 } },
      { key: { id: 't' }, value: { status: 'BEGIN', id: 't', event_count: null } },
      flat(1, { __deleted: 'true' }),
    )
    const { entries } = await entriesOf(reader, 2)
    expect(entries.map(({ key, row }) => [key, row])).toEqual([
      ['2', { id: 2, name: 'n2' }],
      ['1', null],
    ])
  })

  it('breaks off while it waits, once the topic is another one or has more partitions', async () => {
    await using topic = await TopicProducer.make(brokers)
    await topic.write({ key: { id: 1 }, value: { id: 1 } })
    await using source = sourceOf()
    await using reader = await readerOf(source, modelOf(topic), null)
    await compare(reader)
    const waiting = reader.next(BOUNDS)
    await topic.addPartitions(3)
    expect(await waiting).toMatchObject({ kind: 'break', why: 'partitions' })
    expect((await compare(reader)).position.partitions).toHaveLength(3)
    // While there is no such topic, that is the error.
    const missing = (error: unknown): null => {
      expect(error).toMatchObject({ code: 'query', retryable: true })
      return null
    }
    let again = reader.next(BOUNDS).catch(missing)
    await topic.makeAnew()
    for (;;) {
      const next = await again
      if (next !== null) {
        expect(next).toMatchObject({ kind: 'break', why: 'history' })
        break
      }
      again = reader.next(BOUNDS).catch(missing)
    }
  })

  it('breaks off where another server, or another connector, writes', async () => {
    await using topic = await TopicProducer.make(brokers)
    const mysql = (id: number, source: object) => ({
      key: { id },
      value: change(
        'u',
        { id },
        { connector: 'mysql', name: 'shop', server_id: 7, file: 'log.000009', pos: 4, ...source },
      ),
    })
    await topic.write(mysql(1, {}))
    await using source = sourceOf()
    const model = modelOf(topic, { format: 'debezium' })
    await using reader = await readerOf(source, model, null)
    const { position } = await compare(reader)
    // Binlogs are in the order of their numbers, not of their texts.
    await topic.write(mysql(1, { pos: 4 }), mysql(2, { file: 'log.000010', pos: 3 }), mysql(2, { pos: 5 }))
    await topic.write(mysql(3, { file: 'log.000010', pos: 3, row: 1 }), mysql(4, { server_id: 8, pos: 900 }))
    const { broken, entries } = await untilBreak(source, model, position)
    expect(broken).toMatchObject({ why: 'history' })
    expect(entries.map(({ key }) => key)).toEqual(['1', '2', '3'])
  })

  it('breaks off where the log of the database went back without a snapshot', async () => {
    await using topic = await TopicProducer.make(brokers)
    const at = (place: number, ms: number) => ({
      ...{ lsn: place, sequence: JSON.stringify([String(place - 1), String(place)]), ts_ms: ms },
    })
    const now = Date.now()
    const row = (source: object) => ({ key: { id: 1 }, value: change('u', { id: 1 }, source) })
    await topic.write(row(at(9_000, now)))
    await using source = sourceOf()
    await using reader = await readerOf(source, modelOf(topic, { format: 'debezium' }), null)
    await compare(reader)
    await topic.write(row(at(50, now + 1)))
    expect(await reader.next(BOUNDS)).toMatchObject({ kind: 'break', why: 'history' })
    await compare(reader)
    await topic.write(row(at(60, now + 2)))
    expect((await entriesOf(reader, 1)).entries.map(({ key }) => key)).toEqual(['1'])
  })

  it('breaks off at a snapshot, also if the places of the log begin anew with it', async () => {
    await using topic = await TopicProducer.make(brokers)
    const at = (place: number) => ({
      lsn: place,
      sequence: JSON.stringify([String(place - 1), String(place)]),
    })
    const row = (op: string, id: number, source: object) => ({
      key: { id },
      value: change(op, { id }, source),
    })
    await topic.write(row('c', 1, at(9_000)), row('c', 2, at(9_100)))
    await using source = sourceOf()
    const model = modelOf(topic, { format: 'debezium' })
    await using reader = await readerOf(source, model, null)
    await compare(reader)
    // A database that was restored from a dump counts its log from the start.
    await topic.write(
      row('r', 1, { ...at(50), snapshot: 'first' }),
      row('r', 3, { ...at(50), snapshot: 'last' }),
    )
    expect(await reader.next(BOUNDS)).toMatchObject({ kind: 'break', why: 'snapshot' })
    expect((await compare(reader)).rowCount).toBe(3)
    await topic.write(row('u', 3, at(60)))
    const { entries } = await entriesOf(reader, 1)
    expect(entries.map(({ key }) => key)).toEqual(['3'])
  })

  it('compares once more if a reader begins in the middle of a snapshot, and loses no row of it', async () => {
    await using topic = await TopicProducer.make(brokers)
    const row = (op: string, id: number, snapshot = 'false') => ({
      key: { id },
      value: change(op, { id }, { snapshot }),
    })
    await topic.write(row('c', 1), row('c', 2), row('r', 1, 'first'), row('r', 2, 'true'))
    await using source = sourceOf()
    const model = modelOf(topic, { format: 'debezium' })
    const first = await readerOf(source, model, null)
    await compare(first)
    await topic.write(row('r', 3, 'true'))
    const { entries, position } = await entriesOf(first, 1)
    expect(entries.map(({ key }) => key)).toEqual(['3'])
    await first[Symbol.asyncDispose]()
    await topic.write(row('r', 4, 'true'))
    await using second = await readerOf(source, model, position)
    expect(await second.next(BOUNDS)).toMatchObject({ kind: 'break', why: 'snapshot' })
    expect((await compare(second)).rowCount).toBe(4)
    await topic.write(row('r', 5, 'last'), row('u', 1))
    const rest = await entriesOf(second, 2)
    expect(rest.entries.map(({ key }) => key)).toEqual(['5', '1'])
  })

  it('takes the rows of an incremental snapshot, wherever the log stood when they were read', async () => {
    await using topic = await TopicProducer.make(brokers)
    const row = (op: string, id: number, source: object = {}) => ({
      key: { id },
      value: change(op, { id }, source),
    })
    await topic.write(row('c', 1))
    await using source = sourceOf()
    const model = modelOf(topic, { format: 'debezium' })
    await using reader = await readerOf(source, model, null)
    await compare(reader)
    const early = { lsn: 8, sequence: '["4","8"]', snapshot: 'incremental' }
    await topic.write(row('c', 2), row('r', 3, early), row('r', 1, early))
    const { entries } = await entriesOf(reader, 3)
    expect(entries.map(({ key }) => key)).toEqual(['2', '3', '1'])
  })

  it.each([
    [{ 'cleanup.policy': 'compact' }, 20, 'lost'],
    [{ 'cleanup.policy': 'compact' }, 12, null],
    [{ 'cleanup.policy': 'compact', 'delete.retention.ms': '3600000' }, 1, 'lost'],
    [{ 'cleanup.policy': 'delete' }, 200, null],
  ] as const)(
    'breaks off at a topic of %j if nobody was there for %i h: %s',
    async (settings, hours, why) => {
      await using topic = await TopicProducer.make(brokers, { settings })
      await topic.write({ key: { id: 1 }, value: { id: 1 } })
      await using source = sourceOf()
      const model = modelOf(topic)
      await using reader = await readerOf(source, model, null)
      const { position } = await compare(reader)
      const toldAt = Date.now() - hours * 3_600_000
      const opened = await source.open(model, position, { signal, toldAt })
      if (opened.kind === 'reader') await opened.reader[Symbol.asyncDispose]()
      expect(opened.kind === 'break' ? opened.why : null).toBe(why)
    },
  )

  it('says from when to when records are missing', async () => {
    await using topic = await TopicProducer.make(brokers)
    const rows = [1, 2, 3, 4].map(id => ({ key: { id }, value: { id } }))
    await topic.write(...rows)
    await using source = sourceOf()
    await using reader = await readerOf(source, modelOf(topic), null)
    const { position } = await compare(reader)
    await topic.write(...rows)
    await topic.dropBefore(6)
    const { broken } = await untilBreak(source, modelOf(topic), position)
    expect(broken).toMatchObject({ why: 'lost' })
    expect(broken.detail).toMatch(/partition 0 has lost the offsets 4 to 5, written before 20/)
    const error = await errorOf(compare(reader))
    expect(error).toMatchObject({
      code: 'query',
      message: expect.stringContaining('lost its first 6 offsets'),
    })
  })

  it('reads a row of 1 MB', async () => {
    await using topic = await TopicProducer.make(brokers)
    await topic.write({ key: { id: 1 }, value: { id: 1, note: '' } })
    await using source = sourceOf()
    await using reader = await readerOf(source, modelOf(topic), null)
    await compare(reader)
    const note = 'x'.repeat(900_000)
    await topic.write(
      { key: { id: 1 }, value: { id: 1, note } },
      { key: { id: 2 }, value: { id: 2, note: 'small' } },
    )
    const { entries } = await entriesOf(reader, 2, { bytes: 100_000 })
    expect(entries.map(({ row }) => row)).toEqual([
      { id: 1, note },
      { id: 2, note: 'small' },
    ])
  })

  it('has the newest rows in the end, however often a connector repeats and wherever readers end', async () => {
    for (const seed of [1, 2, 3, 4]) {
      const random = randomFrom(seed)
      await using topic = await TopicProducer.make(brokers, { partitions: 2 })
      const truth = new Map<string, number>()
      const written: (readonly WrittenRecord[])[] = [[], []]
      let version = 0
      const write = async () => {
        const id = 1 + random.below(6)
        const partition = id % 2
        version += 1
        const isGone = truth.has(String(id)) && random.chance(0.3)
        const key = { id }
        const value = isGone ? change('d', null) : change('u', { id, version })
        const records = [{ key, value, partition }, ...(isGone ? [{ key, value: null, partition }] : [])]
        if (isGone) truth.delete(String(id))
        else truth.set(String(id), version)
        written[partition] = [...(written[partition] ?? []), ...records]
        await topic.write(...records)
      }
      for (let count = 0; count < 6; count += 1) await write()
      await using source = sourceOf()
      const model = modelOf(topic, { format: 'debezium' })
      let reader = await readerOf(source, model, null)
      const { file, columns, position: first } = await compare(reader)
      const seen = new Map<string, number>()
      await using rows = await openExtractRows({
        file,
        columns,
        primaryKey: ['id'],
        memoryLimit: '128MB',
        signal,
      })
      for await (const page of rows.rows())
        for (const { key, row } of page) seen.set(key, Number(row?.['version']))
      let position = first
      let newest = 0
      const take = (entries: readonly StreamEntry[]) => {
        for (const { key, row } of entries) {
          if (row === null) seen.delete(key)
          else {
            seen.set(key, Number(row['version']))
            newest = Math.max(newest, Number(row['version']))
          }
        }
      }
      for (let step = 0; step < 15; step += 1) {
        await write()
        if (random.chance(0.4)) {
          const partition = random.below(2)
          await topic.write(...(written[partition] ?? []).slice(-1 - random.below(4)))
        }
        if (random.chance(0.2)) {
          await reader[Symbol.asyncDispose]()
          reader = await readerOf(source, model, position)
        }
        if (random.chance(0.5)) {
          const slice = await sliceOf(reader, { rows: 1 + random.below(4) })
          take(slice.entries)
          ;({ position } = slice)
        }
      }
      // The last change of each partition shows that all before it were read.
      for (const id of [7, 8]) {
        version += 1
        truth.set(String(id), version)
        await topic.write({ key: { id }, value: change('c', { id, version }), partition: id % 2 })
      }
      while (!seen.has('7') || !seen.has('8')) take((await sliceOf(reader)).entries)
      await reader[Symbol.asyncDispose]()
      expect(seen, `seed ${seed}`).toEqual(truth)
      expect(newest).toBeGreaterThan(0)
    }
  })

  it('reads a backlog of 100,000 records in slices, once for two models', async () => {
    await using topic = await TopicProducer.make(brokers, { partitions: 2 })
    await topic.write({ key: { id: 0 }, value: { id: 0, name: 'first', note: 'x' } })
    await using source = sourceOf()
    const models = [modelOf(topic), modelOf(topic, { sql: 'select id, name from changes where id % 2 = 0' })]
    await using one = await readerOf(source, models[0] ?? modelOf(topic), null)
    await using two = await readerOf(source, models[1] ?? modelOf(topic), null)
    await compare(one)
    await compare(two)
    const count = 100_000
    for (let at = 1; at <= count; at += 5_000)
      await topic.write(
        ...Array.from({ length: 5_000 }, (_, index) => {
          const id = at + index
          return { key: { id }, value: { id, name: `name ${id}`, note: 'x'.repeat(50) }, partition: id % 2 }
        }),
      )
    const readAll = async (reader: StreamReader) => {
      const keys = new Set<string>()
      let last: readonly StreamEntry[] = []
      while (keys.size < count) {
        const { entries } = await sliceOf(reader)
        expect(entries.length).toBeLessThanOrEqual(BOUNDS.rows)
        for (const { key } of entries) keys.add(key)
        last = entries
      }
      return last
    }
    const started = performance.now()
    await Promise.all([readAll(one), readAll(two)])
    const tookMs = performance.now() - started
    process.stdout.write(`two models read ${count} records each in ${Math.round(tookMs)} ms\n`)
    expect(one.lag()).toEqual({ records: 0, oldestCommittedAt: null })
  })
})
