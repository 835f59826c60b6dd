import { expect, it } from 'vitest'
import { openTestLog, type TestLog } from '@sluice/testkit/test-log'
import { at, sharedTopics, textKey } from '@sluice/topics/topics'
import { KeptRead } from './kept-read.ts'

const { signal } = new AbortController()

const targetOf = ({ prefix }: TestLog) => at(sharedTopics(prefix).resources, 0)
const write = (world: TestLog) => world.append(targetOf(world), [{ key: textKey('x'), value: null }])

/** Reads where the partition ends. `before` comes first. */
function keptEnd(world: TestLog, before: () => Promise<unknown>, isSmall = true): KeptRead<number> {
  const target = targetOf(world)
  return new KeptRead({ log: world.log, target, isSmall: () => isSmall }, async () => {
    const { end } = await world.log.offsets(target, { signal })
    await before()
    return end
  })
}

it('is read once for all who ask, and anew once something was written', async () => {
  await using world = await openTestLog({ partitions: 0 })
  let reads = 0
  const kept = keptEnd(world, () => Promise.resolve((reads += 1)))
  const [first, second] = await Promise.all([kept.now(signal), kept.now(signal)])
  expect([second, await kept.now(signal), reads]).toEqual([first, first, 1])
  await write(world)
  expect([await kept.now(signal), reads]).toEqual([first + 1, 2])
})

it('shows nobody less than was written before they asked', async () => {
  await using world = await openTestLog({ partitions: 0 })
  const hasRead = Promise.withResolvers<undefined>()
  const mayEnd = Promise.withResolvers<undefined>()
  const kept = keptEnd(world, async () => {
    hasRead.resolve(undefined)
    await mayEnd.promise
  })
  const early = kept.now(signal)
  await hasRead.promise
  await write(world)
  const late = kept.now(signal)
  mayEnd.resolve(undefined)
  expect(await late).toBe((await early) + 1)
})

it('is not kept where it is large', async () => {
  await using world = await openTestLog({ partitions: 0 })
  let reads = 0
  const kept = keptEnd(world, () => Promise.resolve((reads += 1)), false)
  await kept.now(signal)
  await kept.now(signal)
  expect(reads).toBe(2)
})
