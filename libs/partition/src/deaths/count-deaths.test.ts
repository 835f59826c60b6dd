import { describe, expect, it } from 'vitest'
import { countedBeforehand, deathsIn, withoutOwn, type LastOwner } from './count-deaths.ts'

const DEAD: LastOwner = {
  deaths: { run: 7, count: 3 },
  from: 5,
  position: 5,
  tookOverAt: 1_000,
  lastAt: 1_000,
}

describe('deaths at work on a partition', () => {
  it('are those that the last owner has counted, with its own', () => {
    expect(deathsIn(7, DEAD, false)).toBe(3)
  })

  it.each<readonly [string, LastOwner | null]>([
    ['nobody was there', null],
    ['the owner was of an earlier version', { ...DEAD, deaths: null }],
    ['the owner came further', { ...DEAD, position: 6 }],
    ['the owner still wrote after a minute', { ...DEAD, lastAt: 61_000 }],
    ['it was another run', { ...DEAD, deaths: { run: 6, count: 3 } }],
  ])('are none where %s', (_, owner) => {
    expect(deathsIn(7, owner, false)).toBe(0)
  })

  it('leave out the owner that is alive, since it is this process', () => {
    expect(deathsIn(7, DEAD, true)).toBe(2)
    expect(deathsIn(7, { ...DEAD, deaths: { run: 7, count: 0 } }, true)).toBe(0)
  })

  it('are one more with each owner that has work, and begin anew where there is none', () => {
    expect(countedBeforehand(7, { deaths: 3, hasWork: true })).toEqual({ run: 7, count: 4 })
    expect(countedBeforehand(7, { deaths: 3, hasWork: false })).toEqual({ run: 7, count: 1 })
  })

  it('are as before once an owner has left in good order', () => {
    expect(withoutOwn({ run: 7, count: 4 })).toEqual({ run: 7, count: 3 })
    expect(withoutOwn({ run: 7, count: 0 })).toEqual({ run: 7, count: 0 })
  })
})
