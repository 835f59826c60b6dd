import { describe, expect, it } from 'vitest'
import { type Cached, CacheTurns } from './cache-turns.ts'

class Sized implements Cached {
  mib = 0
  setCache(kib: number): void {
    this.mib = kib / 1024
  }
}

describe('the caches of many states', () => {
  it('are small, but for the one of the busiest state', () => {
    let now = 0
    const turns = new CacheTurns(() => now)
    const [a, b] = [new Sized(), new Sized()]
    for (const state of [a, b]) turns.enter(state)
    turns.work(a, 900)
    expect([a.mib, b.mib]).toEqual([2, 2])
    turns.work(a, 900)
    expect([a.mib, b.mib]).toEqual([64, 2])
    turns.work(b, 3_000)
    expect([a.mib, b.mib]).toEqual([64, 2])
    now = 10_000
    turns.work(b, 400)
    expect([a.mib, b.mib]).toEqual([2, 64])
  })

  it('are free for others once a state is closed', () => {
    const turns = new CacheTurns(() => 0)
    const [a, b] = [new Sized(), new Sized()]
    for (const state of [a, b]) turns.enter(state)
    turns.work(a, 50_000)
    turns.leave(a)
    turns.work(b, 1_000)
    expect(b.mib).toBe(64)
  })
})
