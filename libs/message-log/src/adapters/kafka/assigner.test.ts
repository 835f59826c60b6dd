import { expect, test } from 'vitest'
import { randomFrom } from '@sluice/testkit/random'
import type { TopicPartition } from '../../port.ts'
import { assignSticky, decodeClaim, encodeClaim, type MemberClaim } from './assigner.ts'

const partitionsOf = (topic: string, count: number): TopicPartition[] =>
  Array.from({ length: count }, (_, partition) => ({ topic, partition }))
const names = (partitions: readonly TopicPartition[]) =>
  partitions.map(({ topic, partition }) => `${topic}/${partition}`).toSorted()
const member = (memberId: string, owned: readonly TopicPartition[] = [], generation = 1): MemberClaim => ({
  memberId,
  topics: ['t'],
  owned,
  generation,
})

test('while members come and go at random, shares stay even and no partition moves without need', () => {
  const seed = Date.now() % 1_000_000
  const { next } = randomFrom(seed)
  const partitions = partitionsOf('t', 12)
  let owned = new Map<string, TopicPartition[]>()
  for (let step = 0; step < 500; step += 1) {
    const ids = Array.from({ length: 9 }, (_, i) => `m${i}`).filter(() => next() < 0.5)
    if (ids.length === 0) continue
    const before = owned
    owned = assignSticky(
      ids.map(id => member(id, before.get(id))),
      partitions,
    )
    const loads = [...owned.values()].map(each => each.length)
    expect(Math.max(...loads) - Math.min(...loads), `seed ${seed}`).toBeLessThanOrEqual(1)
    expect(names([...owned.values()].flat()), `seed ${seed}`).toEqual(names(partitions))
    // Each member that stayed keeps all that it had, or at least the smaller share.
    const share = Math.floor(partitions.length / ids.length)
    for (const id of ids) {
      const had = names(before.get(id) ?? [])
      const has = new Set(names(owned.get(id) ?? []))
      const kept = had.filter(each => has.has(each)).length
      expect(kept, `seed ${seed}`).toBeGreaterThanOrEqual(Math.min(had.length, share))
    }
  }
})

test('if two members claim the same partition, the one of the later generation gets it', () => {
  const partitions = partitionsOf('t', 2)
  const asleep = member('a', partitions, 3)
  const awake = member('b', partitions.slice(0, 1), 5)
  const result = assignSticky([asleep, awake], partitions)
  expect(names(result.get('b') ?? [])).toEqual(['t/0'])
  expect(names(result.get('a') ?? [])).toEqual(['t/1'])
})

test('no member gets partitions of a topic that it does not read, and claims on deleted topics are void', () => {
  const partitions = [...partitionsOf('t', 3), ...partitionsOf('u', 3)]
  const result = assignSticky(
    [
      { memberId: 'a', topics: ['t'], owned: partitionsOf('u', 3), generation: 1 },
      { memberId: 'b', topics: ['t', 'u'], owned: partitionsOf('gone', 2), generation: 1 },
    ],
    partitions,
  )
  expect(names(result.get('a') ?? []).every(each => each.startsWith('t/'))).toBe(true)
  expect(names([...result.values()].flat())).toEqual(names(partitions))
})

test('there may be more members than partitions, or no members', () => {
  const result = assignSticky([member('a'), member('b'), member('c')], partitionsOf('t', 2))
  expect([...result.values()].map(each => each.length).toSorted((a, b) => a - b)).toEqual([0, 1, 1])
  expect(assignSticky([], partitionsOf('t', 2)).size).toBe(0)
  expect(assignSticky([member('a')], []).get('a')).toEqual([])
})

test('a claim is decoded as it was encoded, and other bytes claim nothing', () => {
  const claim = { owned: partitionsOf('t', 3), generation: 7 }
  expect(decodeClaim(encodeClaim(claim))).toEqual(claim)
  const nothing = { owned: [], generation: -1 }
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    '{"generation":"1","owned":[]}',
    '{"generation":1}',
    '\u0000\u0001',
  ])
    expect(decodeClaim(Buffer.from(text))).toEqual(nothing)
  expect(decodeClaim(null)).toEqual(nothing)
  const odd = Buffer.from('{"generation":2,"owned":[["t",1],[1,"t"],7,["t"]]}')
  expect(decodeClaim(odd)).toEqual({ owned: [{ topic: 't', partition: 1 }], generation: 2 })
})
