import { expect, it } from 'vitest'
import { nextTurn } from '@sluice/flow/sleep'
import { RequestLimit, Turns } from './request-limits.ts'

it('limit are limited for each caller and for all, and a place that is given back may be taken again', () => {
  const limit = new RequestLimit({ atOnce: 3, atOncePerCaller: 2 })
  const [first] = [limit.take('ann'), limit.take('ann')]
  expect(() => limit.take('ann')).toThrow('2 such requests of yours')
  limit.take('bob')
  expect(() => limit.take('bob')).toThrow('3 such requests are under way')
  first?.()
  limit.take('bob')
  expect(() => limit.take('bob')).toThrow('2 such requests of yours')
})

it('the reads of a caller have their turns a few at a time, and those of another do not wait for them', async () => {
  const turns = new Turns()
  const { signal } = new AbortController()
  let underWay = 0
  let most = 0
  const read = async (caller: string): Promise<number> => {
    using _turn = await turns.take(caller, signal)
    underWay += 1
    most = Math.max(most, underWay)
    await nextTurn()
    underWay -= 1
    return underWay
  }
  const all = Array.from({ length: 200 }, () => read('ann'))
  await expect(turns.take('ann', signal)).rejects.toThrow('200 requests of yours are under way')
  using _other = await turns.take('bob', signal)
  expect(most).toBeLessThanOrEqual(4)
  await Promise.all(all)
  expect(most).toBe(4)
  // All limit are free again.
  await Promise.all(Array.from({ length: 200 }, () => read('ann')))
})
