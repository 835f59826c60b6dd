import { describe, expect, it } from 'vitest'
import {
  areTooMany,
  Precautions,
  countedBeforehand,
  deathsIn,
  withoutOwn,
  type LastOwner,
} from './count-deaths.ts'

const DEAD: LastOwner = {
  deaths: { run: 7, count: 3, all: 5 },
  from: 5,
  position: 5,
  tookOverAt: 1_000,
  lastAt: 1_000,
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
    expect(new Precautions({ inARow: 1, all: 9 }, 'requests').isOneByOne(2)).toBe(false)
    const precautions = new Precautions({ inARow: 2, all: 2 }, 'requests')
    const alone = [1, 2, 3, 4].map(() => (precautions.goesOn(), precautions.isOneByOne(2)))
    expect(alone).toEqual([true, true, false, false])
    expect(precautions.rejection()).toBeNull()
  })

  it('gives up the first after three in a row, and no other one', () => {
    const precautions = new Precautions({ inARow: 3, all: 3 }, 'requests')
    expect([precautions.rejection(), precautions.rejection()]).toEqual([
      'rendering ended the process 3 times in a row',
      null,
    ])
    expect(precautions.ends).toBeNull()
  })

  it('has each record acknowledged from the first one in a row on, as many as may have been under way', () => {
    expect(new Precautions({ inARow: 0, all: 9 }, 'requests').isCautious).toBe(false)
    const precautions = new Precautions({ inARow: 1, all: 1 }, 'requests')
    for (let record = 1; record < 5_000; record += 1) precautions.goesOn()
    expect(precautions.isCautious).toBe(true)
    precautions.goesOn()
    expect(precautions.isCautious).toBe(false)
  })

  it('sends nothing more of the run after twenty in all', () => {
    expect(new Precautions({ inARow: 0, all: 20 }, 'attempts').ends).toMatch(
      /^sending, or taking the answer in, ended the process 20 times in this run/,
    )
  })

  it('never comes after twenty that rendered, or thirty that delivered', () => {
    const all = [19, 20, 29, 30]
    const stop = (stage: 'requests' | 'attempts'): unknown =>
      all.map(each => areTooMany({ inARow: 0, all: each }, stage))
    expect(stop('requests')).toEqual([false, true, true, true])
    expect(stop('attempts')).toEqual([false, false, false, true])
  })
})
