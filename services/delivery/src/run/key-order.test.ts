import { expect, it } from 'vitest'
import { KeyOrder } from './key-order.ts'

const names = (request: number): string[] => Array.from({ length: 1_000 }, (_, i) => `${request}/${i}`)

it('waits for earlier requests only, even if one names something twice', () => {
  const unfinished = new Set([1, 2])
  const ledger = { isUnfinished: (offset: number) => unfinished.has(offset) }
  const order = new KeyOrder()
  expect(order.join(1, ['a', 'a', 'b'], ledger)()).toBe(true)
  const isFree = order.join(2, ['b', 'c', 'b'], ledger)
  expect(isFree()).toBe(false)
  unfinished.delete(1)
  expect(isFree()).toBe(true)
})

it('looks for names to forget ever more rarely, as long as their requests are unfinished', () => {
  let asked = 0
  const ledger = {
    isUnfinished: () => {
      asked += 1
      return true
    },
  }
  const order = new KeyOrder()
  for (let request = 0; request < 400; request += 1) order.join(request, names(request), ledger)
  // Each time that there are twice as many names.
  expect(asked).toBeLessThan(4 * 400_000)
  expect(order.join(500, ['3/7'], ledger)()).toBe(false)
  order.clear()
  expect(order.join(501, ['3/7'], ledger)()).toBe(true)
})
