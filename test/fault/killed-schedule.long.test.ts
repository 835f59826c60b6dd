/**
 * A schedule on Kafka, with two detectors. The one at work is killed again and again. No instant has two
 * runs, and what was missed while nobody was there is made up for once.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startScriptedApi, type ScriptedApi } from '@sluice/testkit/scripted-api'
import { realServices, startDistributed, type Distributed } from '../e2e/distributed.ts'
import { manyPeople, peopleYaml, SYNC } from '../e2e/people-project.ts'
import { projectFolder, type ProjectFolder } from '../e2e/project-folder.ts'

const EVERY_MS = 5_000
const KILLS = 2

describe.skipIf(realServices() === null)('a schedule on Kafka', { timeout: 600_000 }, () => {
  let api: ScriptedApi
  let services: Distributed
  let project: ProjectFolder

  beforeEach(async ({ onTestFailed }) => {
    api = await startScriptedApi()
    services = await startDistributed({ counts: { 'change-detector': 2 } })
    onTestFailed(() => void process.stderr.write(services.logs()))
    const sync = `schedule: { every: ${EVERY_MS / 1_000}s }`
    const files = { 'project.yaml': peopleYaml({ sync }), 'people.csv': manyPeople(3) }
    project = await projectFolder({ files, env: { API_URL: api.url, ...services.env } })
  })
  afterEach(async () => {
    await project[Symbol.asyncDispose]()
    await services[Symbol.asyncDispose]()
    await api[Symbol.asyncDispose]()
  })

  /** The instants at which the runs that the schedule started were due, the oldest first. */
  async function dues(): Promise<number[]> {
    const runs = await project.runs()
    return runs.flatMap(({ dueAt }) => (dueAt === undefined ? [] : [Date.parse(dueAt)])).reverse()
  }

  it('starts one run for each instant, whoever is killed', async () => {
    await project.run(SYNC)
    const detectors = services.of('change-detector')
    for (let kill = 0; kill < KILLS; kill += 1) {
      const before = (await dues()).length
      await expect.poll(async () => (await dues()).length, { timeout: 60_000 }).toBeGreaterThan(before)
      const isAtWork = ({ log }: (typeof detectors)[number]): number =>
        log.findLastIndex(line => line.msg === 'the run has begun')
      const killed = detectors.toSorted((a, b) => isAtWork(b) - isAtWork(a))[0]
      await killed?.kill()
      await killed?.start()
    }
    const before = (await dues()).length
    await expect.poll(async () => (await dues()).length, { timeout: 60_000 }).toBeGreaterThan(before)
    for (const detector of detectors) await detector.stop()
    const all = await dues()
    // A run that was cut has another one in its place, which is due at the same instant.
    const cut = (await project.runs()).filter(({ status }) => status === 'failed').length
    expect(all.length - new Set(all).size).toBeLessThanOrEqual(cut)
    expect(all.toSorted((a, b) => a - b)).toEqual(all)
    expect(new Set(all.map(at => at % EVERY_MS)).size).toBe(1)

    // One run makes up for all instants that pass while nobody is there.
    const stoppedAt = Date.now()
    await expect.poll(() => Date.now() - stoppedAt, { timeout: 60_000 }).toBeGreaterThan(4 * EVERY_MS)
    const startedAt = Date.now()
    await detectors[0]?.start()
    await expect.poll(async () => (await dues()).length, { timeout: 60_000 }).toBeGreaterThan(all.length)
    const missed = (await dues()).filter(at => at > (all.at(-1) ?? 0) && at <= startedAt - EVERY_MS)
    expect(missed.length).toBeLessThanOrEqual(1)
  })
})
