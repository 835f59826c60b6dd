/**
 * Random histories of a run over a stream whose detector dies between two appends: what the API has in the
 * end equals the table, no row goes back to an older one, and each change of the source is sent once.
 */
import { randomInt } from 'node:crypto'
import { expect, it } from 'vitest'
import type { Outcome } from '@sluice/contracts/state'
import { randomFrom, type Random } from '@sluice/testkit/random'
import { outage, watchedLog } from '@sluice/testkit/watched-log'
import { StreamedWorld, type Sent } from '../../test/streamed-world.ts'

const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? randomInt(2 ** 31))
const HISTORIES = Number(process.env['SLUICE_TEST_HISTORIES'] ?? 3)
const KEYS = ['a', 'b', 'c', 'd', 'e', 'f']
/** A removal makes its twin uncertain, which is sent again then. */
const TWINS = ['A', 'B']

/** Makes a log whose appends stop for good after so many. Resolves `died` then. */
function dying(world: StreamedWorld, appends: number) {
  const died = Promise.withResolvers<undefined>()
  let left = appends
  const log = watchedLog(world.world.log, async () => {
    await Promise.resolve()
    left -= 1
    if (left > 0) return
    died.resolve(undefined)
    throw outage()
  })
  return { log, died: died.promise }
}

function change(
  world: StreamedWorld,
  random: Random,
  version: { next: number; keys: readonly string[] },
): void {
  const key = random.pick(version.keys)
  version.next += 1
  if (random.chance(0.2) && world.stream.table.has(key)) world.stream.remove(key)
  else world.put(key, version.next)
  if (random.chance(0.1)) world.stream.repeat(random.below(2), 2)
}

async function play(seed: number): Promise<void> {
  const random = randomFrom(seed)
  await using world = await StreamedWorld.open({
    ...{ partitions: 1 + random.below(3), sync: { errors: { retryAfter: '1s' }, removalGuard: false } },
  })
  const isSick = random.chance(0.5)
  const version = { next: 0, keys: isSick ? [...KEYS, ...TWINS] : KEYS }
  world.fate = (): Outcome =>
    isSick && random.chance(0.15) ? random.pick(['rejected', 'unknown']) : 'delivered'
  for (let edit = 0; edit < 10; edit += 1) change(world, random, version)
  for (let death = 0; death < 4; death += 1) {
    if (random.chance(0.3)) world.forgetState()
    const { log, died } = dying(world, 15 + random.below(100))
    await using detector = world.detector({ log })
    let isDead = false
    void died.then(() => (isDead = true))
    const asked = detector.ask().catch(() => undefined)
    // The edits begin once the detector streams, however long it takes to come so far. A key whose end of a
    // slice is held would never be sent.
    await world.releaseMarkers()
    version.next += 1
    const first = version.next
    world.put('first', first)
    const ask = (): Promise<void> => detector.ask().catch(() => undefined)
    const isSent = (): boolean => isDead || world.sent.some(({ row }) => row?.['v'] === first)
    await world.comesTo(isSent, { ask })
    world.holdsMarkers = random.chance(0.2)
    for (let edit = 0; edit < 25; edit += 1) {
      change(world, random, version)
      if (random.chance(0.015)) world.stream.truncate()
      if (random.chance(0.8)) await Promise.race([died, world.pause(5 + random.below(25))])
      if (random.chance(0.05)) world.later += 5_000
    }
    await Promise.race([died, world.pause(200)])
    void asked
  }
  await world.releaseMarkers()
  world.fate = () => 'delivered'
  await using detector = world.detector()
  await detector.ask()
  for (const key of KEYS) world.put(key, (version.next += 1))
  // Failed rows are due.
  world.later += 60_000
  await world.settled(detector)
  assertOrder(world.sent)
  if (!isSick) assertOnce(world.sent)
}

/** Each row has a version of its own. */
function assertOnce(sent: readonly Sent[]): void {
  const rows = sent.flatMap(({ op, key, row }) =>
    row === null ? [] : [`${op} ${key} ${JSON.stringify(row)}`],
  )
  expect(rows.length).toBeGreaterThan(5)
  expect(rows.filter((row, index) => rows.indexOf(row) !== index)).toEqual([])
}

/** Each row was put once: it is sent once unless it failed, and never before an older one. */
function assertOrder(sent: readonly Sent[]): void {
  const last = new Map<string, number>()
  for (const { key, row } of sent) {
    const v = typeof row?.['v'] === 'number' ? row['v'] : null
    if (v === null) continue
    expect(v, `${key} went back`).toBeGreaterThanOrEqual(last.get(key) ?? 0)
    last.set(key, v)
  }
}

it.each(Array.from({ length: HISTORIES }, (_, index) => SEED + index))(
  'end with what the table has (SLUICE_TEST_SEED=%d)',
  async seed => {
    await play(seed)
  },
  60_000,
)
