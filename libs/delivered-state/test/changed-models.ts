/** The effect on a state if its model gains, loses or changes columns. */
import { describe, expect, it } from 'vitest'
import { isSluiceError } from '@sluice/contracts/errors'
import type { Op } from '@sluice/contracts/state'
import type { Row, Value } from '@sluice/contracts/values'
import type { DetectedChange } from '../src/port.ts'
import { type DeliveredStateHarness, TIMEOUT } from './harness.ts'
import { brief, ONE, Played } from './played.ts'

/** A value, and the value that it becomes. A cast from one type to the other makes them alike. */
const READ_DIFFERENTLY = [
  ['10.5::DOUBLE', '11::BIGINT'],
  ['1e-7::DOUBLE', '0::BIGINT'],
  ['10.555::DECIMAL(9,3)', '10.56::DECIMAL(9,2)'],
  ['10.555::DECIMAL(29,3)', '10.56::DECIMAL(29,2)'],
  ["'10'", '0.10::DECIMAL(29,2)'],
  ['1e-7::DOUBLE', '0::DECIMAL(29,2)'],
  ["'ten'", 'NULL::BIGINT'],
  ['10.5::DOUBLE', 'NULL::BIGINT'],
  ['2::BIGINT', 'true'],
  ['10::INTEGER', '10::DECIMAL(10,2)'],
  ['1.50::DECIMAL(9,2)', '1.500::DECIMAL(9,3)'],
  ['1.50::DECIMAL(9,2)', '1.5::DOUBLE'],
  ["'1.0'", '1::DOUBLE'],
  ["'05'", '5::INTEGER'],
  ["''", 'NULL::INTEGER'],
  ["'null'", 'NULL::INTEGER'],
  ['9007199254740993::BIGINT', '9007199254740992::DOUBLE'],
  ["'9007199254740993'", '9007199254740992::DOUBLE'],
  ["'20000000000000001'", '20000000000000000::DOUBLE'],
  ['10000000000000000001::DECIMAL(38,0)', '1e19::DOUBLE'],
  ['[20000000000000001]', '[20000000000000000::DOUBLE]'],
  ["'1e400'", "'inf'::DOUBLE"],
  ["'inf'", "'inf'::DOUBLE"],
  ["'nan'", "'nan'::DOUBLE"],
  ['[]::INTEGER[]', "{'a': NULL::INTEGER}"],
  ["[{'a': NULL::INTEGER}]", '[NULL::INTEGER[]]'],
  ["'x'", 'NULL::INTEGER[]'],
  ["'x'", "{'a': NULL::INTEGER}"],
  ["['x']", "[{'a': NULL::INTEGER}]"],
  ["{'a': 1, 'b': []::INTEGER[]}", "{'a': 1}"],
  ["TIMESTAMP '2024-01-01 00:00:00'", "TIMESTAMPTZ '2024-01-01 00:00:00+00'"],
  ["DATE '2024-01-01'", "TIMESTAMP '2024-01-01 00:00:00'"],
] as const

/** A value, and the value that it becomes. Both read the same. */
const READ_THE_SAME = [
  ['5::INTEGER', '5::BIGINT'],
  ['5::BIGINT', '5::HUGEINT'],
  ['5::INTEGER', '5::DOUBLE'],
  ['5::DOUBLE', '5::INTEGER'],
  ['5::INTEGER', "'5'"],
  ["'5'", '5::INTEGER'],
  ['0.1::FLOAT', '0.1::DOUBLE'],
  ['0.1::DOUBLE', '0.1::FLOAT'],
  ["'1.50'", '1.50::DECIMAL(9,2)'],
  ['1.50::DECIMAL(9,2)', '1.50::DECIMAL(30,2)'],
  ['1.5::DECIMAL(9,1)', '1.5::DOUBLE'],
  ['9223372036854775807::BIGINT', "'9223372036854775807'"],
  ['1e20::DOUBLE', '1e20::DOUBLE'],
  ['-123456789012345680::DOUBLE', '-123456789012345680::DOUBLE'],
  ['20000000000000000::BIGINT', '20000000000000000::DOUBLE'],
  ["'-inf'::DOUBLE", "'-inf'::DOUBLE"],
  ["'nan'::DOUBLE", "'nan'::FLOAT"],
  ['-0.0::DOUBLE', '-0.0::FLOAT'],
  ["{'a': [], 'b': {'c': NULL::INTEGER}}", "{'b': {'c': NULL::INTEGER}, 'a': []}"],
  ["DATE '2024-02-29'", "'2024-02-29'"],
  ["TIMESTAMPTZ '2024-02-29 12:00:00.5+00'", "'2024-02-29T12:00:00.5Z'"],
  ["'true'", 'true'],
  ['NULL::INTEGER', 'NULL::VARCHAR'],
  ['NULL::VARCHAR', 'NULL::INTEGER[]'],
  ['[1, 2]', '[1, 2]::BIGINT[]'],
  ["{'a': 1}", "{'a': 1, 'b': NULL::VARCHAR}"],
  ["{'a': NULL::INTEGER}", "{'a': NULL::VARCHAR}"],
] as const

