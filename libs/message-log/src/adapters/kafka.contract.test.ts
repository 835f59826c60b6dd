import { randomUUID } from 'node:crypto'
import { describe, expect, inject, test } from 'vitest'
import { Notifier } from '@sluice/flow/notifier'
import { TcpProxy } from '@sluice/testkit/tcp-proxy'
import { FILLER_KEY, messageLogContract } from '../../test/contract.ts'
import { follow, record, until } from '../../test/fixture.ts'
import { compactNow, forgetGroup } from '../../test/kafka-cluster.ts'
import type { LogStall } from '../port.ts'
import { createKafkaLog } from './kafka.ts'

const given = inject('kafkaBrokers')
const brokers = given ?? ''

describe.skipIf(given === null)('kafka', () => {
  messageLogContract('kafka', { remote: true }, async () => {
    const [host = '', port = ''] = brokers.split(':')
    const proxy = await TcpProxy.start({ target: { host, port: Number(port) } })
    const options = { brokers: [brokers], clientId: 'contract' }
    return {
      open: async () => createKafkaLog(options),
      compactNow: topic => compactNow(brokers, topic, FILLER_KEY),
      forgetGroup: group => forgetGroup(brokers, group),
      faults: {
        proxy,
        open: async () =>
          createKafkaLog({
            ...options,
            brokers: [`${proxy.host}:${proxy.port}`],
            route: () => ({ host: proxy.host, port: proxy.port }),
            retryMs: 3_000,
            requestTimeoutMs: 1_000,
          }),
      },
      close: async () => proxy[Symbol.asyncDispose](),
    }
  })

  test('the log reports once that Kafka stops answering, and once that it answers again', async ({
    signal,
  }) => {
    const [host = '', port = ''] = brokers.split(':')
    await using proxy = await TcpProxy.start({ target: { host, port: Number(port) } })
    const told: LogStall[] = []
    const changes = new Notifier()
    await using log = createKafkaLog({
      brokers: [`${proxy.host}:${proxy.port}`],
      clientId: 'contract',
      route: () => ({ host: proxy.host, port: proxy.port }),
      requestTimeoutMs: 1_000,
      onStall: stall => {
        told.push(stall)
        changes.notify()
      },
    })
    const target = { topic: `stall.${randomUUID()}`, partition: 0 }
    await log.ensureTopics([{ topic: target.topic, partitions: 1, cleanup: 'delete' }], { signal })
    await log.append(target, [record('a')], { signal })
    const reading = follow(log, target, { signal, count: 2 })
    await proxy.set({ kind: 'swallow' })
    const appending = log.append(target, [record('b')], { signal })
    await until(changes, { signal }, () => told.length > 0)
    expect(told).toMatchObject([{ kind: 'stalled', what: expect.stringContaining(target.topic) }])
    await proxy.set({ kind: 'pass' })
    proxy.cut()
    await Promise.all([appending, reading])
    await until(changes, { signal }, () => told.length > 1)
    expect(told.map(({ kind }) => kind)).toEqual(['stalled', 'over'])
  })

  test('a log that may not make topics says which are missing and how to make them', async ({ signal }) => {
    await using log = createKafkaLog({ brokers: [brokers], clientId: 'contract', createTopics: false })
    await using maker = createKafkaLog({ brokers: [brokers], clientId: 'contract' })
    const spec = (what: string) => ({
      topic: `${what}.${randomUUID()}`,
      partitions: 3,
      cleanup: 'compact' as const,
    })
    const [there, missing] = [spec('there'), { ...spec('missing'), maxRecordBytes: 1_000_000 }]
    await maker.ensureTopics([there], { signal })
    await log.ensureTopics([there], { signal })
    const refused = await log.ensureTopics([there, missing], { signal }).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'not-found' })
    const [, command, ...others] = String(refused).split('\n')
    expect(others).toEqual([])
    expect(command).toContain(
      `kafka-topics.sh --bootstrap-server ${brokers} --create --topic ${missing.topic} --partitions 3`,
    )
    expect(command).toContain('--config cleanup.policy=compact')
    expect(command).toContain('--config max.message.bytes=1001024')
    expect(await log.partitionsOf(missing.topic, { signal })).toBeNull()
  })

  test('a topic that was made again has another id', async ({ signal }) => {
    await using log = createKafkaLog({ brokers: [brokers], clientId: 'contract' })
    const spec = { topic: `again.${randomUUID()}`, partitions: 3, cleanup: 'delete' as const }
    expect(await log.identify(spec.topic, { signal })).toBeNull()
    await log.ensureTopics([spec], { signal })
    const first = await log.identify(spec.topic, { signal })
    expect(first).toEqual({ id: expect.stringMatching(/^(?!0{32})[0-9a-f]{32}$/), partitions: 3 })
    expect(await log.identify(spec.topic, { signal })).toEqual(first)
    await log.deleteTopics([spec.topic], { signal })
    await log.ensureTopics([spec], { signal })
    expect((await log.identify(spec.topic, { signal }))?.id).not.toBe(first?.id)
  })
})
