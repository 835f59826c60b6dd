/** Kafka and a schema registry for the services in one process, if the tests have them. */
import { randomUUID } from 'node:crypto'
import { inject } from 'vitest'
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import { createRegistryCodec } from '@sluice/schema-codec/adapters/registry'
import type { TestLogAdapters } from '@sluice/testkit/test-log'

const brokers = inject('kafkaBrokers')
const url = inject('registryUrl')

export const hasKafka = brokers !== null && url !== null

/** Under a prefix of its own, which begins with the name. */
export function onKafka(name: string): TestLogAdapters {
  const prefix = `${name}-${randomUUID()}`
  const log = createKafkaLog({ brokers: [brokers ?? ''], clientId: prefix })
  return { prefix, log, codec: createRegistryCodec({ url: url ?? '', clientId: prefix }) }
}
