/**
 * Processes of the last release and of this version work side by side on the same topics, under load. An
 * upgrade replaces one process after the other, and a downgrade does the same. The judge is what the API
 * receives. SLUICE_TEST_SEED plays a plan of kills again.
 */
import { randomInt } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { randomFrom } from '@sluice/testkit/random'
import { realServices } from '../e2e/distributed.ts'
import { installLastRelease, LAST_RELEASE } from '../e2e/last-release.ts'
import { planKills } from './kills.ts'
import { published, startPipeline, type Pipeline } from './people-pipeline.ts'
import { judgeKills, runWithKills } from './run-with-kills.ts'

const PEOPLE = 4_000
/** So slow that a run outlasts the replacement of six processes. */
const RATE = 150
const TWO_EACH = { 'change-detector': 2, renderer: 2, delivery: 2 }
const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? randomInt(2 ** 31))
const KILLS = Number(process.env['SLUICE_TEST_KILLS'] ?? 9)
const PER_RUN = 3

describe.skipIf(realServices() === null)(
  `processes of ${LAST_RELEASE.version} and of this version (SLUICE_TEST_SEED=${SEED})`,
  () => {
    it('replace each other during a run, both ways, and no request is repeated', async () => {
      await using last = await installLastRelease()
      const { program } = last
      await using pipeline = await startPipeline({ people: PEOPLE, rate: RATE, counts: TWO_EACH, program })
      const { project } = pipeline
      const ours = project.program
      // The command is older than the services in the second run, and newer in the others.
      project.program = program
      await replacedDuring(pipeline, { version: 1, by: ours })
      await replacedDuring(pipeline, { version: 2, by: program })
      project.program = ours
      await replacedDuring(pipeline, { version: 3, by: ours })
      await pipeline.auditTopics()
    }, 300_000)

    it(
      `lose nothing and repeat little, over ${KILLS} kills`,
      { timeout: 120_000 + KILLS * 30_000 },
      async () => {
        await using last = await installLastRelease()
        await using pipeline = await startPipeline({
          ...{ people: PEOPLE, rate: 2_000, timeout: '1s', counts: TWO_EACH, program: last.program },
        })
        const { project, services } = pipeline
        const ours = project.program
        // One process of each service is of this version.
        for (const process of services.processes.filter(({ label }) => label.endsWith('-2'))) {
          await process.stop()
          process.program = ours
          await process.start()
        }
        const plan = planKills(randomFrom(SEED).next, { kills: KILLS, perRun: PER_RUN, requests: PEOPLE })
        for (const [index, kills] of plan.entries()) {
          project.program = index % 2 === 0 ? ours : last.program
          const after = await runWithKills(pipeline, kills, {
            version: index + 1,
            // A killed process comes back in the other version.
            onKilled: dead => void (dead.program = dead.program === ours ? last.program : ours),
          })
          judgeKills(after)
        }
        await pipeline.auditTopics()
      },
    )
  },
)

/** A run during which each process is stopped and started again, in another version. */
async function replacedDuring(
  pipeline: Pipeline,
  { version, by }: { readonly version: number; readonly by: string },
): Promise<void> {
  const { services, api } = pipeline
  const before = api.requests.length
  await pipeline.rename(version)
  const run = pipeline.run()
  await published(pipeline, run)
  for (const service of services.processes) {
    expect(await service.stop(), `${service.label}: ${services.logs(20)}`).toBe(0)
    service.program = by
    await service.start()
  }
  expect(api.requests.length - before, 'the run was over before the last one').toBeLessThan(PEOPLE)
  expect(await run, services.logs()).toMatchObject({ exitCode: 0, view: { status: 'success' } })
  await api.settled()
  const sent = pipeline.sentOf(version)
  expect(new Set(sent.map(({ url }) => url)).size).toBe(PEOPLE)
  expect(sent.length, services.logs()).toBe(PEOPLE)
  expect(api.requests.length - before).toBe(PEOPLE)
}
