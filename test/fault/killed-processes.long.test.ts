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
import { SYNC } from '../e2e/people-project.ts'
import { finished } from '../e2e/project-folder.ts'
import { aftermaths, type Aftermath } from './aftermath.ts'
import { carryOut, planKills, standing, type PlannedKill } from './kills.ts'
import { startPipeline, type Pipeline } from './people-pipeline.ts'

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
          for (const aftermath of await runWith(pipeline, killsOfRun, index + 1)) {
            process.stderr.write(`${told(aftermath)}\n`)
            const { wentOnMs, wentOnAllowedMs, repeats, repeatsAllowed } = aftermath
            expect.soft(repeats, told(aftermath)).toBeLessThanOrEqual(repeatsAllowed)
            expect.soft(wentOnMs ?? 0, told(aftermath)).toBeLessThanOrEqual(wentOnAllowedMs)
          }
        }
        // Renderers and delivery that die healthy have come further, or had nothing to do.
        const logged = pipeline.services.processes.flatMap(({ log }) => log)
        expect(logged.filter(({ msg }) => /^(?!2 )\d+ processes in a row died/.test(msg))).toEqual([])
        await pipeline.auditTopics()
      },
    )
  })
}

/** One run, with kills, until every person has arrived. */
async function runWith(
  pipeline: Pipeline,
  plan: readonly PlannedKill[],
  version: number,
): Promise<readonly Aftermath[]> {
  await pipeline.rename(version)
  const before = await standing(pipeline)
  const command = finished(pipeline.project.start('run', SYNC))
  const kills = await carryOut(pipeline, plan, before)
  await command
  await pipeline.succeeded()
  await pipeline.api.settled()
  const sent = pipeline.sentOf(version)
  expect(new Set(sent.map(({ url }) => url)).size, pipeline.services.logs()).toBe(PEOPLE)
  expect(pipeline.api.requests.length - before.sent).toBe(sent.length)
  return aftermaths(pipeline, kills, sent)
}

function told({ kill, wentOnMs, wentOnAllowedMs, repeats, repeatsAllowed }: Aftermath): string {
  const { number, label, at, watched, restartAfterMs } = kill
  const moment = watched === 'own stage' ? `its ${at}th record` : `the ${at}th request`
  const went =
    wentOnMs === null
      ? 'nothing was left to do'
      : `went on after ${wentOnMs} of at most ${wentOnAllowedMs} ms`
  const again = kill.service === 'delivery' ? `, ${repeats} of at most ${repeatsAllowed} repeated` : ''
  return `kill ${number}: ${label} at ${moment}: ${went}${again}; replaced after ${restartAfterMs} ms`
}

/** SLUICE_TEST_KILLS sets how many kills there are. */
killedProcessesSuite(Number(process.env['SLUICE_TEST_KILLS'] ?? 12))
