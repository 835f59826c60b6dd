/**
 * Kafka, the schema registry and Redis are restarted in the middle of a run. The run ends as it would have
 * without that, and no process of Sluice ends. The test has these services for itself.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServices, type LocalServices, type ServiceName } from '../../deploy/local/services.ts'
import { realServices } from '../e2e/distributed.ts'
import { startPipeline, type Pipeline } from './people-pipeline.ts'

const PEOPLE = 2_000
const RATE = 250
/** Requests after which the service is restarted, once its processes are well in the run. */
const RESTART_AT = 500
const TWO_EACH = { 'change-detector': 2, renderer: 2, delivery: 2 }
const PARTITIONS = 4
/** The number of requests that a partition reads from the topic before their attempts are written. */
const UNFINISHED = 64

export interface Restarts {
  readonly services: readonly ServiceName[]
  readonly restarted: readonly ServiceName[]
}

/** Starts `services` for this test alone, and restarts those of `restarted` one after the other. */
export function restartedServicesSuite({ services, restarted }: Restarts): void {
  describe.skipIf(realServices() === null)('a service restarted within a run', { timeout: 150_000 }, () => {
    let own: LocalServices
    let pipeline: Pipeline
    let version = 0
    beforeAll(async () => {
      own = await startServices(services, { durableRegistry: services.includes('registry') })
      pipeline = await startPipeline({
        people: PEOPLE,
        rate: RATE,
        timeout: '1s',
        counts: TWO_EACH,
        env: own.env,
      })
    })
    afterAll(async () => {
      await pipeline?.[Symbol.asyncDispose]()
      await own?.[Symbol.asyncDispose]()
    })

    it.each(restarted)('%s: the run succeeds and every process lives', async name => {
      const { services: ours, api } = pipeline
      const pids = ours.processes.map(({ pid }) => pid)
      const before = api.requests.length
      await pipeline.rename((version += 1))
      const run = pipeline.run()
      await api.waitFor(requests => requests.length - before >= RESTART_AT)
      const downMs = await timed(() => own.get(name).restart())
      const { exitCode, view } = await run
      expect({ exitCode, view }, ours.logs()).toMatchObject({ exitCode: 0, view: { status: 'success' } })
      await api.settled()

      const sent = pipeline.sentOf(version)
      const keys = new Set(sent.map(({ url, headers }) => `${url} ${headers['idempotency-key'] ?? ''}`))
      expect(new Set(sent.map(({ url }) => url)).size).toBe(PEOPLE)
      expect(keys.size, 'a repeat has another key').toBe(PEOPLE)
      const told = `${name} was away for ${downMs} ms: ${sent.length - PEOPLE} requests were repeated`
      process.stderr.write(`${told}\n`)
      expect(sent.length - PEOPLE, told).toBeLessThanOrEqual(name === 'kafka' ? PARTITIONS * UNFINISHED : 0)
      expect(
        ours.processes.map(one => (one.running ? one.pid : one.label)),
        ours.logs(),
      ).toEqual(pids)
      await pipeline.auditTopics()
    })
  })
}

async function timed(action: () => Promise<void>): Promise<number> {
  const startedMs = performance.now()
  await action()
  return Math.round(performance.now() - startedMs)
}
