/**
 * A process of each service is stopped (SIGSTOP) for longer than the others wait for it. It wakes while its
 * successors are at work. It writes no more records, and only requests that were in flight are sent twice.
 */
import { describe, expect, it } from 'vitest'
import { sleep } from '@sluice/flow/sleep'
import { realServices, SERVICE_NAMES, type ServiceName, type ServiceProcess } from '../e2e/distributed.ts'
import { SYNC } from '../e2e/people-project.ts'
import { finished } from '../e2e/project-folder.ts'
import { aftermaths } from '../fault/aftermath.ts'
import { momentOf, STAGE_OF, standing, victimOf, type Before, type Kill } from '../fault/kills.ts'
import { startPipeline, type Pipeline } from '../fault/people-pipeline.ts'

const PEOPLE = 5_000
/** So slow that a run lasts longer than a process is frozen. */
const RATE = 110
const RENAMED = 300
const FROZEN_MS = 30_000
const TWO_EACH = { 'change-detector': 2, renderer: 2, delivery: 2 }
const { signal } = new AbortController()

describe.skipIf(realServices() === null)('a process that is stopped for 30 s and continued', () => {
  it('writes no more records, sends no more requests, and works again', { timeout: 240_000 }, async () => {
    await using pipeline = await startPipeline({
      people: PEOPLE,
      rate: RATE,
      timeout: '1s',
      counts: TWO_EACH,
    })
    const { services, api, topics } = pipeline
    await pipeline.rename(1)
    const before = await standing(pipeline)
    const command = finished(pipeline.project.start('run', SYNC))
    const frozen = await Promise.all(SERVICE_NAMES.map(name => freezeOneOf(pipeline, name, before)))
    expect(api.requests.length, 'the run was over before the frozen went on').toBeLessThan(PEOPLE)
    await command
    await pipeline.succeeded()
    await api.settled()
    const sent = pipeline.sentOf(1)
    expect(new Set(sent.map(({ url }) => url)).size, services.logs()).toBe(PEOPLE)

    const kills = frozen.map(({ kill }) => kill)
    for (const { kill, wentOnMs, wentOnAllowedMs, repeats, repeatsAllowed } of await aftermaths(
      pipeline,
      kills,
      sent,
    )) {
      const went = wentOnMs === null ? 'nothing was left to do' : `the others went on after ${wentOnMs} ms`
      const told = `${kill.label}: ${went}, ${repeats} of at most ${repeatsAllowed} repeated`
      process.stderr.write(`${told}\n`)
      expect.soft(repeats, told).toBeLessThanOrEqual(repeatsAllowed)
      expect.soft(wentOnMs ?? 0, told).toBeLessThanOrEqual(wentOnAllowedMs)
    }
    for (const name of SERVICE_NAMES) await topics.assertFenced(STAGE_OF[name])
    for (const { service } of frozen) expect(service.running, `${service.label} has ended`).toBe(true)

    await pipeline.rename(2, RENAMED)
    expect(await pipeline.run(), services.logs()).toMatchObject({ exitCode: 0, view: { status: 'success' } })
    expect(pipeline.sentOf(2)).toHaveLength(RENAMED)
    await pipeline.auditTopics()
  })
})

/** Freezes the process at work, in the middle of its work, and wakes it later. */
async function freezeOneOf(
  pipeline: Pipeline,
  service: ServiceName,
  before: Before,
): Promise<{ readonly service: ServiceProcess; readonly kill: Kill }> {
  const watched = service === 'delivery' ? 'requests sent' : 'own stage'
  const moment = { number: 0, service, watched, at: 600, delayMs: 5, victim: 0, restartAfterMs: 0 } as const
  await momentOf(pipeline, moment, before)
  const frozen = await victimOf(pipeline, moment)
  const killedAt = Date.now()
  frozen.freeze()
  await sleep(FROZEN_MS, { signal })
  frozen.thaw()
  return { service: frozen, kill: { ...moment, label: frozen.label, killedAt } }
}
