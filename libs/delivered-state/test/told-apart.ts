/**
 * Different rows never count as equal, and equal rows never as different. The values, of all types, are so
 * alike in structure that a weak hash of a row, or an ambiguous text of it, would collide.
 */
import { describe, expect, it } from 'vitest'
import { changesOf, type DeliveredStateHarness, requestFor, TIMEOUT } from './harness.ts'
import { Played } from './played.ts'

/** Per type: SQL of values, all different. Halves equal and swapped, around zero and at the ends. */
const WIDE = ['-2', '-1', '0', '1', '2', ...halves().map(String)]
const SETS: readonly (readonly [type: string, values: readonly string[]])[] = [
  ['HUGEINT', WIDE],
  ['DECIMAL(38,0)', WIDE],
  [
    'DECIMAL(19,2)',
    ['-0.02', '-0.01', '0.00', '0.01', '0.02', '1.00', '10.00', '-1.00', '99999999999999999.99'],
  ],
  [
    'DECIMAL(38,10)',
    ['-0.0000000001', '0', '0.0000000001', '1', '-1', '184467440.7370955161', '1844674407.3709551616'],
  ],
  ['UBIGINT', ['0', '1', '4294967296', '4294967297', '18446744073709551615']],
  [
    'BIGINT',
    [
      '-1',
      '0',
      '1',
      '4294967295',
      '4294967296',
      '4294967297',
      '-4294967296',
      '9223372036854775807',
      '-9223372036854775808',
    ],
  ],
  ['INTEGER', ['-1', '0', '1', '65536', '65537', '2147483647', '-2147483648']],
  [
    'DOUBLE',
    [
      '-1',
      '0',
      '1',
      '1e15',
      '1e16',
      '1e-7',
      '0.1',
      '0.30000000000000004',
      '0.3',
      "'nan'",
      "'inf'",
      "'-inf'",
      '4503599627370497.5',
    ],
  ],
  ['FLOAT', ['-1', '0', '1', '0.1', '16777216', '3.4e38', "'nan'", "'inf'"]],
  [
    'VARCHAR',
    [
      `''`,
      `','`,
      `',,'`,
      `'#'`,
      `'#1:,'`,
      `'#0:'`,
      `'1'`,
      `'01'`,
      `'null'`,
      `'NULL'`,
      'chr(0)',
      'chr(0) || chr(0)',
      'chr(65279)',
      `'a'`,
      `'a '`,
      `' a'`,
      `'é'`,
      `'e' || chr(769)`,
    ],
  ],
  ['BLOB', [`''`, `'\\x00'`, `'\\x00\\x00'`, `'AA=='`, `'a'`]],
  [
    'UUID',
    [
      `'00000000-0000-0001-0000-000000000000'`,
      `'00000000-0000-0000-0000-000000000001'`,
      `'00000000-0000-0001-0000-000000000001'`,
      `'00000000-0000-0000-0000-000000000000'`,
    ],
  ],
  [
    'DATE',
    [`'1970-01-01'`, `'1970-01-02'`, `'1969-12-31'`, `'infinity'`, `'0001-01-01'`, `'0044-03-15 (BC)'`],
  ],
  [
    'TIMESTAMP',
    [
      `'1970-01-01'`,
      `'1970-01-01 00:00:00.000001'`,
      `'1970-01-01 00:00:01'`,
      `'0999-12-31 23:59:59'`,
      `'1000-01-01'`,
      `'9999-12-31 23:59:59.999999'`,
      `'9999-12-31 23:59:59'`,
      `'10000-01-01'`,
      `'infinity'`,
      `'-infinity'`,
    ],
  ],
  [
    'TIMESTAMPTZ',
    [
      `'1970-01-01 00:00:00+00'`,
      `'1970-01-01 00:00:00+01'`,
      `'2024-01-01 00:00:00.5+00'`,
      `'2024-01-01 00:00:00.50001+00'`,
    ],
  ],
  ['INTERVAL', [`'0 days'`, `'1 day'`, `'24 hours'`, `'30 days'`, `'1 month'`]],
  ['INTEGER[]', ['[]', '[NULL]', '[0]', '[1, 2]', '[2, 1]', '[12]']],
  ['HUGEINT[]', ['[-1]', '[0]', '[1]', `[${String(halves()[0])}]`]],
  ['VARCHAR[]', [`['a,b']`, `['a', 'b']`, `['a","b']`, `['']`, `['null']`, '[NULL]']],
  [
    'STRUCT(a HUGEINT, b DECIMAL(19,2))',
    [
      "{'a': -1, 'b': 0}",
      "{'a': 0, 'b': -0.01}",
      "{'a': 0, 'b': 0}",
      "{'a': NULL, 'b': 0}",
      "{'a': 0, 'b': NULL}",
    ],
  ],
  [
    'STRUCT(a VARCHAR, b VARCHAR)[]',
    [
      "[{'a': 'x', 'b': 'y'}]",
      "[{'a': 'y', 'b': 'x'}]",
      "[{'a': 'x', 'b': NULL}, {'a': NULL, 'b': 'y'}]",
      "[{'a': 'x\",\"b\":\"y', 'b': NULL}]",
    ],
  ],
]

