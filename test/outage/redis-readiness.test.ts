/** A process that cannot reach Redis says so at `/readyz`, and says when Redis is back. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { startServices, type LocalServices } from '../../deploy/local/services.ts'
import { realServices, startDistributed, type Distributed } from '../e2e/distributed.ts'

const WITHIN = { timeout: 30_000, interval: 200 }

describe.skipIf(realServices() === null)('without Redis', () => {
  let redis: LocalServices
  let services: Distributed

  beforeAll(async () => {
    redis = await startServices(['redis'], { engine: 'native' })
    services = await startDistributed({ env: { SLUICE_REDIS_URL: redis.get('redis').address } })
  })
  afterAll(async () => {
    await services[Symbol.asyncDispose]()
    await redis.stop()
  })

  const answers = (): Promise<readonly { status: number; body: string }[]> =>
    Promise.all(
      services.processes.map(async ({ url }) => {
        const answer = await fetch(`${url}/readyz`)
        return { status: answer.status, body: await answer.text() }
      }),
    )

  it('no process is ready, with the reason, until it is back', async () => {
    const ready = async (): Promise<void> =>
      expect((await answers()).map(({ status }) => status)).toEqual([200, 200, 200])
    await vi.waitFor(ready, WITHIN)
    await redis.get('redis').kill()
    await vi.waitFor(async () => {
      for (const { status, body } of await answers()) {
        expect(status).toBe(503)
        expect(body).toContain('Redis')
      }
    }, WITHIN)
    await redis.get('redis').start()
    await vi.waitFor(ready, WITHIN)
  })
})
