import { randomUUID } from 'node:crypto'
import { describe, expect, inject, test } from 'vitest'
import { TcpProxy } from '@sluice/testkit/tcp-proxy'
import { FILLER_KEY, messageLogContract } from '../contract.ts'
import { compactNow, forgetGroup } from './kafka-test-cluster.ts'
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

  test('a log that is to make no topics says which are missing and how to make them', async ({ signal }) => {
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
})
