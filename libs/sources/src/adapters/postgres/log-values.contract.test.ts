/** A row from PostgreSQL's log is the same, value for value, as the row that a comparison reads. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { entriesOf, readerOf, sliceOf } from '../../../test/stream-contract.ts'
import { comparedRows, FollowedTables } from '../../../test/followed-tables.ts'

const url = inject('postgresUrl')

/** Types, each with values in SQL. */
const TYPES: readonly (readonly [type: string, ...values: readonly string[]])[] = [
  ['boolean', 'true', 'false'],
  ['smallint', '-32768', '32767'],
  ['integer', '-2147483648', '0'],
  ['bigint', '9007199254740993', '-9223372036854775808', '42'],
  ['oid', '4294967295'],
  [
    'numeric',
    '0.10',
    '-123456789012345678901234567890.5',
    "'NaN'",
    "'Infinity'",
    "'-Infinity'",
    '1e20',
    '-0.0',
  ],
  ['numeric(9,2)', '1.5', '-0.004', '1234567.89', '0'],
  ['numeric(30,10)', '1.5', '-12345678901234567890.0123456789'],
  ['numeric(5,5)', '0.12345', '-0.5', '0'],
  ['numeric(20,0)', '12345678901234567890', '7'],
  ['numeric(3,-2)', '12345', '-98765'],
  ['numeric(50,2)', '1.5', '123456789012345678901234567890123456789012.25'],
  ['real', '0.1', '448829.38', '16777216', '1e-40', "'NaN'", "'Infinity'", "'-Infinity'", "'-0'", '1e20'],
  ['double precision', '0.1', '1e300', '5e-324', "'NaN'", "'-Infinity'", "'-0'", '1e21', '123456789.125'],
  ['text', "''", String.raw`E'a\tb\\n\n"😀\\\r'`, String.raw`'\N'`, "'{x}'"],
  ['varchar(20)', "'ä'"],
  ['char(5)', "'ab'", "''"],
  ['"char"', "'x'"],
  ['name', "'nm'"],
  ['bytea', String.raw`'\x00ff10'`, "''"],
  [
    'date',
    "'2024-02-29'",
    "'0001-01-01'",
    "'0044-03-15 BC'",
    "'0001-12-31 BC'",
    "'12024-01-01'",
    "'infinity'",
    "'-infinity'",
  ],
  ['time', "'12:34:56.5'", "'24:00:00'", "'00:00:00.000001'"],
  ['timetz', "'12:34:56+02'"],
  [
    'timestamp',
    ...["'2024-02-29 12:34:56.000001'", "'0044-03-15 01:02:03 BC'", "'12024-01-01 00:00:00'", "'infinity'"],
    ...["'0999-01-01'", "'294247-01-10 04:00:54.775806'", "'0001-01-01 00:00:00 BC'", "'4713-01-01 BC'"],
  ],
  ['timestamptz', "'2024-02-29 12:34:56.5+05:30'", "'-infinity'", "'0044-03-15 01:02:03 BC'", "'1900-01-01'"],
  [
    'interval',
    ...["'1 year 2 mons 3 days 04:05:06.5'", "'-1 year 2 mons -3 days 04:05:06.5'", "'0'", "'-00:00:01.5'"],
    ...[
      "'1.5 hours'",
      "'-100 hours 3 minutes'",
      "'1 mon -1 day'",
      "'14 mons'",
      "'00:00:00.000001'",
      "'-00:00:00.25'",
    ],
  ],
  ['uuid', "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"],
  [
    'json',
    `'{ "a" : [1, 2.50, "\\u00e9"] }'`,
    String.raw`'"\ud83d"'`,
    String.raw`'["\\ud83d", "\ud83d\ude00 \udc00"]'`,
    "'null'",
  ],
  ['jsonb', `'{"b":1,"a":[null,true,"x"]}'`, "'12345678901234567890.5'"],
  ['xml', "'<a>b</a>'"],
  ['money', "'1234.5'"],
  ['inet', "'10.0.0.1/8'"],
  ['macaddr', "'08:00:2b:01:02:03'"],
  ['bit(5)', "B'10101'"],
  ['bit varying', "B'1'"],
  ['point', "'(1,2.5)'"],
  ['box', "'(1,1),(0,0)'"],
  ['tsvector', "'a fat cat'"],
  ['int4range', "'[1,5)'"],
  ['int4multirange', "'{[1,5),[7,9)}'"],
  ['pg_lsn', "'16/B374D848'"],
  ['int2vector', "'1 2'"],
  ['integer[]', "'{}'", "'{1,NULL,3}'", "'[0:1]={5,6}'"],
  ['bigint[]', "'{9007199254740993}'"],
  ['text[]', String.raw`ARRAY['a', NULL, 'NULL', 'null', '', 'b"c', E'd\\e', '{f}', ' g', E'h\n', 'i,j']`],
  ['boolean[]', "'{t,f,NULL}'"],
  ['numeric[]', "'{1.50,NaN,-0.1}'"],
  ['numeric(9,2)[]', "'{1.5,-2}'"],
  ['real[]', "'{0.1,1e20}'"],
  ['double precision[]', "'{0.1,-0}'"],
  ['bytea[]', String.raw`ARRAY['\x00ff'::bytea, '']`],
  ['date[]', "'{2024-02-29,infinity}'"],
  ['timestamp[]', "'{2024-02-29 12:34:56}'"],
  ['timestamptz[]', "'{2024-02-29 12:34:56+02}'"],
  ['interval[]', "'{1 day,-00:00:01}'"],
  ['json[]', `ARRAY['{"a": "x,y"}'::json, '1']`],
  ['jsonb[]', `ARRAY['{"a": "x,y"}'::jsonb]`],
  ['uuid[]', "'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'"],
  ['char(4)[]', "'{ab,c}'"],
  ['box[]', "'{(1,1),(0,0);(2,2),(1,1)}'"],
  ['time[]', "'{12:34:56.5}'"],
  ['TYPED_mood', '\'sad, "so"\''],
  ['TYPED_mood[]', `ARRAY['ok', 'sad, "so"']::TYPED_mood[]`],
  ['TYPED_cents', '12.5'],
  ['TYPED_tags', "'{a,b}'"],
  [
    'TYPED_pair',
    `ROW(1, 'a "b", (c)', '2024-02-29 12:00:00+02', NULL, '{1,2}')`,
    `ROW(NULL, '', NULL, 1.50, '{}')`,
  ],
  ['TYPED_pair[]', `ARRAY[ROW(1, 'x', NULL, 2, NULL)::TYPED_pair, NULL]`],
  ['TYPED_wrapped', `ROW(1, 'x', NULL, 2, NULL)`],
]

