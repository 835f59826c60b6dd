/**
 * One of two delivery processes loses its network to Redis in the middle of a run, while it still reaches
 * Kafka and the API. It replaces connections that no longer answer, and the run goes on in both. If it cannot
 * open new ones, it leaves its partitions to the other process, and joins again once it can.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TcpProxy } from '@sluice/testkit/tcp-proxy'
import { startServices, type LocalServices } from '../../deploy/local/services.ts'
import { realServices, type ServiceProcess } from '../e2e/distributed.ts'
import { startPipeline, type Pipeline } from './people-pipeline.ts'

const PEOPLE = 3_000
const RATE = 250
/** Requests after which Redis is lost, once both processes are well in the run. */
const LOST_AT = 500
/** The process replaces a connection after ten seconds, and the rest of the run takes ten more. */
const GOES_ON_WITHIN_MS = 40_000

describe.skipIf(realServices() === null)(
  'a delivery process cut off from Redis',
  { timeout: 150_000 },
  () => {
    let own: LocalServices
    let proxy: TcpProxy
    let pipeline: Pipeline
    let cutOff: ServiceProcess
    let version = 0
    beforeAll(async () => {
      own = await startServices(['redis'])
      const { hostname, port } = new URL(own.get('redis').address)
      proxy = await TcpProxy.start({ target: { host: hostname, port: Number(port) } })
      pipeline = await startPipeline({ people: PEOPLE, rate: RATE, env: own.env })
      cutOff = await pipeline.services.add('delivery', {
        SLUICE_REDIS_URL: `redis://127.0.0.1:${proxy.port}`,
      })
    })
    afterAll(async () => {
      await pipeline?.[Symbol.asyncDispose]()
      await proxy?.[Symbol.asyncDispose]()
      await own?.[Symbol.asyncDispose]()
    })

    /** Runs, calls the function in the middle, and resolves once each row has arrived once. */
    const runThrough = async (lose: () => Promise<void>): Promise<number> => {
      const { services, api } = pipeline
      const pids = services.processes.map(({ pid }) => pid)
      const before = api.requests.length
      await pipeline.rename((version += 1))
      const run = pipeline.run()
      await api.waitFor(requests => requests.length - before >= LOST_AT)
      const sinceMs = performance.now()
      await lose()
      const { exitCode, view } = await run
      const tookMs = Math.round(performance.now() - sinceMs)
      expect({ exitCode, view }, services.logs()).toMatchObject({ exitCode: 0, view: { status: 'success' } })
      expect(services.processes.map(({ pid }) => pid)).toEqual(pids)
      const sent = pipeline.sentOf(version)
      expect(new Set(sent.map(({ url }) => url)).size).toBe(PEOPLE)
      expect(sent.length, 'a request was repeated').toBe(PEOPLE)
      await pipeline.auditTopics()
      return tookMs
    }
    const isShared = () => expect(cutOff.log.some(({ msg }) => msg.includes('wait for Redis'))).toBe(true)

    it('goes on over new connections if the old ones no longer answer', async () => {
      const tookMs = await runThrough(() => Promise.resolve(void proxy.stall()))
      process.stderr.write(`the run went on ${tookMs} ms after Redis fell silent\n`)
      expect(tookMs, pipeline.services.logs()).toBeLessThan(GOES_ON_WITHIN_MS)
      isShared()
    })

    it('leaves its partitions to the other if it cannot open new ones, and joins again', async () => {
      const tookMs = await runThrough(() => proxy.set({ kind: 'refuse' }))
      process.stderr.write(`the run went on without Redis in one process, for ${tookMs} ms\n`)
      expect(cutOff.running).toBe(true)
      await proxy.set({ kind: 'pass' })
      await cutOff.logged(({ msg }) => msg.startsWith('Redis answers'))
      await runThrough(() => Promise.resolve())
    })
  },
)
