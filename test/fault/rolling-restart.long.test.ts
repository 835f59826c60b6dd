/**
 * All processes are restarted one after the other, as in a deployment, while a run is being delivered. Once
 * its changes are published, the restarts do not show from outside.
 */
import { describe, expect, it } from 'vitest'
import { realServices } from '../e2e/distributed.ts'
import { published, startPipeline } from './people-pipeline.ts'

const PEOPLE = 4_000
/** So slow that the run outlasts the restarts. */
const RATE = 150
const TWO_EACH = { 'change-detector': 2, renderer: 2, delivery: 2 }

describe.skipIf(realServices() === null)('a rolling restart', () => {
  it('repeats no request and lets the run succeed', { timeout: 150_000 }, async () => {
    await using pipeline = await startPipeline({ people: PEOPLE, rate: RATE, counts: TWO_EACH })
    const { services, api } = pipeline
    await pipeline.rename(1)
    const run = pipeline.run()
    await published(pipeline, run)
    for (const service of services.processes) {
      expect(await service.stop(), `${service.label}: ${services.logs(20)}`).toBe(0)
      await service.start()
    }
    process.stderr.write(
      `${api.requests.length} of ${PEOPLE} requests were sent at the end of the restarts\n`,
    )
    expect(api.requests.length, 'the run was over before the last restart').toBeLessThan(PEOPLE)
    expect(await run, services.logs()).toMatchObject({
      exitCode: 0,
      view: {
        status: 'success',
        triggers: { added: { delivered: PEOPLE, requests: PEOPLE, attempts: PEOPLE } },
      },
    })
    await api.settled()
    expect(api.requests.length, services.logs()).toBe(PEOPLE)
    await pipeline.auditTopics()
    expect((await pipeline.settled()).map(({ status }) => status)).toEqual(['success'])
  })
})
