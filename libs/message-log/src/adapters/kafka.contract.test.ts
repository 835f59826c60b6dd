import { describe, inject } from 'vitest'
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
})