/** A value, the value that another row has in its column now, and the value as it was delivered. */
const SHOWN_AS_DELIVERED: readonly (readonly [was: string, is: string, shown: Value])[] = [
  ["'n/a'", '5', 'n/a'],
  ["'5'", '5', '5'],
  ["''", '1.5::DOUBLE', ''],
  ['1.50::DECIMAL(9,2)', '1.5::DOUBLE', '1.50'],
  ['7::BIGINT', "'seven'", 7],
  ['true', "'yes'", true],
  ["'no list'", '[1]', 'no list'],
  ["{'a': 1, 'b': 2}", "{'a': 1}", { a: 1, b: 2 }],
  ['[1, NULL, 2]', "['x']", [1, null, 2]],
  ["DATE '2024-02-29'", '20240229', '2024-02-29'],
]

/**
 * The query for one row per value. Each row has its value in a column of its own, and null in the others.
 * So one diff judges all values, each by the type of its column. A key is the place of its value.
 */
function rowPerValue(values: readonly string[]): string {
  const columnsOf = (row: number) => values.map((value, at) => `${at === row ? value : 'NULL'} AS c${at}`)
  return values.map((_, row) => `SELECT '${row}' AS id, ${columnsOf(row).join(', ')}`).join(' UNION ALL ')
}

/** The pairs whose keys are not among those of the changes. */
function missedBy<T>(changes: readonly DetectedChange[], pairs: readonly T[]): readonly T[] {
  const found = new Set(changes.filter(({ op }) => op === 'changed').map(({ key }) => key))
  return pairs.filter((_, at) => !found.has(String(at)))
}

