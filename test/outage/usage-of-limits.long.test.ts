/**
 * A console on Kafka tells how much of the limits is in use, and goes on without that while Redis is away.
 */
import { destinationsPage, type DestinationsPage } from '@sluice/contracts/api/operating'
import { startScriptedApi } from '@sluice/testkit/scripted-api'
import { describe, expect, it } from 'vitest'
import { startServices } from '../../deploy/local/services.ts'
import { realServices, startDistributed } from '../e2e/distributed.ts'
import { peopleCsv, peopleYaml, SYNC } from '../e2e/people-project.ts'
import { finished, projectFolder } from '../e2e/project-folder.ts'

const UNDER_WAY = 7
const LIMIT = 10
const WITHIN = { timeout: 30_000, interval: 200 }
/** The second that the console waits for limits, and some time for a busy machine. */
const AT_ONCE_MS = 3_000

describe.skipIf(realServices() === null)('a console on Kafka', () => {
  it('tells what is in use, and no figure while Redis is away', { timeout: 120_000 }, async () => {
    await using opened = new AsyncDisposableStack()
    const started = opened.use(await startServices(['redis'], { engine: 'native' }))
    const redis = started.get('redis')
    const api = opened.use(await startScriptedApi())
    const gate = Promise.withResolvers<object>()
    api.on({}, () => gate.promise)
    const env = { SLUICE_REDIS_URL: redis.address, API_URL: api.url }
    const services = opened.use(await startDistributed({ env }))
    const { url } = await services.add('console')
    const yaml = peopleYaml({ destination: `limits: { concurrency: ${LIMIT} }`, sync: 'timeout: 60s' })
    const rows = Array.from({ length: UNDER_WAY }, (_, id) => `${id},Ann`)
    const project = opened.use(
      await projectFolder({
        files: { 'project.yaml': yaml, 'people.csv': peopleCsv(...rows) },
        env: { ...env, ...services.env },
      }),
    )
    const told = async (): Promise<DestinationsPage['destinations'][number]['concurrency'] | undefined> => {
      const answer = await fetch(`${url}/api/v1/destinations`)
      return destinationsPage.parse(await answer.json()).destinations[0]?.concurrency
    }
    const inUse = async (): Promise<number | null | undefined> => (await told())?.inUse
    const command = finished(project.start('run', SYNC))
    await api.waitFor(UNDER_WAY)
    await expect.poll(told, WITHIN).toEqual({ limit: LIMIT, inUse: UNDER_WAY })
    for (const [stop, start] of [
      [async () => redis.freeze(), async () => redis.thaw()],
      [() => redis.kill(), () => redis.start()],
    ] as const) {
      await stop()
      const asked = performance.now()
      expect(await told()).toEqual({ limit: LIMIT, inUse: null })
      expect(performance.now() - asked).toBeLessThan(AT_ONCE_MS)
      expect((await fetch(`${url}/api/v1/syncs`)).status).toBe(200)
      await start()
      await expect.poll(inUse, WITHIN).toBe(UNDER_WAY)
    }
    gate.resolve({})
    await command
    await expect.poll(inUse, WITHIN).toBe(0)
  })
})
