/**
 * `kill -9` of each process at random moments, with two processes of each service. Nothing is lost, and the
 * others go on. The number of repeated requests is bounded, and they carry the same key (R7, R8).
 *
 * SLUICE_TEST_SEED plays a plan again.
 */
import { randomInt } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { randomFrom } from '@sluice/testkit/random'
import { realServices } from '../e2e/distributed.ts'
import { planKills } from './kills.ts'
import { startPipeline } from './people-pipeline.ts'
import { judgeKills, runWithKills } from './run-with-kills.ts'

const PEOPLE = 5_000
const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? randomInt(2 ** 31))
const PER_RUN = 4
const TWO_EACH = { 'change-detector': 2, renderer: 2, delivery: 2 }

/** `kills` in all, of the services in turn, four in a run. */
function killedProcessesSuite(kills: number): void {
  describe.skipIf(realServices() === null)(`kills at random moments (SLUICE_TEST_SEED=${SEED})`, () => {
    it(
      `lose nothing and repeat little, over ${kills} kills`,
      { timeout: 60_000 + kills * 30_000 },
      async () => {
        const plan = planKills(randomFrom(SEED).next, { kills, perRun: PER_RUN, requests: PEOPLE })
        await using pipeline = await startPipeline({
          people: PEOPLE,
          rate: 2_000,
          timeout: '1s',
          counts: TWO_EACH,
        })
        for (const [index, killsOfRun] of plan.entries()) {
          judgeKills(await runWithKills(pipeline, killsOfRun, { version: index + 1 }))
        }
        // Renderers and delivery that die healthy have come further, or had nothing to do.
        const logged = pipeline.services.processes.flatMap(({ log }) => log)
        expect(logged.filter(({ msg }) => /^(?!2 )\d+ processes in a row died/.test(msg))).toEqual([])
        await pipeline.auditTopics()
      },
    )
  })
}

/** SLUICE_TEST_KILLS sets how many kills there are. */
killedProcessesSuite(Number(process.env['SLUICE_TEST_KILLS'] ?? 12))
