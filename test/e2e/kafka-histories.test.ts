/** Random histories on the pipeline with Kafka and a schema registry, all services in one process. */
import { randomInt, randomUUID } from 'node:crypto'
import { describe, inject, it } from 'vitest'
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import { createRegistryCodec } from '@sluice/schema-codec/adapters/registry'
import { forPipeline } from '../histories/pipeline-plan.ts'
import { playMany } from '../histories/play-many.ts'
import { playPipeline } from '../histories/play-pipeline.ts'

const HISTORIES = 20
const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? randomInt(2 ** 31))
const brokers = inject('kafkaBrokers')
const url = inject('registryUrl')

describe.skipIf(brokers === null || url === null)(
  `random histories on Kafka (SLUICE_TEST_SEED=${SEED})`,
  () => {
    it('converge whatever dies when, and send nothing that is not needed', { timeout: 600_000 }, async () => {
      await playMany(forPipeline(SEED, HISTORIES), plan => {
        const prefix = `histories-${randomUUID()}`
        const log = createKafkaLog({ brokers: [brokers ?? ''], clientId: prefix })
        const codec = createRegistryCodec({ url: url ?? '', clientId: prefix })
        return playPipeline(plan, { prefix, log, codec })
      })
    })
  },
)
