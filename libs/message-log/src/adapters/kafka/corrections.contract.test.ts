/**
 * Proves that this adapter avoids the mistakes that kafkajs makes by itself (docs/decisions). It also tests
 * reading and writing where only a real broker shows the behaviour.
 */
import { CompressionTypes, Kafka, logLevel } from 'kafkajs'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, inject, test, vi } from 'vitest'
import { Notifier } from '@sluice/flow/notifier'
import { TcpProxy } from '@sluice/testkit/tcp-proxy'
import type { LogRecord, TopicPartition } from '../../port.ts'
import {
  codeOf,
  FILLER_KEY,
  follow,
  isShared,
  keyOf,
  keysIn,
  readAll,
  record,
  records,
  until,
  Watched,
} from '../../../test/fixture.ts'
import { KafkaConnection, socketFactory } from './connection.ts'
import { fetchRequest } from './own-requests.ts'
import { rawLogger } from './internals.ts'
import { compactNow, withAdmin } from '../../../test/kafka-cluster.ts'
import { createKafkaLog } from '../kafka.ts'

const given = inject('kafkaBrokers')
const brokers = given ?? ''
const [host = '', port = ''] = brokers.split(':')

describe.skipIf(given === null)('kafka: corrections', () => {
  let count = 0
  const open = (options: Partial<Parameters<typeof createKafkaLog>[0]> = {}) =>
    createKafkaLog({ brokers: [brokers], clientId: 'corrections', ...options })

  async function partition(
    signal: AbortSignal,
    cleanup: 'delete' | 'compact' = 'delete',
  ): Promise<TopicPartition> {
    const topic = `corrections-${process.pid}-${Date.now()}-${count++}`
    await using log = open()
    await log.ensureTopics([{ topic, partitions: 1, cleanup }], { signal })
    return { topic, partition: 0 }
  }

  connections()
  reading()
  writing()
  groups()
  topics()

  function connections(): void {
    test('an idle connection sets no timers', async ({ signal }) => {
      await using log = open()
      await log.partitionsOf('none', { signal })
      const set = vi.spyOn(globalThis, 'setTimeout')
      try {
        // Only time makes a connection idle. kafkajs by itself would set a timer each millisecond, from the
        // first answer on.
        await delay(200)
        expect(set.mock.calls.length).toBeLessThan(10)
      } finally {
        set.mockRestore()
      }
    })

    test('a client of kafkajs itself asks for no timer of negative length, of which Node would warn', async () => {
      const set = vi.spyOn(globalThis, 'setTimeout')
      try {
        await withAdmin(brokers, async admin => void (await admin.listTopics()))
        expect(set.mock.calls.filter(([, ms]) => (ms ?? 0) < 0)).toEqual([])
      } finally {
        set.mockRestore()
      }
    })

    test('nothing keeps a process alive once the log is closed', async ({ signal }) => {
      const sockets = () => process.getActiveResourcesInfo().filter(kind => kind.startsWith('TCP')).length
      const before = sockets()
      const target = await partition(signal)
      const log = open()
      await log.append(target, [record('a')], { signal })
      await follow(log, target, { signal, count: 1 })
      await (await log.join(`${target.topic}-group`, [target.topic], { signal })).leave()
      expect(sockets()).toBeGreaterThan(before)
      await log[Symbol.asyncDispose]()
      await expect.poll(sockets).toBeLessThanOrEqual(before)
    })

    test('a port that accepts connections but never answers is reported as unreachable', async ({
      signal,
    }) => {
      await using proxy = await TcpProxy.start({ target: { host, port: Number(port) } })
      await proxy.set({ kind: 'swallow' })
      const address = `${proxy.host}:${proxy.port}`
      await using log = open({ brokers: [address], connectTimeoutMs: 200, retryMs: 500 })
      expect(await codeOf(log.partitionsOf('none', { signal }))).toBe('unreachable')
    })

    test('one broker that answers is enough', async ({ signal }) => {
      const target = await partition(signal)
      await using log = open({ brokers: ['127.0.0.1:1', '127.0.0.1:2', brokers], retryMs: 2_000 })
      expect(await log.partitionsOf(target.topic, { signal })).toBe(1)
    })

    test('an address that is not host:port is refused, and the error shows it', () => {
      for (const wrong of ['localhost', 'localhost:', ':9092', ''])
        expect(() => open({ brokers: [wrong] })).toThrow(/host:port/)
    })
  }

  /** The number of records in each batch, as the broker sends them. */
  async function batchCounts(target: TopicPartition): Promise<number[]> {
    const settings = {
      clientId: 'raw',
      ssl: null,
      sasl: null,
      loginHint: '',
      connectTimeoutMs: 5_000,
      logger: rawLogger(null),
    }
    const connection = await KafkaConnection.open(
      { host, port: Number(port) },
      { ...settings, socketFactory: socketFactory(a => a) },
    )
    const request = fetchRequest({
      partitions: [{ ...target, fetchOffset: 0, maxBytes: 2 ** 20 }],
      maxWaitMs: 0,
      maxBytes: 2 ** 20,
      committedOnly: false,
    })
    const [part] = await connection.send(request, 5_000)
    connection.close()
    const counts: number[] = []
    const bytes = part?.batches ?? Buffer.alloc(0)
    for (let at = 0; at < bytes.length; at += 12 + bytes.readInt32BE(at + 8))
      counts.push(bytes.readInt32BE(at + 57))
    return counts
  }

  function reading(): void {
    test('the reader passes over the empty batches that the log cleaner really leaves', async ({
      signal,
    }) => {
      await using log = open()
      const target = await partition(signal, 'compact')
      {
        await using first = await log.openWriter(`${target.topic}-1`, { signal })
        await first.append(target, records('key', 20), { signal })
      }
      await using second = await log.openWriter(`${target.topic}-2`, { signal })
      await second.append(target, records('key', 20), { signal })
      await compactNow(brokers, target.topic, FILLER_KEY)
      // The broker keeps the first writer's batch without its records, for its sequence number.
      expect((await batchCounts(target))[0]).toBe(0)
      expect((await readAll(log, target, { signal })).map(({ offset }) => offset)).toEqual(
        Array.from({ length: 20 }, (_, i) => 20 + i),
      )
      const found: LogRecord[] = []
      for await (const one of log.readBackwards(target, { signal }))
        if (keyOf(one) !== FILLER_KEY) found.push(one)
      expect(found).toHaveLength(20)
    })

    test('control records take up offsets, and reading reaches the end behind them', async ({ signal }) => {
      await using log = open()
      const target = await partition(signal)
      const producer = new Kafka({
        clientId: 'outside',
        brokers: [brokers],
        logLevel: logLevel.NOTHING,
      }).producer({
        transactionalId: target.topic,
        maxInFlightRequests: 1,
      })
      await producer.connect()
      const transaction = await producer.transaction()
      await transaction.send({ topic: target.topic, messages: [{ key: 'a', value: '1' }] })
      await transaction.commit()
      await producer.disconnect()
      // The broker writes the marker after it has answered the commit.
      await expect.poll(() => log.offsets(target, { signal })).toEqual({ low: 0, end: 2 })
      let position = 0
      const keys: string[] = []
      for await (const batch of log.read(target, { signal, from: 0, to: 2 })) {
        keys.push(...batch.records.map(keyOf))
        position = batch.nextOffset
      }
      expect([keys, position]).toEqual([['a'], 2])
      const last: string[] = []
      for await (const one of log.readBackwards(target, { signal })) last.push(keyOf(one))
      expect(last).toEqual(['a'])
    })

    test('records of 8 MB come through in several partitions at once, even with smaller buffers', async ({
      signal,
    }) => {
      await using log = open()
      const topic = `large-${process.pid}-${Date.now()}`
      await log.ensureTopics([{ topic, partitions: 3, cleanup: 'delete', maxRecordBytes: 9_000_000 }], {
        signal,
      })
      const value = Buffer.alloc(8_000_000, 7)
      for (const number of [0, 1, 2])
        for (const key of ['a', 'b'])
          await log.append({ topic, partition: number }, [{ key: Buffer.from(key), value }], { signal })
      const found = await Promise.all(
        [0, 1, 2].map(number =>
          readAll(log, { topic, partition: number }, { signal, bufferBytes: 1_000_000 }),
        ),
      )
      for (const each of found) {
        expect(each.map(keyOf)).toEqual(['a', 'b'])
        for (const one of each) expect(Buffer.compare(one.value ?? Buffer.alloc(0), value)).toBe(0)
      }
    })

    test('a topic that the broker compresses is read, or the error says what to change', async ({
      signal,
    }) => {
      await using log = open()
      for (const codec of ['gzip', 'zstd', 'snappy', 'lz4']) {
        const target = { topic: `${codec}-${process.pid}-${Date.now()}`, partition: 0 }
        // The topic has the codec from the start, because a broker applies a changed setting only some time
        // later.
        const configEntries = [{ name: 'compression.type', value: codec }]
        await withAdmin(brokers, admin =>
          admin.createTopics({ topics: [{ topic: target.topic, numPartitions: 1, configEntries }] }),
        )
        await log.append(target, records('r', 50, 500), { signal })
        const found = await readAll(log, target, { signal })
        if (codec === 'snappy' || codec === 'lz4') {
          // An unreadable record may be ours, since the broker compresses every record.
          expect(found.map(({ unreadable }) => unreadable?.isForeign)).toEqual([false])
          expect(found[0]?.unreadable?.error.message).toMatch(new RegExp(`${codec}.*compression\\.type`))
        } else
          expect(found.map(keyOf)).toEqual(records('r', 50).map(({ key }) => Buffer.from(key).toString()))
      }
    })

    test('records of other clients are read: gzip, headers, no key', async ({ signal }) => {
      await using log = open()
      const target = await partition(signal)
      const producer = new Kafka({
        clientId: 'outside',
        brokers: [brokers],
        logLevel: logLevel.NOTHING,
      }).producer()
      await producer.connect()
      const messages = [
        { key: 'a', value: 'x'.repeat(1000), headers: { h: 'v' } },
        { key: null, value: 'y' },
      ]
      await producer.send({ topic: target.topic, compression: CompressionTypes.GZIP, messages })
      await producer.disconnect()
      const found = await readAll(log, target, { signal })
      expect(found.map(keyOf)).toEqual(['a', ''])
    })

    test('a partition that is deleted fails its own reader and no other', async ({ signal }) => {
      await using log = open()
      const [stays, goes] = [await partition(signal), await partition(signal)]
      const failing = codeOf(follow(log, goes, { signal, count: 1 }))
      const following = follow(log, stays, { signal, count: 1 })
      await log.offsets(goes, { signal })
      await log.deleteTopics([goes.topic], { signal })
      expect(await failing).toBe('not-found')
      await log.append(stays, [record('still')], { signal })
      expect((await following).map(keyOf)).toEqual(['still'])
    })
  }

  function writing(): void {
    test('an append whose answer is lost is sent again, stored once, and acknowledged', async ({
      signal,
    }) => {
      await using proxy = await TcpProxy.start({ target: { host, port: Number(port) } })
      const address = { host: proxy.host, port: proxy.port }
      await using log = open({ brokers: [`${address.host}:${address.port}`], route: () => address })
      const target = await partition(signal)
      await using writer = await log.openWriter(`${target.topic}-writer`, { signal })
      await writer.append(target, [record('0')], { signal })
      for (let i = 1; i <= 5; i += 1) {
        await proxy.set({ kind: 'swallow' })
        const swallowed = proxy.swallowed()
        const appends = [writer, log].map(way => way.append(target, [record(`${i}`)], { signal }))
        await swallowed
        await proxy.set({ kind: 'pass' })
        proxy.cut()
        await Promise.all(appends)
      }
      expect(writer.state).toBe('open')
      await using plain = open()
      const keys = await keysIn(plain, target, { signal })
      expect(keys.toSorted()).toEqual(['0', ...['1', '2', '3', '4', '5'].flatMap(key => [key, key])])
    })

    test('a successor fences a writer that is waiting to send again', async ({ signal }) => {
      await using proxy = await TcpProxy.start({ target: { host, port: Number(port) } })
      const address = { host: proxy.host, port: proxy.port }
      await using away = open({ brokers: [`${address.host}:${address.port}`], route: () => address })
      await using log = open()
      const target = await partition(signal)
      await using first = await away.openWriter(target.topic, { signal })
      await first.append(target, [record('first')], { signal })
      await proxy.set({ kind: 'refuse' })
      const late = codeOf(first.append(target, [record('late')], { signal }))
      await using second = await log.openWriter(target.topic, { signal })
      await second.append(target, [record('takeover')], { signal })
      await proxy.set({ kind: 'pass' })
      expect(await late).toBe('fenced')
      expect(await keysIn(log, target, { signal })).toEqual(['first', 'takeover'])
    })

    test('waiting appends are joined, and each knows its own offset', async ({ signal }) => {
      await using log = open()
      const target = await partition(signal)
      await using writer = await log.openWriter(target.topic, { signal })
      const sizes = Array.from({ length: 200 }, (_, i) => 1 + (i % 3))
      const results = await Promise.all(
        sizes.map((size, i) => writer.append(target, records(`${i}`, size), { signal })),
      )
      let offset = 0
      for (const [i, size] of sizes.entries()) {
        expect(results[i]?.baseOffset).toBe(offset)
        offset += size
      }
      expect((await batchCounts(target)).length).toBeLessThan(100)
      expect(await keysIn(log, target, { signal })).toHaveLength(offset)
    })
  }

  function groups(): void {
    test('a commit for the partition of another member is refused, although a broker would accept it', async ({
      signal,
    }) => {
      await using log = open()
      const topic = `${Date.now()}-g`
      await log.ensureTopics([{ topic, partitions: 2, cleanup: 'delete' }], { signal })
      const changes = new Notifier()
      await using a = new Watched(await log.join(topic, [topic], { signal }), changes)
      await using b = new Watched(await log.join(topic, [topic], { signal }), changes)
      await until(changes, { signal }, () => isShared([a, b], 2))
      for (const [one, other] of [
        [a, b],
        [b, a],
      ] as const) {
        const [own = '', others = ''] = [one.owned[0], other.owned[0]].map(each => each?.split('/')[1])
        expect(await one.membership.commit({ topic, partition: Number(own) }, 1, { signal })).toBe(true)
        expect(await one.membership.commit({ topic, partition: Number(others) }, 2, { signal })).toBe(false)
      }
      expect(await log.committed(topic, topic, { signal })).toEqual([1, 1])
    })

    test('a group whose topic has been deleted goes on with its other topics', async ({ signal }) => {
      await using log = open()
      const [stays, goes] = [await partition(signal), await partition(signal)]
      const changes = new Notifier()
      const topicsOfBoth = [stays.topic, goes.topic]
      await using a = new Watched(await log.join(stays.topic, topicsOfBoth, { signal }), changes)
      await until(changes, { signal }, () => a.owned.length === 2)
      await log.deleteTopics([goes.topic], { signal })
      await using b = new Watched(await log.join(stays.topic, [stays.topic], { signal }), changes)
      await until(changes, { signal }, () => a.owned.length + b.owned.length === 1 && b.seen.length > 0)
    })
  }

  function topics(): void {
    test('more replicas than brokers is an error that says so, at once', async ({ signal }) => {
      await using log = open({ replication: 3 })
      const made = log.ensureTopics([{ topic: `${Date.now()}-r`, partitions: 1, cleanup: 'delete' }], {
        signal,
      })
      await expect(made).rejects.toMatchObject({ code: 'config' })
    })
  }
})
