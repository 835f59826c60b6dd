import { expect, it } from 'vitest'
import { processorMs } from '@sluice/testkit/processor-ms'
import { duration, size } from './plain-values.ts'

it('durations and sizes are read in their units', () => {
  expect(['250ms', '1.5h', '7d'].map(text => duration.parse(text))).toEqual([250, 5_400_000, 604_800_000])
  expect(['64KB', '1.5MB', '7B'].map(text => size.parse(text))).toEqual([64_000, 1_500_000, 7])
})

it.each(['1w', '5', 's', '-5s', '5s5', ''])('%j is no duration', text => {
  expect(duration.safeParse(text).success).toBe(false)
})

it('a text that is neither is refused for one reason', () => {
  const reasons = [duration, size].map(quantity =>
    quantity.safeParse('abc').error?.issues.map(({ message }) => message),
  )
  expect(reasons).toEqual([['a duration such as 250ms, 30s, 15m, 1h or 7d'], ['a size such as 64KB or 1MB']])
})

it('a long text that is neither is refused as fast as a short one', async () => {
  const text = `${'a'.repeat(60_000)}1`
  const took = await processorMs(() =>
    expect([duration, size].map(quantity => quantity.safeParse(text).success)).toEqual([false, false]),
  )
  expect(took).toBeLessThan(500)
})
