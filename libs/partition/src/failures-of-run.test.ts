import { expect, it } from 'vitest'
import { FailuresOfRun } from './failures-of-run.ts'

it('counts the failures of a place in one run, and begins anew with each run and place', () => {
  const failures = new FailuresOfRun()
  const told: readonly (readonly [number | null, number | null])[] = [
    ...([
      [0, 7],
      [0, 7],
      [1, 7],
      [null, 7],
      [0, 8],
      [0, 8],
      [0, null],
      [0, null],
    ] as const),
  ]
  expect(told.map(([place, run]) => failures.failed(place, run))).toEqual([1, 2, 1, 1, 1, 2, 1, 2])
})
