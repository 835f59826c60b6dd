import { expect, it } from 'vitest'
import { RecentMap } from './recent-map.ts'

it('forgets what was used longest ago, and tells of it', () => {
  const forgotten: string[] = []
  const map = new RecentMap<string, number>({ limit: 2, onForgotten: key => forgotten.push(key) })
  map.set('a', 1)
  map.set('b', 2)
  expect(map.get('a')).toBe(1)
  map.set('c', 3)
  expect([map.get('a'), map.get('b'), map.get('c')]).toEqual([1, undefined, 3])
  expect(forgotten).toEqual(['b'])
})

it('counts what entries weigh, a new value in place of the old one', () => {
  const map = new RecentMap<string, string>({ limit: 10, weightOf: text => text.length })
  map.set('a', '12345678')
  map.set('a', '1234')
  map.set('b', '123456')
  expect(map.size).toBe(2)
  map.set('c', '1')
  expect([map.get('a'), map.get('b')]).toEqual([undefined, '123456'])
})

it('keeps the last, whatever it weighs', () => {
  const map = new RecentMap<string, string>({ limit: 3, weightOf: text => text.length })
  map.set('a', '1')
  map.set('b', '123456')
  expect([map.size, map.get('b')]).toEqual([1, '123456'])
})
