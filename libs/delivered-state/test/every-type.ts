/** Values, column names and keys of every type, from a source through the state and back. */
import { describe, expect, it } from 'vitest'
import type { Row } from '@sluice/contracts/values'
import type { DeliveredState, DetectedChange, DiffRequest } from '../src/port.ts'
import { changesOf, type DeliveredStateHarness, requestFor, TIMEOUT } from './harness.ts'
import { TYPE_VALUES } from './type-values.ts'

/** Nested values that differ in nothing but how they are nested, or in a null. */
const NESTED_VALUES: readonly (readonly [string, string, readonly (readonly [string])[]])[] = [
  ['lists', 'x::INTEGER[]', [['NULL'], ['[]'], ['[NULL]'], ['[NULL, NULL]'], ['[1, NULL]'], ['[NULL, 1]']]],
  ['lists of texts', 'x::VARCHAR[]', [['NULL'], ["['']"], ["['null']"], ["['a', 'b']"], [`['a","b']`]]],
  [
    'lists of lists',
    'x::INTEGER[][]',
    [['NULL'], ['[]'], ['[[]]'], ['[NULL]'], ['[[], [1]]'], ['[[1], []]'], ['[[1], [2]]'], ['[[1, 2]]']],
  ],
  [
    'structs',
    'x::STRUCT(a INTEGER, b INTEGER[])',
    [
      ['NULL'],
      ["{'a': NULL, 'b': NULL}"],
      ["{'a': NULL, 'b': []}"],
      ["{'a': NULL, 'b': [1]}"],
      ["{'a': 1, 'b': NULL}"],
    ],
  ],
]

async function foundBy(state: DeliveredState, request: DiffRequest): Promise<readonly DetectedChange[]> {
  return (await changesOf(await state.diff(request))).changes
}

async function deliver(state: DeliveredState, changes: readonly DetectedChange[]): Promise<void> {
  const records = changes.map((change, seq) => ({
    offset: seq,
    timestamp: 0,
    change: { ...change, run: 1, seq, replayed: null },
  }))
  await state.feed({ partition: 0, changes: { records, nextOffset: records.length } })
  await state.commit()
}

/**
 * Delivers what a diff finds, and expects nothing to do afterwards: here, and in a state rebuilt from the
 * same changes.
 */
async function expectSettled(
  harness: DeliveredStateHarness,
  request: DiffRequest,
): Promise<readonly DetectedChange[]> {
  await using state = await harness.open({ name: 'live' })
  const added = await foundBy(state, request)
  await deliver(state, added)
  expect(await foundBy(state, request)).toEqual([])
  await using rebuilt = await harness.open({ name: 'rebuilt' })
  await deliver(rebuilt, added)
  expect(await foundBy(rebuilt, request)).toEqual([])
  return added
}

const byId = (changes: readonly DetectedChange[]) =>
  [...changes].sort((a, b) => Number(a.key) - Number(b.key))

