/**
 * All data that processes keep beside the topics is a cache or a hint. Without it, the next run still sends
 * only the rows that have changed.
 */
import { rm } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { withAdmin } from '@sluice/message-log/test/kafka-cluster'
import { realServices } from '../e2e/distributed.ts'
import { startPipeline, type Pipeline } from './people-pipeline.ts'

const PEOPLE = 200
const NOTHING = { exitCode: 0, view: { status: 'success', rowsRead: PEOPLE } }

describe.skipIf(realServices() === null)('a sync that was delivered', { timeout: 90_000 }, () => {
  let pipeline: Pipeline
  beforeAll(async () => {
    pipeline = await startPipeline({ people: PEOPLE })
    await pipeline.rename(1)
    const first = await pipeline.run()
    expect(first, pipeline.services.logs()).toMatchObject({ exitCode: 0, view: { status: 'success' } })
    expect(pipeline.api.requests).toHaveLength(PEOPLE)
  })
  afterAll(() => pipeline?.[Symbol.asyncDispose]())

  it('sends nothing again when the cache of its delivered state is deleted', async () => {
    const { services, api } = pipeline
    const [detector] = services.of('change-detector')
    await detector?.stop()
    await rm(detector?.dataDir ?? '', { recursive: true })
    await detector?.start()
    const { exitCode, view } = await pipeline.run()
    expect({ exitCode, view }, services.logs()).toMatchObject(NOTHING)
    expect(view.triggers.added?.detected).toBe(0)
    expect(api.requests).toHaveLength(PEOPLE)
  })

  it('sends nothing again when the cache is deleted under a detector at work', async () => {
    const { services, api } = pipeline
    const [detector] = services.of('change-detector')
    await rm(detector?.dataDir ?? '', { recursive: true })
    expect(await pipeline.run(), services.logs()).toMatchObject(NOTHING)
    expect(api.requests).toHaveLength(PEOPLE)
  })

  it('sends nothing again when all consumer groups are deleted', async () => {
    const { services, api } = pipeline
    const all = allOf(services)
    await Promise.all(all.map(service => service.stop()))
    const deleted = await deleteGroups(pipeline)
    expect(deleted).toContain(`${services.prefix}.detector`)
    await Promise.all(all.map(service => service.start()))
    expect(await pipeline.run(), services.logs()).toMatchObject(NOTHING)
    expect(api.requests).toHaveLength(PEOPLE)
    expect((await pipeline.settled()).map(({ status }) => status)).not.toContain('failed')
  })

  it('still sends each changed row once when cache and groups are both gone', async () => {
    const { services, api } = pipeline
    const all = allOf(services)
    await Promise.all(all.map(service => service.stop()))
    await Promise.all(
      services.of('change-detector').map(detector => rm(detector.dataDir, { recursive: true })),
    )
    await deleteGroups(pipeline)
    await Promise.all(all.map(service => service.start()))
    await pipeline.rename(2)
    expect(await pipeline.run(), services.logs()).toMatchObject(NOTHING)
    expect(pipeline.sentOf(2)).toHaveLength(PEOPLE)
    expect(api.requests).toHaveLength(2 * PEOPLE)
    await pipeline.auditTopics()
  })
})

/** Each of them is a member of groups as long as it runs, or commits positions for people to look at. */
function allOf(services: Pipeline['services']): ReturnType<Pipeline['services']['of']> {
  return (['change-detector', 'renderer', 'delivery'] as const).flatMap(kind => services.of(kind))
}

/**
 * Deletes the groups of this pipeline. Kafka deletes a group only once its last member has left, and stages
 * leave the groups of a run a moment after it has ended. So this asks until no group is left.
 */
async function deleteGroups({ services }: Pipeline): Promise<readonly string[]> {
  const brokers = services.env['SLUICE_KAFKA_BROKERS'] ?? ''
  return withAdmin(brokers, async admin => {
    const own = async (): Promise<readonly string[]> => {
      const { groups } = await admin.listGroups()
      return groups.map(({ groupId }) => groupId).filter(id => id.startsWith(`${services.prefix}.`))
    }
    const deleted = await own()
    const left = async (): Promise<readonly string[]> => {
      await admin.deleteGroups([...(await own())]).catch(() => {})
      return own()
    }
    await expect.poll(left, { timeout: 20_000 }).toEqual([])
    return deleted
  })
}
