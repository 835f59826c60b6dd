/**
 * A judge of the limits, which sees only what arrives: four processes of delivery share a rate and a
 * concurrency. One is killed, and one is stopped and continued. No window holds more than its limit, and what
 * the limits allow is used.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { describe, expect, it } from 'vitest'
import { sleep } from '@sluice/flow/sleep'
import { mostInAnyWindow } from '@sluice/testkit/scripted-api'
import { realServices, type ServiceProcess } from '../e2e/distributed.ts'
import { SYNC } from '../e2e/people-project.ts'
import { finished } from '../e2e/project-folder.ts'
import { startPipeline, type Pipeline } from '../fault/people-pipeline.ts'

const { signal } = new AbortController()
const RATE = 200
const PEOPLE = 10_000
const KILLED_AT = 1_600
const FROZEN_AT = 2_600
const FROZEN_MS = 8_000
/** In the first seconds, four processes load and compile what sends, on cores that others use as well. */
const WARM_AFTER_MS = 3_000
/** After a process died, or stood still, others have its partitions after so long. */
const OVER_AFTER_MS = 18_000
/** The judge may read two requests together that were not sent together. */
const JITTER_MS = 50
const FOUR = { 'change-detector': 1, renderer: 1, delivery: 4 }

describe.skipIf(realServices() === null)('four processes of delivery', () => {
  it('keep a rate, and use it, though one is killed and one stands still', { timeout: 240_000 }, async () => {
    await using pipeline = await startPipeline({
      ...{ people: PEOPLE, rate: RATE, concurrency: 100, timeout: '1s', counts: FOUR },
      sync: 'partitions: 8',
    })
    const { api, services } = pipeline
    // While the judge itself stands still, requests wait, and then arrive together.
    const stalls = monitorEventLoopDelay({ resolution: 5 })
    stalls.enable()
    const [killed, frozen] = services.of('delivery')
    await pipeline.rename(1)
    const command = finished(pipeline.project.start('run', SYNC))
    await api.waitFor(KILLED_AT)
    const killedAt = Date.now()
    await kill(killed)
    await api.waitFor(FROZEN_AT)
    frozen?.freeze()
    await sleep(FROZEN_MS, { signal })
    frozen?.thaw()
    const thawedAt = Date.now()
    await command
    await pipeline.succeeded()
    await api.settled()
    const arrived = arrivals(pipeline)
    expect(new Set(pipeline.sentOf(1).map(({ url }) => url)).size, services.logs()).toBe(PEOPLE)
    const most = mostInAnyWindow(arrived, 1_000 - JITTER_MS - stalls.max / 1e6)
    const before = usedBetween(arrived, (arrived[0] ?? 0) + WARM_AFTER_MS, killedAt)
    const after = usedBetween(arrived, thawedAt + OVER_AFTER_MS, (arrived.at(-1) ?? 0) - 500)
    const told = `most in a second ${most} of ${RATE}; used before ${before.toFixed(3)}, after ${after.toFixed(3)}`
    process.stderr.write(`${told}\n`)
    expect(most, told).toBeLessThanOrEqual(RATE)
    expect.soft(before, told).toBeGreaterThanOrEqual(0.95)
    expect.soft(after, told).toBeGreaterThanOrEqual(0.95)
  })

  it('never have more in flight than they may, however long answers take', { timeout: 240_000 }, async () => {
    const concurrency = 10
    await using pipeline = await startPipeline({
      ...{ people: 3_000, concurrency, timeout: '2s', counts: FOUR },
      sync: 'partitions: 8',
    })
    const { api, services } = pipeline
    for (let digit = 1; digit <= 9; digit += 1)
      api.on({ url: `/people/${digit}` }, { delayMs: (digit * 37) % 80 })
    await api.settled()
    await pipeline.rename(1)
    const command = finished(pipeline.project.start('run', SYNC))
    await api.waitFor(800)
    await kill(services.of('delivery')[0])
    await command
    await pipeline.succeeded()
    await api.settled()
    expect(new Set(pipeline.sentOf(1).map(({ url }) => url)).size, services.logs()).toBe(3_000)
    process.stderr.write(`most in flight ${api.figures.mostInFlight} of ${concurrency}\n`)
    expect(api.figures.mostInFlight).toBeLessThanOrEqual(concurrency)
  })
})

async function kill(process: ServiceProcess | undefined): Promise<void> {
  await process?.kill()
}

function arrivals({ api }: Pipeline): readonly number[] {
  return api.requests.map(({ arrivedAt }) => arrivedAt).sort((a, b) => a - b)
}

/** The share of the rate that was used; NaN for a stretch that is too short to tell. */
function usedBetween(arrived: readonly number[], fromMs: number, toMs: number): number {
  if (toMs - fromMs < 3_000) return NaN
  return arrived.filter(at => at >= fromMs && at < toMs).length / RATE / ((toMs - fromMs) / 1_000)
}