/** Values that no type of Sluice can hold. */
const UNCARRIED = [
  ['numeric(9,2)', "'NaN'", 'column "v" has NaN, which no decimal of Sluice can hold'],
  [
    'timestamp',
    "'294276-12-31 23:59:59'",
    'column "v" has 294276-12-31 23:59:59, which no timestamp of Sluice can hold',
  ],
  ['timestamptz', "'294276-12-31 23:59:59+00'", 'which no timestamp of Sluice can hold'],
  ['timestamp[]', "'{294276-12-31}'", 'which no list of Sluice can hold'],
  ['integer[]', "'{{1},{2}}'", 'which no list of Sluice can hold'],
] as const

describe.skipIf(url === null)('values of PostgreSQL’s log', { timeout: 120_000 }, () => {
  const tables = new FollowedTables(new URL(url ?? 'postgres://nobody@127.0.0.1:1/none'))
  let folder = ''
  beforeAll(async () => {
    await tables.connect()
    folder = mkdtempSync(join(tmpdir(), 'sluice-follow-'))
  })
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true })
    await tables[Symbol.asyncDispose]()
  })
  const types = (name: string) => (text: string) => text.replaceAll('TYPED', name)

  it('are those of a comparison, for each type', async () => {
    await using made = await tables.make(
      `CREATE TYPE FOLLOWED_mood AS ENUM ('ok', 'sad, "so"'); CREATE DOMAIN FOLLOWED_cents AS numeric(9,2);
       CREATE DOMAIN FOLLOWED_tags AS text[]; CREATE TABLE FOLLOWED (id int PRIMARY KEY);
       CREATE TYPE FOLLOWED_pair AS (a int, "b c" text, at timestamptz, n numeric, list int[]);
       CREATE DOMAIN FOLLOWED_wrapped AS FOLLOWED_pair`,
    )
    const { table, model } = made
    const typed = types(table)
    const columns = TYPES.map(([type], index) => `ADD c${index} ${typed(type)}`)
    await tables.admin.query(`ALTER TABLE ${table} ${columns.join(', ')}; ALTER TABLE ${table} ADD other int`)
    await using source = made.open()
    await using reader = await readerOf(source, model, null)
    await comparedRows(reader, join(folder, 'first'))
    const most = Math.max(...TYPES.map(([, ...values]) => values.length))
    for (let row = 0; row <= most; row += 1) {
      const values = TYPES.map(([type, ...each]) => `CAST(${typed(each[row] ?? 'NULL')} AS ${typed(type)})`)
      await tables.admin.query(`INSERT INTO ${table} VALUES (${[row, ...values].join(', ')}, 1)`)
    }
    const { entries } = await entriesOf(reader, most + 1)
    const { rows, columns: found } = await comparedRows(reader, join(folder, 'second'))
    for (const [index, { row }] of entries.entries())
      for (const { name } of found)
        expect([name, TYPES[Number(name.slice(1))]?.[0], row?.[name]]).toEqual([
          name,
          TYPES[Number(name.slice(1))]?.[0],
          rows[index]?.[name],
        ])
    expect(entries.map(({ row }) => row)).toEqual(rows)
    const described = await source.describe(model, { signal: new AbortController().signal })
    expect(described.columns).toEqual(found)
    await tables.admin.query(
      `DROP TABLE ${table}; DROP DOMAIN ${table}_wrapped; DROP TYPE ${table}_pair; DROP DOMAIN ${table}_cents; DROP DOMAIN ${table}_tags; DROP TYPE ${table}_mood`,
    )
  })

  it.each(UNCARRIED)('say why a row is invalid: %s %s', async (type, value, why) => {
    await using made = await tables.make(`CREATE TABLE FOLLOWED (id int PRIMARY KEY, v ${type})`)
    await using source = made.open()
    await using reader = await readerOf(source, made.model, null)
    await comparedRows(reader, join(folder, 'empty'))
    await tables.admin.query(`INSERT INTO ${made.table} VALUES (1, ${value}), (2, NULL)`)
    const slices = await sliceOf(reader)
    expect(slices.unreadable).toEqual([
      { place: expect.stringMatching(/^commit [0-9A-F/]+, change 1$/), why: expect.stringContaining(why) },
    ])
  })

  it('make the keys that a comparison makes', async () => {
    for (const [type, value, key] of [
      ['numeric(9,2)', '1.5', '1.50'],
      ['bytea', String.raw`'\x00FF'`, '00ff'],
      ['timestamptz', "'2024-02-29 12:00:00+02'", '2024-02-29T10:00:00Z'],
      ['boolean', 'true', 'true'],
      ['interval', "'1 day'", 'P1D'],
    ] as const) {
      await using made = await tables.make(`CREATE TABLE FOLLOWED (id ${type} PRIMARY KEY)`)
      await using source = made.open()
      await using reader = await readerOf(source, made.model, null)
      await comparedRows(reader, join(folder, 'keys'))
      await tables.admin.query(`INSERT INTO ${made.table} VALUES (${value})`)
      expect((await entriesOf(reader, 1)).entries.map(entry => entry.key)).toEqual([key])
    }
    await using made = await tables.make('CREATE TABLE FOLLOWED (a text, b int, PRIMARY KEY (b, a))', {
      primaryKey: ['a', 'b'],
    })
    await using source = made.open()
    await using reader = await readerOf(source, made.model, null)
    await comparedRows(reader, join(folder, 'keys'))
    await tables.admin.query(String.raw`INSERT INTO ${made.table} VALUES (E'\x1f"\\u001f', 2)`)
    expect((await entriesOf(reader, 1)).entries.map(entry => entry.key)).toEqual([
      String.raw`["\u001F\"\\u001f","2"]`,
    ])
  })
})