export function everyTypeSuite(name: string, harness: () => DeliveredStateHarness): void {
  describe(`${name}: every type, from source to state and back, is the same`, TIMEOUT, () => {
    it.each(TYPE_VALUES)('%s', async (_, expression, values) => {
      const rows = values.map(([sql], id) => `(${id}, ${sql})`)
      const select = `SELECT id, ${expression} AS v FROM (VALUES ${rows.join(', ')}) AS t(id, x)`
      const added = await expectSettled(harness(), await requestFor(harness(), `${select} ORDER BY id`))
      expect(byId(added).map(change => change.after?.['v'])).toEqual(values.map(([, value]) => value))
      await using state = await harness().open({ name: 'live' })
      const removed = await foundBy(state, await requestFor(harness(), `${select} WHERE false`))
      expect(byId(removed).map(change => change.before?.['v'])).toEqual(values.map(([, value]) => value))
    })

    it.each(NESTED_VALUES)('and any two %s are told apart', async (_, expression, values) => {
      const indexes = [...values.keys()]
      const pairs = indexes.flatMap(from => indexes.map(to => ({ from, to })))
      const rowsOf = (side: 'from' | 'to') => {
        const rows = pairs.map((pair, id) => `(${id}, ${values[pair[side]]?.[0] ?? ''})`)
        return `SELECT id, ${expression} AS v FROM (VALUES ${rows.join(', ')}) AS t(id, x)`
      }
      await using state = await harness().open({ name: 'live' })
      const added = await foundBy(state, await requestFor(harness(), rowsOf('from')))
      await deliver(state, added)
      await using rebuilt = await harness().open({ name: 'rebuilt' })
      await deliver(rebuilt, added)
      const differing = pairs.flatMap(({ from, to }, id) => (from === to ? [] : [['changed', String(id)]]))
      for (const each of [state, rebuilt]) {
        const found = await foundBy(each, await requestFor(harness(), rowsOf('to')))
        expect(byId(found).map(({ op, key }) => [op, key])).toEqual(differing)
      }
    })

    it.each([
      ["{'a': 1, 'b': 2}", "{'a': 1}", 'changed'],
      ["{'a': 1, 'b': NULL::INTEGER}", "{'a': 1}", null],
      ["{'a': 1}", "{'a': 1, 'b': NULL::INTEGER}", null],
      ["{'a': 1}", "{'a': 1, 'b': 2}", 'changed'],
      ["{'a': 1}", "{'a': 1::BIGINT}", null],
      [`[{'a"\\": n': {'b': ['x'], 'c': 'n'}}, NULL]`, `[{'a"\\": n': {'b': ['x']}}, NULL]`, 'changed'],
    ])('and a struct %s that becomes %s is %s', async (before, after, op) => {
      const select = (v: string) => requestFor(harness(), `SELECT 'k' AS id, ${v} AS v`)
      await using state = await harness().open({ name: 'live' })
      const added = await foundBy(state, await select(before))
      await deliver(state, added)
      await using rebuilt = await harness().open({ name: 'rebuilt' })
      await deliver(rebuilt, added)
      for (const each of [state, rebuilt]) {
        const found = await foundBy(each, await select(after))
        expect(found.map(change => change.op)).toEqual(op === null ? [] : [op])
      }
    })

    it('with columns named like ours, with quotes, or like DuckDB’s own', async () => {
      const names = [
        'rowid',
        'key',
        'kind',
        'hash',
        'content',
        'rid',
        'e0',
        'a "quoted" one',
        "o'clock",
        '__proto__',
        'a.b',
        'ünï',
        'select',
      ]
      const select = names.map((name, i) => `${i} AS "${name.replaceAll('"', '""')}"`).join(', ')
      const request = await requestFor(harness(), `SELECT 'k' AS id, ${select}`)
      await using state = await harness().open({ name: 'names' })
      const added = await foundBy(state, request)
      const after: Row = added[0]?.after ?? {}
      expect(Object.keys(after)).toEqual(['id', ...names])
      expect(Object.values(after)).toEqual(['k', ...names.keys()])
      await deliver(state, added)
      expect(await foundBy(state, request)).toEqual([])
      const changed = await foundBy(
        state,
        await requestFor(harness(), `SELECT 'k' AS id, ${select.replace('0 AS', '7 AS')}`),
      )
      expect(changed.map(change => [change.before?.['rowid'], change.after?.['rowid']])).toEqual([[0, 7]])
      expect(Object.keys(changed[0]?.before ?? {})).toEqual(['id', ...names])
    })

    it.each<[string, string, string]>([
      ['text', "'ä\"' || chr(9) || chr(0)", 'ä"\t\0'],
      ['empty text', "''", ''],
      ['text that begins like our own marking', "'=x'", '=x'],
      ['integer', '7', '7'],
      ['huge integer', '9223372036854775807::HUGEINT', '9223372036854775807'],
      ['decimal', '1.50', '1.50'],
      ['boolean', 'true', 'true'],
      ['date', "DATE '2024-02-29'", '2024-02-29'],
      ['timestamp with a zone', "TIMESTAMPTZ '2024-02-29 12:00:00+02'", '2024-02-29T10:00:00Z'],
      ['uuid', "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::UUID", 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
      ['bytes', "'\\xAB\\x01'::BLOB", 'ab01'],
      ['double', '1.5::DOUBLE', '1.5'],
      ['float', '0.1::FLOAT', '0.1'],
    ])('and a key of %s is its canonical text, also after a rebuild', async (_, sql, key) => {
      const added = await expectSettled(harness(), await requestFor(harness(), `SELECT ${sql} AS id, 1 AS v`))
      expect(added.map(change => change.key)).toEqual([key])
    })

    it('and a composite key is a JSON array of texts', async () => {
      const sql = `SELECT 'a"b' AS a, DATE '2024-01-01' AS b, 5 AS c`
      const added = await expectSettled(
        harness(),
        await requestFor(harness(), sql, { primaryKey: ['a', 'b', 'c'] }),
      )
      expect(added.map(change => change.key)).toEqual(['["a\\"b","2024-01-01","5"]'])
    })
  })
}
