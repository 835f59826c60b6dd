import { describe, expect, it } from 'vitest'
import { Care, countedBeforehand, deathsIn, withoutOwn, type LastOwner } from './count-deaths.ts'

const DEAD: LastOwner = {
  deaths: { run: 7, count: 3, all: 5 },
  from: 5,
  position: 5,
  tookOverAt: 1_000,
  lastAt: 1_000,
  hasTried: false,
}

describe('deaths at work on a partition', () => {
  it('are those that the last owner has counted, with its own', () => {
    expect(deathsIn(7, DEAD, false)).toEqual({ inARow: 3, all: 5 })
  })

  it.each<readonly [string, LastOwner | null, number]>([
    ['nobody was there', null, 0],
    ['the owner was of an earlier version', { ...DEAD, deaths: null }, 0],
    ['the owner came further', { ...DEAD, position: 6 }, 4],
    ['the owner still wrote after a minute', { ...DEAD, lastAt: 61_000 }, 4],
    ['it was another run', { ...DEAD, deaths: { run: 6, count: 3, all: 3 } }, 0],
  ])('are none in a row where %s', (_, owner, all) => {
    expect(deathsIn(7, owner, false)).toEqual({ inARow: 0, all })
  })

  it('leave out the owner that is alive, since it is this process', () => {
    expect(deathsIn(7, DEAD, true)).toEqual({ inARow: 2, all: 4 })
    expect(deathsIn(7, { ...DEAD, deaths: { run: 7, count: 0 } }, true)).toEqual({ inARow: 0, all: 0 })
  })

  it('are no more than two in a row where the owner tried a request: its attempts tell at which one it died', () => {
    const deaths = { run: 7, count: 9, all: 12 }
    expect(deathsIn(7, { ...DEAD, deaths, hasTried: true }, false)).toEqual({ inARow: 2, all: 12 })
  })

  it('are one more with each owner that has work, and begin anew where there is none', () => {
    const deaths = { inARow: 3, all: 5 }
    expect(countedBeforehand(7, deaths, { hasWork: true })).toEqual({ run: 7, count: 4, all: 6 })
    expect(countedBeforehand(7, deaths, { hasWork: false })).toEqual({ run: 7, count: 1, all: 5 })
  })

  it('are as before once an owner has left in good order', () => {
    expect(withoutOwn({ run: 7, count: 4, all: 9 })).toEqual({ run: 7, count: 3, all: 8 })
    expect(withoutOwn({ run: 7, count: 0 })).toEqual({ run: 7, count: 0, all: 0 })
  })
})

describe('an owner that comes after deaths', () => {
  it('takes one at a time after two in a row, until as many are through as may have been at work', () => {
    expect(new Care({ inARow: 1, all: 9 }, 'requests').isOneByOne).toBe(false)
    const care = new Care({ inARow: 2, all: 2 }, 'requests')
    const alone = [1, 2, 3, 4].map(() => (care.begins(2), care.isOneByOne))
    expect(alone).toEqual([true, true, false, false])
    expect(care.rejection()).toBeNull()
  })

  it('gives up the first after three in a row, and no other one', () => {
    const care = new Care({ inARow: 3, all: 3 }, 'requests')
    expect([care.rejection(), care.rejection()]).toEqual([
      'rendering ended the process 3 times in a row',
      null,
    ])
    expect(care.ends).toBeNull()
  })

  it('gives up the rest of the run after twenty in all', () => {
    expect(new Care({ inARow: 0, all: 20 }, 'requests').ends).toMatch(
      /^rendering ended the process 20 times in this run/,
    )
  })
})
