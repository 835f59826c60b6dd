/**
 * `delivery: at-most-once` on Kafka, with two processes of each service, killed with SIGKILL at random
 * moments. No request is sent twice. Every row has arrived, or `sluice failed` shows it until somebody
 * decides.
 *
 * SLUICE_TEST_SEED plays a plan again.
 */
import { randomInt } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { randomFrom } from '@sluice/testkit/random'
import { realServices } from '../e2e/distributed.ts'
import { SYNC } from '../e2e/people-project.ts'
import { finished } from '../e2e/project-folder.ts'
import { carryOut, planKills, standing } from './kills.ts'
import { CONCURRENCY, startPipeline, type Pipeline } from './people-pipeline.ts'

const PEOPLE = 2_000
const KILLS = 6
const PER_RUN = 3
/** Nothing is sent for a row that an earlier kill left in doubt, so a later run sends fewer than all. */
const SURELY_SENT = PEOPLE - KILLS * 2 * CONCURRENCY
const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? randomInt(2 ** 31))

describe.skipIf(realServices() === null)(`at-most-once (SLUICE_TEST_SEED=${SEED})`, () => {
  it('sends no request twice, and shows each row in doubt', { timeout: 500_000 }, async () => {
    const plan = planKills(randomFrom(SEED).next, { kills: KILLS, perRun: PER_RUN, requests: SURELY_SENT })
    await using pipeline = await startPipeline({
      ...{ people: PEOPLE, rate: 400, timeout: '1s', sync: 'delivery: at-most-once' },
      counts: { 'change-detector': 2, renderer: 2, delivery: 2 },
    })
    const { project, services } = pipeline
    /** Rows that are in doubt since an earlier version: nothing is sent for them. */
    let before: ReadonlySet<string> = new Set()
    for (const [index, kills] of plan.entries()) {
      const version = index + 1
      await pipeline.rename(version)
      const from = await standing(pipeline)
      const command = finished(project.start('run', SYNC))
      const killed = await carryOut(pipeline, kills, { before: from })
      await command
      await pipeline.settled()
      // This run sends the rows that no process had come to.
      await pipeline.run()
      await pipeline.settled()
      const doubted = await inDoubt(pipeline)
      const arrived = await arrivedOf(pipeline, version)
      const told = `version ${version}: ${arrived.size} arrived, ${doubted.size} in doubt`
      process.stderr.write(`${told}\n`)
      const deaths = killed.filter(({ service }) => service === 'delivery').length
      const fresh = [...doubted].filter(key => !before.has(key))
      expect(fresh.length, told).toBeLessThanOrEqual(deaths * 2 * CONCURRENCY)
      for (let id = 0; id < PEOPLE; id += 1) {
        const key = String(id)
        expect(arrived.has(key) || doubted.has(key), `${told}: row ${id} is lost; ${services.logs()}`).toBe(
          true,
        )
        if (before.has(key)) expect(arrived.has(key), `${told}: row ${id} was in doubt before`).toBe(false)
      }
      for (const key of before) expect(doubted.has(key), `${told}: row ${key} is forgotten`).toBe(true)
      before = doubted
    }
    await decide(pipeline, [...before])
    await pipeline.auditTopics()
  })
})

/** The rows of which nobody knows whether they arrived. */
async function inDoubt({ project }: Pipeline): Promise<ReadonlySet<string>> {
  const failed = await project.failed(SYNC)
  expect(failed.filter(({ outcome }) => outcome !== 'unknown')).toEqual([])
  return new Set(failed.map(({ key }) => key))
}

/** The rows of a version that the API was sent; throws if it was sent one of them twice. */
async function arrivedOf(pipeline: Pipeline, version: number): Promise<ReadonlySet<string>> {
  await pipeline.api.settled()
  const sent = pipeline.sentOf(version).map(({ url }) => url.replace('/people/', ''))
  const arrived = new Set(sent)
  expect(sent.length - arrived.size, `requests of version ${version} that were sent twice`).toBe(0)
  return arrived
}

/** One row in doubt is sent again, the others are given up, and then nothing is in doubt. */
async function decide(pipeline: Pipeline, doubted: readonly string[]): Promise<void> {
  const { project, api } = pipeline
  const sent = (): readonly string[] => api.requests.map(({ url }) => url)
  const before = sent().length
  const [first] = doubted
  if (first === undefined) return
  await project.sluice('retry', SYNC, '--key', first)
  await api.settled()
  expect(sent().slice(before)).toEqual([`/people/${first}`])
  expect(await inDoubt(pipeline)).toEqual(new Set(doubted.slice(1)))
  await project.sluice('discard', SYNC)
  expect(await inDoubt(pipeline)).toEqual(new Set())
  await pipeline.run()
  await api.settled()
  expect(sent().length - before, 'what was given up is not sent').toBe(1)
}
