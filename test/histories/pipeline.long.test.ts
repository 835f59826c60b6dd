/**
 * Many random histories on the pipeline itself, embedded: the services, the DuckDB state and the SQLite log.
 */
import { randomInt } from 'node:crypto'
import { describe, it } from 'vitest'
import { forPipeline } from './pipeline-plan.ts'
import { playMany } from './play-many.ts'
import { playPipeline } from './play-pipeline.ts'

const HISTORIES = 50
const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? randomInt(2 ** 31))

describe(`random histories of the embedded pipeline (SLUICE_TEST_SEED=${SEED})`, () => {
  it('converge whatever dies when, and send nothing that is not needed', { timeout: 600_000 }, async () => {
    await playMany(forPipeline(SEED, HISTORIES), plan => playPipeline(plan))
  })
})
