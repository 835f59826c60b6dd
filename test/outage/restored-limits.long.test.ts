/**
 * The Redis of the limits is killed, emptied, and restored from an old snapshot while three processes of
 * delivery send. A judge sees only what arrives: no window holds more than its limit, no more requests are
 * under way than may be, and each row arrives.
 */
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { mostInAnyWindow } from '@sluice/testkit/scripted-api'
import { exchange } from '../../deploy/local/probes.ts'
import { startServices, type LocalService } from '../../deploy/local/services.ts'
import { realServices } from '../e2e/distributed.ts'
import { SYNC } from '../e2e/people-project.ts'
import { finished } from '../e2e/project-folder.ts'
import { startPipeline } from '../fault/people-pipeline.ts'

const RATE = 150
const CONCURRENCY = 10
const PEOPLE = 3_600
/** The judge may read two requests together that were not sent together. */
const JITTER_MS = 50

describe.skipIf(realServices() === null)('limits in a Redis', () => {
  it('that is killed, emptied and restored from an old snapshot hold', { timeout: 300_000 }, async () => {
    const services = await startServices(['redis'], { engine: 'native' })
    await using opened = new AsyncDisposableStack()
    opened.defer(async () => void (await services.stop()))
    const redis = services.get('redis')
    const snapshot = await mkdtemp(join(tmpdir(), 'sluice-snapshot-'))
    opened.defer(() => rm(snapshot, { recursive: true, force: true }))
    const folder = await folderOf(redis)
    const pipeline = opened.use(
      await startPipeline({
        ...{ people: PEOPLE, rate: RATE, concurrency: CONCURRENCY, timeout: '5s', sync: 'partitions: 6' },
        services: { ...realServices(), SLUICE_REDIS_URL: redis.address },
        counts: { 'change-detector': 1, renderer: 1, delivery: 3 },
      }),
    )
    const { api, project } = pipeline
    await pipeline.rename(1)
    const command = finished(project.start('run', SYNC))

    await api.waitFor(500)
    await cp(folder, snapshot, { recursive: true })

    await api.waitFor(900)
    await redis.kill()
    await redis.start()

    await api.waitFor(1_500)
    await redis.kill()
    await empty(folder)
    await redis.start()

    await api.waitFor(2_100)
    await redis.kill()
    await empty(folder)
    await cp(snapshot, folder, { recursive: true })
    await redis.start()

    await api.waitFor(2_700)
    await told(redis, 'FLUSHALL')

    await command
    const [first] = await pipeline.settled()
    // On a busy machine an answer may come too late.
    if (first?.status !== 'success') await pipeline.run()
    await pipeline.succeeded()
    await api.settled()
    const sent = pipeline.sentOf(1)
    const arrived = sent.map(({ arrivedAt }) => arrivedAt).sort((a, b) => a - b)
    const most = mostInAnyWindow(arrived, 1_000 - JITTER_MS)
    const found = `most in a second ${most} of ${RATE}, most under way ${api.figures.mostInFlight} of ${CONCURRENCY}`
    process.stderr.write(`${found}\n`)
    expect(most, found).toBeLessThanOrEqual(RATE)
    expect(api.figures.mostInFlight, found).toBeLessThanOrEqual(CONCURRENCY)
    expect(new Set(sent.map(({ url }) => url)).size, pipeline.services.logs()).toBe(PEOPLE)
    if (first?.status === 'success') expect(sent).toHaveLength(PEOPLE)
  })
})

async function folderOf(redis: LocalService): Promise<string> {
  const [folder = ''] = (await told(redis, 'CONFIG GET dir'))
    .split('\r\n')
    .filter(line => line.startsWith('/'))
  return folder
}

async function told(redis: LocalService, command: string): Promise<string> {
  return (await exchange(Number(new URL(redis.address).port), `${command}\r\n`)).toString()
}

async function empty(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true })
}
