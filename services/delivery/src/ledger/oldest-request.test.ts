import { expect, it } from 'vitest'
import { OldestRequest } from './attempt-ledger.ts'

it('knows to the second when the request at a position was written', () => {
  const oldest = new OldestRequest()
  expect(oldest.writtenAt(0)).toBeNull()
  for (let offset = 0; offset < 100; offset += 1) oldest.taken(offset, offset * 300)
  for (const position of [0, 10, 11, 50, 99]) {
    const found = oldest.writtenAt(position) ?? Infinity
    expect(found).toBeLessThanOrEqual(position * 300)
    expect(found).toBeGreaterThan(position * 300 - 1_300)
  }
})

it('forgets no more than half of what it knows when a run lasts for days', () => {
  const oldest = new OldestRequest()
  for (let offset = 0; offset < 20_000; offset += 1) oldest.taken(offset, offset * 1_000)
  const found = oldest.writtenAt(10_000) ?? Infinity
  expect(found).toBeLessThanOrEqual(10_000_000)
  expect(found).toBeGreaterThan(9_900_000)
})
