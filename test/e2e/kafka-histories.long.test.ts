/** Random histories on the pipeline with Kafka and a schema registry, all services in one process. */
import { randomInt } from 'node:crypto'
import { describe, it } from 'vitest'
import { forPipeline } from '../histories/pipeline-plan.ts'
import { playMany } from '../histories/play-many.ts'
import { playPipeline } from '../histories/play-pipeline.ts'
import { hasKafka, onKafka } from './kafka-adapters.ts'

const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? randomInt(2 ** 31))

const HISTORIES = 10

describe.skipIf(!hasKafka)(`random histories on Kafka (SLUICE_TEST_SEED=${SEED})`, () => {
  it('converge whatever dies when, and send nothing that is not needed', { timeout: 600_000 }, async () => {
    await playMany(forPipeline(SEED, HISTORIES), plan => playPipeline(plan, onKafka('histories')))
  })
})
