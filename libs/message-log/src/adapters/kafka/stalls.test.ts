import { expect, it } from 'vitest'
import type { LogStall } from '../../port.ts'
import { STALL_MS, StallWatch } from './stalls.ts'

function watch() {
  let at = 0
  const told: LogStall[] = []
  const stalls = new StallWatch({ onStall: stall => told.push(stall), now: () => at })
  const later = (ms: number): void => {
    at += ms
    stalls.look()
  }
  return { stalls, told, later }
}

it('reports once that a call waits for more than five seconds, and once that no call does any more', () => {
  const { stalls, told, later } = watch()
  using _stalls = stalls
  const first = stalls.begin('appending to a')
  later(1_000)
  const second = stalls.begin('reading b')
  later(STALL_MS - 1_001)
  expect(told).toEqual([])
  later(1)
  later(3_000)
  later(3_000)
  expect(told).toEqual([{ kind: 'stalled', what: 'appending to a', sinceMs: STALL_MS }])
  first.end()
  // The other call has still been waiting for long.
  expect(told).toHaveLength(1)
  second.end()
  second.end()
  expect(told.slice(1)).toEqual([{ kind: 'over', lastedMs: STALL_MS + 6_000 }])
})

it('reports nothing if calls are answered in time, however many there are', () => {
  const { stalls, told, later } = watch()
  using _stalls = stalls
  for (let i = 0; i < 20; i += 1) {
    const waiting = stalls.begin(`${i}`)
    later(STALL_MS - 1)
    waiting.end()
  }
  later(STALL_MS)
  expect(told).toEqual([])
})
