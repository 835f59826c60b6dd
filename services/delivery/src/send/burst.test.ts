import { expect, it } from 'vitest'
import { Burst } from './permit.ts'

/** The sizes after leases, each with so many requests and so many of them late. */
function sizes(burst: Burst, leases: readonly (readonly [requests: number, late: number])[]): number[] {
  return leases.map(([requests, late]) => {
    const tell = burst.begin(requests)
    for (let nth = 0; nth < requests; nth += 1) tell(nth < late ? 'late' : 'served')
    return burst.size
  })
}

it('a lease with late requests halves what goes out within the next, down to one', () => {
  const burst = new Burst()
  expect(burst.isBounded).toBe(false)
  expect(
    sizes(
      burst,
      Array.from({ length: 4 }, () => [6, 6]),
    ),
  ).toEqual([3, 1, 1, 1])
})

it('requests in time make it larger, until it has no bound', () => {
  const burst = new Burst()
  expect(
    sizes(burst, [
      [10, 10],
      [5, 0],
      [10, 0],
      [20, 0],
      [40, 0],
      [80, 0],
    ]),
  ).toEqual([5, 10, 20, 40, 80, Infinity])
  expect(burst.isBounded).toBe(false)
})
