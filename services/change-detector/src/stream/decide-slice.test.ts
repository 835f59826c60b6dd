/** Cases of a slice that random histories do not play (test/histories/streams). */
import { expect, it } from 'vitest'
import { sampleEntry } from '@sluice/testkit/sample-records'
import { decideKey, decideSlice, doubted, type DecideRules, type KnownKey } from './decide-slice.ts'

const RULES: DecideRules = {
  ...{
    compare: ['v', 'w'],
    needed: ['v', 'w'],
    sent: new Set(['added', 'changed', 'removed']),
    giveUpAfter: null,
  },
  ...{ tellsExists: false, command: null },
}

function knownKey(of: Partial<KnownKey> = {}): KnownKey {
  const row = of.row === undefined ? { v: 1, w: 1 } : of.row
  return {
    ...{ key: 'a', state: 'present', row, wanted: row, partition: 2, run: 4, slice: 1, seq: 7 },
    ...{ muted: null, failed: null, captured: null, ...of },
  }
}

it('settles a row with columns that it was delivered without, and sends it for another difference', () => {
  const known = knownKey({ row: { v: 1 } })
  const adopted = decideKey('a', { wanted: { row: { v: 1, w: 2 } }, known }, RULES)
  expect(adopted).toMatchObject({ op: 'settled', settledState: 'present', after: { v: 1, w: 2 } })
  expect(decideKey('a', { wanted: { row: { v: 2, w: 2 } }, known }, RULES)).toMatchObject({ op: 'changed' })
})

it('settles what no trigger sends, as if it were delivered', () => {
  const rules = { ...RULES, sent: new Set(['added'] as const) }
  const removed = decideKey('a', { wanted: { row: null }, known: knownKey({ captured: '{}' }) }, rules)
  expect(removed).toMatchObject({ op: 'settled', settledState: 'absent', after: null, endsCaptured: true })
})

it('settles rows as being there in a first comparison that takes them so', () => {
  const wanted = { row: { v: 1, w: 1 }, isThere: true }
  const settled = decideKey('a', { wanted, known: undefined }, RULES)
  expect(settled).toMatchObject({ op: 'settled', settledState: 'present', partition: null })
})

it('sends a row without the values of an object that is gone, and ends these', () => {
  const known = knownKey({ state: 'absent', row: null, captured: '{"id":1}' })
  const added = decideKey('a', { wanted: { row: { v: 1, w: 1 } }, known }, RULES)
  expect(added).toMatchObject({ op: 'added', captured: null, endsCaptured: true, partition: 2 })
})

it('takes an entry of an earlier change for no failure, and ends it with the next settled change', () => {
  const failed = sampleEntry({ run: 3, seq: 1, runs: 9 })
  const rules = { ...RULES, giveUpAfter: 2 }
  const known = knownKey({ failed })
  expect(decideKey('a', { wanted: { row: { v: 2, w: 1 } }, known }, rules)).toMatchObject({
    ...{ op: 'changed', retried: null, endsRetry: false },
  })
  expect(decideKey('a', { wanted: { row: { v: 1, w: 1 } }, known }, rules)).toMatchObject({
    ...{ op: 'settled', settledState: 'present', muted: null, endsRetry: true },
  })
})

it('ends that a row is given up where the removal of its twin has it sent in another way', () => {
  const gone = { wanted: { row: { v: 1, w: 1 } }, removed: 'present' } as const
  const known = knownKey({ muted: 'changed:0:0' })
  expect(doubted(known, gone, RULES)).toMatchObject({ settledState: 'content-uncertain', muted: null })
  expect(doubted(knownKey({ state: 'existence-uncertain' }), gone, RULES)).toBeNull()
})

it('takes one change of twins, and holds back the others', () => {
  const newest = new Map([
    ['Ann', { row: { v: 1, w: 1 } }],
    ['ann', { row: null }],
    ['bob', { row: { v: 1, w: 1 } }],
  ])
  const states = new Map([['ann', knownKey({ key: 'ann' })]])
  const slice = decideSlice({
    ...{ newest, rules: RULES, formOf: (key: string) => key.toLowerCase(), twinsOf: () => [] },
    ...{ stateOf: (key: string) => states.get(key), isInFlight: (form: string) => form === 'bob' },
  })
  expect(slice.changes.map(({ op, key }) => `${op} ${key}`)).toEqual(['removed ann'])
  expect([...slice.held.keys()]).toEqual(['Ann', 'bob'])
})
