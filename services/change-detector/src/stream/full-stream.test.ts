/** A stream that has as many rows in memory as it may have. It reads nothing more, but what waits goes on. */
import { expect, it } from 'vitest'
import { StreamedWorld } from '../../test/streamed-world.ts'

const LONG = 'x'.repeat(500_000)

it('sends what was held back although it takes all memory of the stream', async () => {
  await using world = await StreamedWorld.open({ texts: ['note'] })
  const put = (note: string): void => {
    for (let id = 0; id < 40; id += 1) world.stream.put({ id: `k${id}`, v: note.length, note })
  }
  await using detector = world.detector()
  await detector.ask()
  world.put('first', 1)
  await world.until(() => world.api.has('first') && world.passed > 0)
  world.holdsMarkers = true
  put('')
  await world.until(() => world.sent.length === 41)
  put(LONG)
  // It reads until the rows that wait take 16 MB.
  await world.until(() => world.stream.taken >= 41 + 31)
  await world.releaseMarkers()
  await world.until(() => world.api.size === 41 && [...world.api.values()].every(({ v }) => v !== 0))
  expect(world.sent.length).toBe(81)
}, 30_000)

it('sends twins that a comparison has held back while it goes on', async () => {
  await using world = await StreamedWorld.open({ texts: ['note'], sync: { slice: { rows: 8 } } })
  // Two rows more than the stream may have in memory.
  for (let id = 0; id < 17; id += 1)
    for (const twin of [`k${id}a`, `k${id}A`]) world.stream.put({ id: twin, v: 1, note: LONG })
  await using detector = world.detector()
  await detector.ask()
  await world.until(() => world.api.size === 34)
  expect(world.sent.length).toBe(34)
}, 30_000)