export function changedModelsSuite(name: string, harness: () => DeliveredStateHarness): void {
  describe(`${name}: a model that changes`, TIMEOUT, () => {
    const rowsOf = (changes: readonly DetectedChange[]): readonly (Row | null)[] =>
      changes.map(change => change.before)

    it('by a new column sends nothing for it alone, and later edits of it as changes', async () => {
      const played = await Played.open(harness())
      await played.run(ONE)
      const wide = "SELECT '1' AS id, 10 AS v, 'x' AS extra"
      const adopted = await played.run(wide)
      expect(adopted.changes.filter(change => change.op !== 'settled')).toEqual([])
      expect(adopted.diff.adopted).toEqual({ rows: 1, columns: ['extra'] })
      const again = await played.diff(wide)
      expect(again.changes).toEqual([])
      expect(again.diff.adopted).toEqual({ rows: 0, columns: [] })
      const edited = await played.diff(wide.replace("'x'", "'y'"))
      expect(edited.changes).toMatchObject([{ op: 'changed', before: { extra: 'x' }, after: { extra: 'y' } }])
      await played.state[Symbol.asyncDispose]()
    })

    it('by a new column still finds edits of the others, and fills what was never stored with null', async () => {
      const played = await Played.open(harness())
      await played.run(ONE)
      const { changes } = await played.diff("SELECT 'x' AS extra, '1' AS id, 11 AS v")
      expect(rowsOf(changes)).toEqual([{ extra: null, id: '1', v: 10 }])
      expect(Object.keys(changes[0]?.before ?? {})).toEqual(['extra', 'id', 'v'])
      await played.state[Symbol.asyncDispose]()
    })

    it('by a column that vanishes sends nothing', async () => {
      const played = await Played.open(harness())
      await played.run("SELECT '1' AS id, 10 AS v, 'x' AS extra")
      expect((await played.diff(ONE)).changes).toEqual([])
      expect(rowsOf((await played.diff(`${ONE} LIMIT 0`)).changes)).toEqual([{ id: '1', v: 10 }])
      await played.state[Symbol.asyncDispose]()
    })

    it('by the type of a column sends only what reads differently', async () => {
      const played = await Played.open(harness())
      await played.run("SELECT '1' AS id, 10::INTEGER AS v UNION ALL SELECT '2', 20")
      const wider = "SELECT '1' AS id, 10::DOUBLE AS v UNION ALL SELECT '2', 20.5"
      expect(brief((await played.diff(wider)).changes)).toEqual([['changed', '2', 20, 20.5]])
      const text = "SELECT '1' AS id, '10' AS v UNION ALL SELECT '2', 'twenty'"
      expect(brief((await played.diff(text)).changes)).toEqual([['changed', '2', 20, 'twenty']])
      await played.state[Symbol.asyncDispose]()
    })

    it('by the type of a column finds values that a cast would make alike', async () => {
      const played = await Played.open(harness())
      await played.run(rowPerValue(READ_DIFFERENTLY.map(([was]) => was)))
      const { changes } = await played.diff(rowPerValue(READ_DIFFERENTLY.map(([, is]) => is)))
      expect(missedBy(changes, READ_DIFFERENTLY)).toEqual([])
      expect(changes).toHaveLength(READ_DIFFERENTLY.length)
      await played.state[Symbol.asyncDispose]()
    })

    it('by the type of a column sends nothing for values that read the same', async () => {
      const played = await Played.open(harness())
      const { changes: sent } = await played.run(rowPerValue(READ_THE_SAME.map(([was]) => was)))
      const rebuilt = await Played.open(harness(), 'rebuilt')
      await rebuilt.deliver(sent, 'delivered')
      await rebuilt.state.commit()
      const now = rowPerValue(READ_THE_SAME.map(([, is]) => is))
      for (const { state } of [played, rebuilt]) {
        const { changes } = await new Played(harness(), state).diff(now)
        expect(changes.map(({ op, key }) => [op, READ_THE_SAME[Number(key)]])).toEqual([])
        await state[Symbol.asyncDispose]()
      }
    })

    it('by the type of a column shows a row that leaves as it was delivered', async () => {
      const played = await Played.open(harness())
      await played.run(rowPerValue(SHOWN_AS_DELIVERED.map(([was]) => was)))
      const columns = SHOWN_AS_DELIVERED.map(([, is], at) => `${is} AS c${at}`)
      const other = `SELECT 'other' AS id, ${columns.join(', ')}`
      const { changes, diff } = await played.diff(other)
      expect(diff.retyped.map(({ name }) => name)).toEqual(SHOWN_AS_DELIVERED.map((_, at) => `c${at}`))
      const removed = changes.filter(({ op }) => op === 'removed')
      expect(removed.map(({ key, before }) => [key, before?.[`c${key}`]])).toEqual(
        SHOWN_AS_DELIVERED.map(([, , shown], at) => [String(at), shown]),
      )
      expect(changes.filter(({ op }) => op !== 'removed')).toMatchObject([{ op: 'added', key: 'other' }])
      // No trigger deletes it, and the state keeps it as it was.
      const settled = await played.run(other, 'delivered', { opsWithTrigger: new Set<Op>(['added']) })
      expect(settled.diff.retyped).toEqual([])
      await played.state[Symbol.asyncDispose]()
    })

    it('by a column that is empty for a while keeps its type, and those that it never had are no change', async () => {
      const played = await Played.open(harness())
      await played.run("SELECT '1' AS id, NULL::VARCHAR AS v, 5::BIGINT AS n")
      const first = await played.run("SELECT '1' AS id, 1.5::DOUBLE AS v, NULL::VARCHAR AS n")
      expect(first.diff.retyped).toEqual([])
      expect(first.diff.columns.map(({ type }) => type.kind)).toEqual(['text', 'double', 'long'])
      const second = await played.run("SELECT '1' AS id, 1.5::DOUBLE AS v, 6::INTEGER AS n")
      expect(second.diff.retyped).toEqual([{ name: 'n', was: { kind: 'long' }, is: { kind: 'integer' } }])
      expect(brief(second.changes).map(([op, key]) => [op, key])).toEqual([['changed', '1']])
      await played.state[Symbol.asyncDispose]()
    })

    it('by the type of its key keeps the rows whose keys read the same, and takes the others for others', async () => {
      const played = await Played.open(harness())
      await played.run("SELECT unnest([1, 2, 3])::INTEGER AS id, 'a' AS v")
      const texts = await played.run("SELECT unnest(['1', '2', 'x']) AS id, 'a' AS v")
      expect(brief(texts.changes).map(([op, key]) => [op, key])).toEqual([
        ['removed', '3'],
        ['added', 'x'],
      ])
      const numbers = await played.run("SELECT unnest([1, 2])::BIGINT AS id, 'a' AS v")
      expect(brief(numbers.changes).map(([op, key]) => [op, key])).toEqual([['removed', 'x']])
      await played.state[Symbol.asyncDispose]()
    })

    it('by the columns that count compares stored rows again', async () => {
      const played = await Played.open(harness())
      await played.run(ONE, 'delivered', { compare: ['id'] })
      expect((await played.diff(ONE.replace('10', '11'), { compare: ['id'] })).changes).toEqual([])
      expect(brief((await played.diff(ONE.replace('10', '11'), { compare: ['v'] })).changes)).toEqual([
        ['changed', '1', 10, 11],
      ])
      expect((await played.diff(ONE.replace('10', '11'), { compare: [] })).changes).toEqual([])
      await played.state[Symbol.asyncDispose]()
    })

    it.each(['remembered', 'rebuilt'])(
      'to a result without rows, whose types say nothing, removes rows with the types that they had: %s',
      async how => {
        const played = await Played.open(harness())
        const typed = "SELECT 7::BIGINT AS id, 10::INTEGER AS v, 1.5::DOUBLE AS d, true AS b, 'x' AS t"
        const { changes: sent } = await played.run(typed)
        const known = how === 'rebuilt' ? await Played.open(harness(), 'rebuilt') : played
        if (how === 'rebuilt') {
          await known.deliver(sent, 'delivered')
          await known.state.commit()
        }
        const texts = "SELECT '' AS id, '' AS v, '' AS d, '' AS b, '' AS t LIMIT 0"
        const { diff, changes } = await known.diff(texts)
        expect(diff).toMatchObject({ rowsRead: 0, rowsInvalid: 0, keysBefore: 1, removedSamples: ['7'] })
        expect(changes).toMatchObject([
          { op: 'removed', key: '7', before: { id: 7, v: 10, d: 1.5, b: true, t: 'x' } },
        ])
        expect(diff.columns.map(({ type }) => type.kind)).toEqual([
          'long',
          how === 'rebuilt' ? 'long' : 'integer',
          'double',
          'boolean',
          'text',
        ])
        // Nothing of it is remembered.
        expect((await known.diff(typed)).changes).toEqual([])
        await known.state[Symbol.asyncDispose]()
        await played.state[Symbol.asyncDispose]()
      },
    )

    it('to one that is refused, and then to a result without rows, removes rows with their own types', async () => {
      const played = await Played.open(harness())
      await played.run("SELECT 'A12' AS id, 10 AS v")
      await expect(played.diff('SELECT 12 AS id, 10 AS v')).rejects.toThrow('sluice reset')
      const { changes } = await played.diff("SELECT '' AS id, 0 AS v LIMIT 0")
      expect(changes).toMatchObject([{ op: 'removed', key: 'A12', before: { id: 'A12', v: 10 } }])
      await played.state[Symbol.asyncDispose]()
    })

    it('to a result without rows knows a column of any name after a rebuild', async () => {
      const played = await Played.open(harness())
      const typed = `SELECT '1' AS id, 2 AS "*", 3 AS "a.b", 4 AS "[*]", 5 AS "$", 6 AS "q""\\"`
      const { changes: sent } = await played.run(typed)
      const rebuilt = await Played.open(harness(), 'rebuilt')
      await rebuilt.deliver(sent, 'delivered')
      await rebuilt.state.commit()
      const texts = `SELECT '' AS id, '' AS "*", '' AS "a.b", '' AS "[*]", '' AS "$", '' AS "q""\\" LIMIT 0`
      expect((await rebuilt.diff(texts)).changes).toMatchObject([
        { op: 'removed', before: { '*': 2, 'a.b': 3, '[*]': 4, $: 5, 'q"\\': 6 } },
      ])
      await rebuilt.state[Symbol.asyncDispose]()
      await played.state[Symbol.asyncDispose]()
    })

    it('to a result without rows by other key columns is refused', async () => {
      const played = await Played.open(harness())
      await played.run(ONE)
      const diffing = played.diff(`${ONE} LIMIT 0`, { primaryKey: ['v'] })
      await expect(diffing).rejects.toThrow('sluice reset')
      await played.state[Symbol.asyncDispose]()
    })

    it.each([
      ['other key columns', "SELECT '1' AS id, 10 AS v", ['v']],
      ['another type of the key', 'SELECT 1.5 AS id, 10 AS v', ['id']],
    ])('by %s is refused, naming the reset', async (_, sql, primaryKey) => {
      const played = await Played.open(harness())
      const first = await played.run(ONE)
      const refused = await played.diff(sql, { primaryKey }).then(
        () => null,
        (error: unknown) => error,
      )
      expect(isSluiceError(refused, 'config') ? refused.message : refused).toContain('sluice reset')
      // After a rebuild nobody remembers the key columns, and the rows have to tell.
      const rebuilt = await Played.open(harness(), 'rebuilt')
      await rebuilt.deliver(first.changes, 'delivered')
      await rebuilt.state.commit()
      const again = await rebuilt.diff(sql, { primaryKey }).then(
        () => null,
        (error: unknown) => error,
      )
      expect(isSluiceError(again, 'config') ? again.message : again).toContain('sluice reset')
      expect((await rebuilt.diff(ONE)).changes).toEqual([])
      await rebuilt.state[Symbol.asyncDispose]()
      await played.state[Symbol.asyncDispose]()
    })

    it('to one without its key column is refused, naming the columns there are', async () => {
      const played = await Played.open(harness())
      const refused = await played.diff('SELECT 1 AS ident').then(
        () => null,
        (error: unknown) => error,
      )
      expect(isSluiceError(refused, 'config') ? refused.message : refused).toContain('ident')
      await played.state[Symbol.asyncDispose]()
    })
  })
}
