import { beforeEach, describe, expect, it } from 'vitest'
import { elapsedClock } from './elapsed-ms.ts'

describe('the clock of what passed', () => {
  let steadyMs = 0
  let wallMs = 0
  let elapsedMs: () => number
  const pass = (of: { readonly steady: number; readonly wall: number }): number => {
    const before = elapsedMs()
    steadyMs += of.steady
    wallMs += of.wall
    return elapsedMs() - before
  }
  beforeEach(() => {
    steadyMs = 1_000
    wallMs = 1_700_000_000_000
    elapsedMs = elapsedClock({ steadyMs: () => steadyMs, wallMs: () => wallMs })
  })

  it('counts what both clocks count', () => {
    expect(pass({ steady: 1_234, wall: 1_234 })).toBe(1_234)
  })

  it('counts the time in which the machine was suspended, which only the wall clock knows of', () => {
    expect(pass({ steady: 5, wall: 3_600_000 })).toBe(3_600_000)
    expect(pass({ steady: 100, wall: 100 })).toBe(100)
  })

  it('is not held up, nor turned back, by a wall clock that is set back', () => {
    expect(pass({ steady: 1_000, wall: -3_600_000 })).toBe(1_000)
    expect(pass({ steady: 1_000, wall: 1_000 })).toBe(1_000)
  })

  it('says too much, never too little, when a wall clock that was set back is put right', () => {
    pass({ steady: 10, wall: -60_000 })
    expect(pass({ steady: 10, wall: 60_010 })).toBe(60_010)
  })

  it('notices a suspension behind a wall clock that was set back before', () => {
    pass({ steady: 10, wall: -3_600_000 })
    expect(pass({ steady: 0, wall: 600_000 })).toBe(600_000)
  })

  it('does not run ahead because the wall clock counts whole milliseconds', () => {
    const before = elapsedMs()
    for (let n = 0; n < 100_000; n += 1) {
      steadyMs += 0.3
      wallMs = Math.floor(1_700_000_000_000 + steadyMs - 1_000)
      elapsedMs()
    }
    expect(elapsedMs() - before).toBeCloseTo(30_000, 3)
  })

  it('runs ahead by no more than the wall clock where that is slewed', () => {
    const before = elapsedMs()
    for (let n = 0; n < 3_600; n += 1) pass({ steady: 1_000, wall: 1_000.5 })
    const passed = elapsedMs() - before
    expect(passed).toBeGreaterThanOrEqual(3_600_000)
    expect(passed).toBeLessThanOrEqual(3_601_800)
  })
})
