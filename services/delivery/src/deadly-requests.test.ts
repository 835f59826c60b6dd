/**
 * Requests whose answer ends the process (PROTOCOL.md §11). Each run ends all the same, after a few lives:
 * all other requests arrive, and those that end processes are given up.
 */
import { expect, it } from 'vitest'
import { enter, newSuspects } from '@sluice/partition/deaths/entry'
import { SYNC, sampleEvent } from '@sluice/testkit/sample-records'
import { randomFrom } from '@sluice/testkit/random'
import { type Life, finishLife } from '../test/live-delivery.ts'
import { keysOf, OK, ScriptedDelivery, topics } from '../test/scripted-delivery.ts'
import { isTakeover } from '@sluice/topics/owned-reader'
import { at } from '@sluice/topics/topics'

const never = new AbortController().signal
const HISTORIES = 4

function entered({ world }: ScriptedDelivery): ReturnType<typeof enter> {
  const of = { stage: 'attempts', reads: 'requests', run: sampleEvent(), partition: 0 } as const
  const deps = { ...world, logger: { error: () => undefined }, suspects: newSuspects() }
  return enter(deps, of, { signal: never })
}

/** Lives until the run is reported. Returns how many of them died. */
async function deliverAll(delivery: ScriptedDelivery, deadly: ReadonlySet<string>): Promise<number> {
  const { world, api } = delivery
  for (let deaths = 0; ; deaths += 1) {
    using entry = await entered(delivery)
    let life: Life | null = null
    const died = Promise.withResolvers<'died'>()
    api.script = key => {
      if (!deadly.has(key)) return OK
      void life?.kill().then(() => died.resolve('died'))
      return 'silent'
    }
    life = delivery.live({}, entry)
    if ((await Promise.race([died.promise, finishLife(world, life).catch(() => 'died')])) !== 'died')
      return deaths
    await life.kill()
    expect(deaths).toBeLessThan(60)
  }
}

it.each(Array.from({ length: HISTORIES }, (_, seed) => seed))(
  'are given up as unknown after three deaths in a row, and all others arrive (seed %i)',
  async seed => {
    await using delivery = await ScriptedDelivery.open()
    const random = randomFrom(seed)
    // More than may be in work together.
    const keys = keysOf(80)
    const deadly = new Set([random.pick(keys), random.pick(keys)])
    await delivery.begin(keys, { destination: { limits: { concurrency: 1 + random.below(8) } } })
    const deaths = await deliverAll(delivery, deadly)
    const arrived = new Set(delivery.api.keys)
    expect(arrived.size).toBe(keys.length)
    expect(delivery.counts).toMatchObject({ delivered: keys.length - deadly.size, unknown: deadly.size })
    const lost = (await delivery.entries()).filter(({ outcome }) => outcome === 'unknown')
    expect(lost.length).toBe(deadly.size)
    for (const { error } of lost) expect(error).toMatch(/ended the process [3-5] times in a row/)
    const report = delivery.world.runs.of(SYNC)?.reports.get(0)
    expect(report?.deaths ?? 0).toBeGreaterThanOrEqual(3 * deadly.size)
    expect(deaths).toBeGreaterThanOrEqual(report?.deaths ?? 0)
  },
)

it('are sent once with delivery at most once, and so is every other one', async () => {
  await using delivery = await ScriptedDelivery.open()
  const deadly = new Set(['k3'])
  await delivery.begin(keysOf(10), {
    sync: { delivery: 'at-most-once' },
    errors: { retry: 'next-run', backoff: undefined },
  })
  await deliverAll(delivery, deadly)
  const { keys } = delivery.api
  expect([new Set(keys).size, keys.includes('k3')]).toEqual([keys.length, true])
})

it('are not those at which nobody was sending when processes were killed', async () => {
  await using delivery = await ScriptedDelivery.open()
  const { world, api } = delivery
  const keys = keysOf(5)
  // The first one waits for a retry during all kills, so the position stays at it.
  await delivery.begin(keys, { errors: { backoff: { first: '2s', max: '2s' } } })
  api.script = (key, nth) => (key === 'k0' && nth === 0 ? { status: 500 } : OK)
  for (let kill = 1; kill <= 7; kill += 1) {
    using entry = await entered(delivery)
    const life = delivery.live({ random: () => 1 }, entry)
    await world.readUntil(at(topics.attempts, 0), found => {
      const markers = found.filter(({ record }) => record !== null && isTakeover(record))
      return markers.length >= kill && found.length >= markers.length + keys.length
    })
    await life.kill()
  }
  await deliverAll(delivery, new Set())
  expect(delivery.counts).toMatchObject({ delivered: keys.length, unknown: 0 })
  expect(await delivery.entries()).toEqual([])
})

it('are given up with all others after twenty deaths in a run', async () => {
  await using delivery = await ScriptedDelivery.open()
  const keys = keysOf(12)
  await delivery.begin(keys, { destination: { limits: { concurrency: 1 } } })
  expect(await deliverAll(delivery, new Set(keys))).toBeLessThan(30)
  const { delivered, unknown, unsent } = delivery.counts
  expect([delivered, unknown + unsent, unsent > 0]).toEqual([0, keys.length, true])
})
