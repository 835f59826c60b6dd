import type { LookupFunction } from 'node:net'
import { expect, it } from 'vitest'
import { sharedLookup } from './shared-lookup.ts'

it('looks a name up once for all callers at the same time, and again afterwards', () => {
  const asked: Parameters<LookupFunction>[] = []
  const lookup = sharedLookup((...of) => asked.push(of))
  const found: unknown[] = []
  const ask = (name: string, all: boolean): void =>
    lookup(name, { all }, (_error, address) => found.push([name, address]))
  ask('a.test', true)
  ask('a.test', true)
  ask('b.test', true)
  ask('a.test', false)
  expect(asked.map(([name, { all }]) => [name, all])).toEqual([
    ['a.test', true],
    ['b.test', true],
    ['a.test', false],
  ])
  asked[0]?.[2](null, '192.0.2.1', 4)
  expect(found).toEqual([
    ['a.test', '192.0.2.1'],
    ['a.test', '192.0.2.1'],
  ])
  ask('a.test', true)
  expect(asked).toHaveLength(4)
})