function halves(): readonly bigint[] {
  const half = 0x0123456789abcdefn
  const of = (high: bigint, low: bigint): bigint => (high << 64n) | low
  const found = [
    of(1n, 1n),
    of(1n, 0n),
    of(0n, 1n << 63n),
    of(half, half),
    of(half, 0n),
    of(0n, half),
    of(1n, half),
    of(half, 1n),
  ]
  return found.map(value => value % 10n ** 37n)
}

/** Rows of two texts: what stands in one column must not be taken for the other's. */
const TEXTS = [
  'NULL',
  "''",
  "','",
  "',,'",
  "'a'",
  "'a,'",
  "',a'",
  "'a,a'",
  "'#'",
  "'#1:a'",
  "'#1:a,'",
  "'-'",
  "'null'",
  "'0'",
]

export function toldApartSuite(name: string, harness: () => DeliveredStateHarness): void {
  describe(`${name}: no two different rows count as equal, and no equal ones as different`, TIMEOUT, () => {
    /** Each row goes from one of the rows to one of the others, or stays. */
    async function expectToldApart(rows: readonly string[], columns: string): Promise<void> {
      const pairs = rows.flatMap(from => rows.map(to => ({ from, to })))
      const sqlOf = (side: 'from' | 'to') =>
        `SELECT id, ${columns} FROM (VALUES ${pairs.map((pair, id) => `(${id}, ${pair[side]})`).join(', ')}) AS t(id, x, y)`
      const { changes: sent, state } = await delivered(sqlOf('from'))
      const rebuilt = await Played.open(harness(), 'rebuilt')
      await rebuilt.state.feed({ partition: 0, changes: placed(sent) })
      await rebuilt.state.commit()
      const differing = pairs.flatMap(({ from, to }, id) => (from === to ? [] : [String(id)]))
      for (const each of [state, rebuilt.state]) {
        expect(
          (await changesOf(await each.diff(await requestFor(harness(), sqlOf('from'))))).changes,
        ).toEqual([])
        const found = await changesOf(await each.diff(await requestFor(harness(), sqlOf('to'))))
        const keys = found.changes.map(({ key }) => Number(key)).sort((a, b) => a - b)
        expect(keys.map(String)).toEqual(differing)
        await each[Symbol.asyncDispose]()
      }
    }

    async function delivered(sql: string) {
      const { state } = await Played.open(harness(), 'live')
      const { changes } = await changesOf(await state.diff(await requestFor(harness(), sql)))
      await state.feed({ partition: 0, changes: placed(changes) })
      await state.commit()
      return { state, changes }
    }

    it.each(SETS)('in a column of %s', (type, values) => {
      const distinct = [...new Set(values)]
      return expectToldApart(
        ['NULL', ...distinct].map(value => `CAST(${value} AS ${type}), 0`),
        'x AS v',
      )
    })

    it('in two columns of text whose contents move, swap, or look like what divides them', () => {
      const rows = TEXTS.flatMap(a => TEXTS.map(b => `CAST(${a} AS VARCHAR), CAST(${b} AS VARCHAR)`))
      const some = rows.filter((_, index) => index % 5 === 0 || index < 28)
      return expectToldApart(some, 'x AS a, y AS b')
    })

    it('in two columns of numbers that swap, and beside NULL', () => {
      const values = ['NULL', '0', '-1', '1', '12', '2', '18446744073709551616', '18446744073709551617']
      const rows = values.flatMap(a => values.map(b => `CAST(${a} AS HUGEINT), CAST(${b} AS HUGEINT)`))
      return expectToldApart(rows, 'x AS a, y AS b')
    })

    it('where a decimal of 19 digits goes from −0.01 to 0.00', async () => {
      const played = await Played.open(harness())
      const sql = (v: string): string => `SELECT '1' AS id, CAST(${v} AS DECIMAL(19,2)) AS v`
      await played.run(sql('-0.01'))
      expect((await played.diff(sql('0.00'))).changes).toMatchObject([{ op: 'changed' }])
      await played.state[Symbol.asyncDispose]()
    })
  })
}

function placed(changes: Awaited<ReturnType<typeof changesOf>>['changes']) {
  const records = changes.map((change, seq) => ({
    offset: seq,
    timestamp: 0,
    change: { ...change, run: 1, seq, replayed: null },
  }))
  return { records, nextOffset: records.length }
}
