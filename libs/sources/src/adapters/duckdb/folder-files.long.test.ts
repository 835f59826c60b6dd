/** A query names the files of its source's folder, and reads them. */
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { errorOf, modelOf } from '../../../test/contract.ts'
import { sourceHere } from '../../../test/extract-here.ts'
import { queryFile } from '../../../test/query-file.ts'
import type { Source } from '../../port.ts'

const { signal } = new AbortController()

describe('files of the folder', () => {
  let folder = ''
  let files = 0
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-source-'))
  })
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  const open = (): Source => sourceHere(folder)
  const rowsOf = async (sql: string): Promise<object[]> => {
    const { file } = await open().extract(modelOf(sql), {
      file: join(folder, `extract-${files++}`),
      signal,
    })
    return queryFile(file, 'FROM rows')
  }

  beforeEach(() => {
    writeFileSync(join(folder, 'people.csv'), 'id,name\n1,Ann\n2,\n3,""\n4,"a ""b"", c"\n')
    writeFileSync(join(folder, 'more.json'), '[{"id": 5, "tags": ["x", "y"], "geo": {"lat": 1.5}}]')
    writeFileSync(join(folder, 'lines.jsonl'), '{"id": 6}\n{"id": 7}\n')
    mkdirSync(join(folder, 'deep', 'er'), { recursive: true })
    writeFileSync(join(folder, 'deep', 'er', 'b.csv'), 'id\n8\n')
  })

  const people = [
    { id: '1', name: 'Ann' },
    { id: '2', name: null },
    { id: '3', name: '' },
    { id: '4', name: 'a "b", c' },
  ]

  /** Takes some hundred milliseconds for each id, however often it stands in the files. */
  const slowly = (where: string): string =>
    `SELECT p.id FROM (SELECT DISTINCT id FROM 'p*.csv') AS p, generate_series(1, 20000000) AS s(i)
       WHERE ${where} GROUP BY p.id HAVING sum(i) > 0`
  it.each([
    ['is written', (file: string) => appendFileSync(file, '9,Eve\n')],
    [
      'is replaced',
      (file: string) => {
        writeFileSync(`${file}.new`, 'id,name\n9,Eve\n')
        renameSync(`${file}.new`, file)
      },
    ],
  ])('a file that %s meanwhile fails the query, and the next one has its rows', async (_, change) => {
    const file = join(folder, 'people.csv')
    const changing = setInterval(() => change(file), 2)
    const failure = await errorOf(rowsOf(slowly('true'))).finally(() => clearInterval(changing))
    expect(failure).toMatchObject({ code: 'query', retryable: true })
    expect(failure.message).toContain(`${file} changed while model customers was read`)
    expect(await rowsOf("SELECT DISTINCT id FROM 'p*.csv' WHERE id = 9")).toEqual([{ id: '9' }])
  })

  it('a file that is replaced by a rename meanwhile is read again', async () => {
    const file = join(folder, 'people.csv')
    const begun = join(folder, `extract-${files}`)
    let left = 100
    const replacing = setInterval(() => {
      if (left === 0 || !existsSync(begun)) return
      // The file before is kept, so that no file system gives its number to the next one.
      linkSync(file, `${file}.old${left}`)
      left -= 1
      writeFileSync(`${file}.new`, 'id,name\n1,Ann\n9,Eve\n')
      renameSync(`${file}.new`, file)
    }, 5)
    const found = await rowsOf(slowly('true')).finally(() => clearInterval(replacing))
    expect(found).toHaveLength(2)
    expect(found).toEqual(expect.arrayContaining([{ id: '1' }, { id: '9' }]))
  })

  it.each([
    ['SELECT id, name FROM', 'id,name,city\n1,Ann\n2,Bob,Rome\n', '3 by `,`, and line 2 has 2'],
    ['FROM', 'id;name;city\n1;Ann;Oslo\n2;Bob;Rome;2024\n', '3 by `;`, and line 3 has 4'],
    ['SELECT id FROM', 'id\tname\n1\tAnn\ntotal\n', '2 by tab, and line 3 has 1'],
    ['SELECT id FROM', 'id,name\n1,Ann\n2,Bob\n3,Cyd,Rome\n', '2 by `,`, and line 4 has 3'],
    ['SELECT column0 AS id FROM', '1,Ann\n2,Bob\n3,Cyd,Rome\n', '2 by `,`, and line 3 has 3'],
    ['SELECT id FROM', 'People of today\n\nid,name\n1,Ann\n', '1 by `,`, and line 3 has 2'],
  ])('with a line of too many or too few fields are named with the line: %s', async (from, text, says) => {
    writeFileSync(join(folder, 'ragged.csv'), text)
    const error = await errorOf(rowsOf(`${from} 'ragged.csv'`))
    expect(error.code).toBe('query')
    expect(error.message).toContain(`reads the file ${join(folder, 'ragged.csv')}, whose lines`)
    expect(error.message).toContain(says)
  })

  it('that begin with lines which are no rows are read if the query says how many', async () => {
    writeFileSync(join(folder, 'report.csv'), 'People of today\n\nid,name\n1,Ann\n')
    expect(await rowsOf("FROM read_csv('report.csv', skip = 2)")).toEqual([{ id: '1', name: 'Ann' }])
  })

  it('a file that appears meanwhile does no harm', async () => {
    let count = 0
    const adding = setInterval(() => writeFileSync(join(folder, `px${count++}.csv`), 'id,name\n8,Bob\n'), 2)
    const found = await rowsOf(slowly('p.id = 1')).finally(() => clearInterval(adding))
    expect(found).toEqual([{ id: '1' }])
    expect(count).toBeGreaterThan(0)
  })

  it.each([
    ['a name in quotes', "FROM 'people.csv'"],
    ['a name in double quotes', 'SELECT * FROM "people.csv"'],
    ['a bare name', 'SELECT * FROM people.csv'],
    ['a bare name in double quotes', 'SELECT * FROM "people"."csv"'],
    ['dollar quotes', 'FROM $$people.csv$$'],
    ['a path with dots', "FROM './deep/../people.csv'"],
    ['a name with an alias', "SELECT p.id, p.name FROM 'people.csv' AS p"],
    ['a name whose own alias is used', "SELECT people.id, name FROM 'people.csv'"],
    ['column aliases', "SELECT a AS id, b AS name FROM 'people.csv' AS p(a, b)"],
    ['read_csv', "FROM read_csv('people.csv')"],
    ['read_csv with options', "FROM read_csv('people.csv', header = true, delim := ',')"],
    ['a list of files', "FROM read_csv(['people.csv'])"],
    ['a pattern', "FROM read_csv('peo*.csv')"],
    [
      'a subquery behind text in UTF-8',
      "WITH p AS (FROM 'people.csv') SELECT id, name FROM p WHERE 'é😀' <> '' AND id IN (SELECT id FROM 'people.csv')",
    ],
  ])('are read by %s, and an empty text is no NULL', async (_, sql) => {
    expect(await rowsOf(sql)).toEqual(people)
  })

  it('may be read in DuckDB’s own way with quoted empty fields', async () => {
    const rows = await rowsOf(
      "SELECT name FROM read_csv('people.csv', allow_quoted_nulls = true) WHERE id = 3",
    )
    expect(rows).toEqual([{ name: null }])
  })

  it.each([
    ['a name', "FROM 'marks.csv'"],
    ['read_csv', "FROM read_csv('marks.csv', types = { 'comment': 'VARCHAR' })"],
    ['a pattern', "FROM read_csv('mark*.csv', header := true)"],
  ])('keep rows that begin with #, read by %s', async (_, sql) => {
    writeFileSync(join(folder, 'marks.csv'), 'id,comment\n#1,a\n2,b\n#3,c\n')
    expect(await rowsOf(sql)).toEqual([
      { id: '#1', comment: 'a' },
      { id: '2', comment: 'b' },
      { id: '#3', comment: 'c' },
    ])
  })

  it.each([["comment = '#'"], ["COMMENT := '#'"], ["comment => '#'"]])(
    'may have comments, if the query says so: %s',
    async option => {
      writeFileSync(join(folder, 'notes.csv'), '# made by hand,\n# twice\nid,name\n#1,a\n2,b\n# end\n')
      expect(await rowsOf(`FROM read_csv('notes.csv', ${option})`)).toEqual([{ id: '2', name: 'b' }])
    },
  )

  const MANY = 30_000
  const lateIn = (form: 'csv' | 'jsonl', first: string, last: string, delimiter = ','): void => {
    const values = [...Array.from({ length: MANY - 1 }, () => first), last]
    const lines = values.map((v, id) => (form === 'csv' ? `${id}${delimiter}${v}` : `{"id":${id},"v":${v}}`))
    const header = form === 'csv' ? [`id${delimiter}v`] : []
    writeFileSync(join(folder, `late.${form}`), `${[...header, ...lines].join('\n')}\n`)
  }

  it.each([
    ['1', '1.5', { type: 'DOUBLE', v: 1.5, before: 1 }],
    ['1', '01234', { type: 'VARCHAR', v: '01234', before: '1' }],
    ['1', '+5', { type: 'VARCHAR', v: '+5', before: '1' }],
    ['1', '0x10', { type: 'VARCHAR', v: '0x10', before: '1' }],
    ['1', '1_000', { type: 'VARCHAR', v: '1_000', before: '1' }],
    ['1', '1e3', { type: 'DOUBLE', v: 1000, before: 1 }],
    ['1', '-0', { type: 'BIGINT', v: '0', before: '1' }],
    ['1', '12345678901234567891', { type: 'HUGEINT', v: '12345678901234567891', before: '1' }],
    ['1.5', '12345678901234567891', { type: 'VARCHAR', v: '12345678901234567891', before: '1.5' }],
    ['1.5', '9007199254740993', { type: 'VARCHAR', v: '9007199254740993', before: '1.5' }],
    ['1.5', '007', { type: 'VARCHAR', v: '007', before: '1.5' }],
    ['1.5', '100', { type: 'DOUBLE', v: 100, before: 1.5 }],
    ['1.5', '-.5', { type: 'DOUBLE', v: -0.5, before: 1.5 }],
    ['12345678901234567891', '1', { type: 'HUGEINT', v: '1', before: '12345678901234567891' }],
    [
      '2024-01-05',
      '2024-01-05 10:00:00',
      { type: 'VARCHAR', v: '2024-01-05 10:00:00', before: '2024-01-05' },
    ],
    ['true', '1', { type: 'VARCHAR', v: '1', before: 'true' }],
    ['yes', 'NO', { type: 'BOOLEAN', v: false, before: true }],
    ['1.5', '1e400', { type: 'VARCHAR', v: '1e400', before: '1.5' }],
    ['1.5', '1e-400', { type: 'VARCHAR', v: '1e-400', before: '1.5' }],
    ['1.5', '0e-400', { type: 'DOUBLE', v: 0, before: 1.5 }],
    [
      '2024-01-05 10:00:00',
      '2024-01-05 10:00:00.1234567',
      { type: 'VARCHAR', v: '2024-01-05 10:00:00.1234567', before: '2024-01-05 10:00:00' },
    ],
    [
      '2024-01-05 10:00:00Z',
      '2024-01-05 10:00:00.1234567Z',
      { type: 'VARCHAR', v: '2024-01-05 10:00:00.1234567Z', before: '2024-01-05 10:00:00Z' },
    ],
    ['10:00:00', '10:00:00.1234567', { type: 'VARCHAR', v: '10:00:00.1234567', before: '10:00:00' }],
    ['10:00:00', '10:00:00.1234560', { type: 'TIME', v: '10:00:00.123456', before: '10:00:00' }],
  ])('keep what stands after many rows of another type: %s, later %s', async (first, last, wanted) => {
    lateIn('csv', first, last)
    const rows = await rowsOf(
      `SELECT typeof(v) AS type, v, (SELECT min(v) FROM 'late.csv' WHERE id = 0) AS before
         FROM read_csv(['late.csv']) WHERE id = ${MANY - 1}`,
    )
    expect(rows).toEqual([wanted])
  })

  it.each([
    ['1', 'n/a'],
    ['1.5', 'n/a'],
    ['2024-01-05', 'next year and later'],
    ['true', 'maybe'],
  ])('fail by name where a value is none of the type of many before: %s, later %s', async (first, last) => {
    lateIn('csv', first, last)
    const error = await errorOf(rowsOf("FROM 'late.csv'"))
    expect(error.code).toBe('query')
    expect(error.message).toContain('late.csv')
  })

  it('keep the offset of a time after many without one', async () => {
    lateIn('csv', '2024-01-05 10:00:00', '2024-01-05 10:00:00+02:00')
    const rows = await rowsOf(
      `SELECT typeof(v) AS type, epoch(v) AS s FROM 'late.csv' WHERE id = ${MANY - 1}`,
    )
    expect(rows).toEqual([{ type: 'TIMESTAMP WITH TIME ZONE', s: Date.UTC(2024, 0, 5, 8) / 1000 }])
  })

  it.each([
    ["'late.csv', types = {'id': 'VARCHAR'}"],
    ["'late.csv', DTYPES := {ID: 'VARCHAR'}, header = true"],
    ["['late.csv'], delim => ',', column_types => { 'id': 'VARCHAR' }"],
    ["/* ä */ 'late.csv', types = {'id': 'VARCHAR', 'of_none': 'DATE'}"],
  ])('keep what stands in the columns whose types the query does not name: %s', async call => {
    lateIn('csv', '1', '1.5')
    const isStrict = call.includes('of_none')
    const rows = rowsOf(
      `SELECT typeof(id) AS t, typeof(v) AS type, v FROM read_csv(${call}) WHERE id = '${MANY - 1}'`,
    )
    if (isStrict) expect((await errorOf(rows)).message).toContain('of_none')
    else expect(await rows).toEqual([{ t: 'VARCHAR', type: 'DOUBLE', v: 1.5 }])
  })

  it.each([
    ["dateformat = '%d.%m.%Y'", '1', '1.5', { type: 'DOUBLE', v: 1.5 }],
    ["timestampformat := '%d.%m.%Y'", '1', '01', { type: 'VARCHAR', v: '01' }],
    ["decimal_separator = ','", '1', '1,5', { type: 'DOUBLE', v: 1.5 }],
    ["decimal_separator := ','", '1,5', '9007199254740993', { type: 'VARCHAR', v: '9007199254740993' }],
    ["decimal_separator = ','", '1', '0123', { type: 'VARCHAR', v: '0123' }],
    ["thousands = '.', decimal_separator = ','", '1.000', '1.234,5', { type: 'VARCHAR', v: '1.234,5' }],
    ["thousands = '.', decimal_separator = ','", '1', '1.234,5', { type: 'DOUBLE', v: 1234.5 }],
    ["thousands = ','", '1', '9,007,199,254,740,993', { type: 'BIGINT', v: '9007199254740993' }],
    ["thousands = ','", '1', '1,234.5', { type: 'DOUBLE', v: 1234.5 }],
  ])(
    'keep numbers where the query says how they or times look: %s, %s, later %s',
    async (option, first, last, wanted) => {
      const call = `'late.csv', delim = ';', quote = '', ${option}`
      lateIn('csv', first, last, ';')
      const rows = await rowsOf(`SELECT typeof(v) AS type, v FROM read_csv(${call}) WHERE id = ${MANY - 1}`)
      expect(rows).toEqual([wanted])
    },
  )

  it('fail where a number has a point, and the query names another separator', async () => {
    lateIn('csv', '1,5', '1.5', ';')
    const error = await errorOf(rowsOf("FROM read_csv('late.csv', delim = ';', decimal_separator = ',')"))
    expect(error.code).toBe('query')
    expect(error.message).toContain('late.csv')
  })

  it.each([
    ["types = ['VARCHAR']"],
    ["types = struct_pack(id := 'VARCHAR')"],
    ["types = { /* the key */ 'id': 'VARCHAR' }"],
  ])('are refused where the types of other columns would be guessed wrongly: %s', async option => {
    lateIn('csv', '1', '1.5')
    const error = await errorOf(rowsOf(`FROM read_csv('late.csv', ${option})`))
    expect(error.code).toBe('query')
    expect(error.message).toContain("add 'v': 'DOUBLE'")
    lateIn('csv', '1', '2')
    const rows = await rowsOf(`SELECT id, v FROM read_csv('late.csv', ${option}) WHERE id = '${MANY - 1}'`)
    expect(rows).toEqual([{ id: String(MANY - 1), v: '2' }])
  })

  it('keep the types of a list that names all of them', async () => {
    lateIn('csv', '1', '1.5')
    const sql = `SELECT v FROM read_csv('late.csv', types = ['VARCHAR', 'FLOAT']) WHERE id = '${MANY - 1}'`
    expect(await rowsOf(sql)).toEqual([{ v: 1.5 }])
  })

  it('keep the types that the query names, and count no header as a value', async () => {
    lateIn('csv', '1', '1.4')
    expect(await rowsOf("SELECT sum(v) AS s FROM read_csv('late.csv', types = { 'v': 'INTEGER' })")).toEqual([
      { s: String(MANY) },
    ])
    writeFileSync(join(folder, 'plain.csv'), '1,2\n3,4.5\n')
    writeFileSync(join(folder, 'headed.csv'), 'a,"b ""c"""\n1,2\n3,0x1\n')
    expect(await rowsOf("FROM 'plain.csv'")).toEqual([
      { column0: '1', column1: 2 },
      { column0: '3', column1: 4.5 },
    ])
    expect(await rowsOf("FROM 'headed.csv'")).toEqual([
      { a: '1', 'b "c"': '2' },
      { a: '3', 'b "c"': '0x1' },
    ])
  })

  it.each([
    ['1', '1.5', { type: 'DOUBLE', v: 1.5 }],
    ['1', 'true', { type: 'JSON', v: 'true' }],
    ['[1]', '[1.5]', { type: 'DOUBLE[]', v: [1.5] }],
    ['{"a":1}', '{"a":1,"b":2}', { type: 'STRUCT(a BIGINT, b BIGINT)', v: { a: '1', b: '2' } }],
  ])(
    'of JSON keep what stands after many rows of another type: %s, later %s',
    async (first, last, wanted) => {
      lateIn('jsonl', first, last)
      const rows = await rowsOf(`SELECT typeof(v) AS type, v FROM 'late.jsonl' WHERE id = ${MANY - 1}`)
      expect(rows).toEqual([wanted])
    },
  )

  const ZONED = 'TIMESTAMP WITH TIME ZONE'
  it.each<[type: string, values: readonly string[], kept?: readonly string[]]>([
    // Numbers.
    ['DOUBLE', ['1.5', '2'], ['1.5', '2.0']],
    ['BIGINT', ['9007199254740993', '1']],
    ['HUGEINT', ['18446744073709551616', '1']],
    ['HUGEINT', ['12345678901234567890123456789012345678', '-1']],
    ['JSON', ['9007199254740993', '1.5']],
    ['JSON', ['123456789012345678901234567890123456789', '1']],
    ['JSON', ['1e400', '2']],
    ['JSON', ['18446744073709551616', '0.5']],
    // Times.
    [
      'TIMESTAMP',
      ['"2024-01-05T10:00:00"', '"2024-01-06T10:00:00"'],
      ['2024-01-05 10:00:00', '2024-01-06 10:00:00'],
    ],
    [ZONED, ['"2024-01-05T10:00:00.500Z"'], ['2024-01-05 10:00:00.5+00']],
    [
      ZONED,
      ['"2024-01-05T10:00:00.500Z"', '"2024-01-05T10:00:00Z"'],
      ['2024-01-05 10:00:00.5+00', '2024-01-05 10:00:00+00'],
    ],
    [
      'VARCHAR',
      ['"2024-01-05T10:00:00"', '"2024-01-05T10:00:00+01:00"'],
      ['2024-01-05T10:00:00', '2024-01-05T10:00:00+01:00'],
    ],
    ['VARCHAR', ['"24-01-05"'], ['24-01-05']],
    ['VARCHAR', ['"01-05-2024"'], ['01-05-2024']],
    ['VARCHAR', ['"10:00"'], ['10:00']],
    ['TIME', ['"10:00:00"', '"10:00:01.5"'], ['10:00:00', '10:00:01.5']],
    [
      ZONED,
      ['"2024-01-05T10:00:00Z"', '"2024-01-05T11:00:00Z"'],
      ['2024-01-05 10:00:00+00', '2024-01-05 11:00:00+00'],
    ],
    [ZONED, ['"2024-01-05T10:00:00+02:00"', 'null'], ['2024-01-05 08:00:00+00', 'null']],
    [
      ZONED,
      ['"2024-01-05T10:00:00+02:00"', '"2024-01-05T10:00:00-03:30"'],
      ['2024-01-05 08:00:00+00', '2024-01-05 13:30:00+00'],
    ],
    [
      ZONED,
      ['"2024-01-05T10:00:00Z"', '"2024-01-05T10:00:00+01"'],
      ['2024-01-05 10:00:00+00', '2024-01-05 09:00:00+00'],
    ],
    [
      'VARCHAR',
      ['"2024-01-05T10:00:00.123456789Z"', '"2024-01-05T10:00:00Z"'],
      ['2024-01-05T10:00:00.123456789Z', '2024-01-05T10:00:00Z'],
    ],
    ['VARCHAR', ['"2024-01-05T10:00:00Z"', '"soon"'], ['2024-01-05T10:00:00Z', 'soon']],
    [
      'VARCHAR',
      ['"2024-01-05T10:00:00Z"', '"2024-02-30T10:00:00Z"'],
      ['2024-01-05T10:00:00Z', '2024-02-30T10:00:00Z'],
    ],
    ['VARCHAR', ['"10:00:00"', '"10:00:00.1234567"'], ['10:00:00', '10:00:00.1234567']],
    ['VARCHAR', ['"2024-01-05"', '"2024-02-30"'], ['2024-01-05', '2024-02-30']],
    ['DATE', ['"2024-01-05"', '"2024-02-29"'], ['2024-01-05', '2024-02-29']],
    ['UUID', ['"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"'], ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']],
    // Nested.
    ['JSON[]', ['[1.5, 9007199254740993]'], ['[1.5, 9007199254740993]']],
    [
      'STRUCT(n JSON, t TIMESTAMP WITH TIME ZONE, "a b" DOUBLE)',
      ['{"n": 9007199254740993, "t": "2024-01-05T10:00:00Z", "a b": 0.5}', '{"n": 0.5}'],
      [
        "{'n': 9007199254740993, 't': '2024-01-05 10:00:00+00', 'a b': 0.5}",
        "{'n': 0.5, 't': NULL, 'a b': NULL}",
      ],
    ],
    [
      'STRUCT(t TIMESTAMP WITH TIME ZONE[])[]',
      ['[{"t": ["2024-01-05T10:00:00+02:00", null]}]'],
      ["[{'t': ['2024-01-05 08:00:00+00', NULL]}]"],
    ],
  ])('of JSON keep what stands in them, as %s: %j', async (type, values, kept = values) => {
    const lines = values.map((v, id) => `{"id":${id},"v":${v}}`)
    writeFileSync(join(folder, 'kept.jsonl'), lines.join('\n'))
    writeFileSync(join(folder, 'kept.json'), `[${lines.join(',')}]`)
    const wanted = kept.map(v => ({ type, v }))
    const of = (from: string) =>
      rowsOf(`SELECT typeof(v) AS type, coalesce(v::VARCHAR, 'null') AS v FROM ${from}`)
    expect(await of("'kept.jsonl'")).toEqual(wanted)
    expect(await of("read_json(['kept.json'], format = 'array')")).toEqual(wanted)
    expect(await of("read_json_auto('kept.jso*', filename = true) WHERE filename LIKE '%l'")).toEqual(wanted)
  })

  it.each([
    ['', { k: '01' }],
    [', filename = true', { filename: expect.stringContaining('k=01/a.jsonl') as unknown, k: '01' }],
    [", filename = 'src'", { src: expect.stringContaining('k=01/a.jsonl') as unknown, k: '01' }],
    [', filename = false, hive_partitioning = false', {}],
  ])('of JSON keep what stands in them beside the names of files and folders%s', async (options, others) => {
    mkdirSync(join(folder, 'k=01'))
    const lines = ['{"n": 9007199254740993, "t": "2024-01-05T10:00:00Z"}', '{"n": 0.5, "t": "10:00"}']
    writeFileSync(join(folder, 'k=01', 'a.jsonl'), lines.join('\n'))
    const rows = await rowsOf(`FROM read_json('k=*/a.jsonl'${options})`)
    expect(rows).toEqual([
      { n: '9007199254740993', t: '2024-01-05T10:00:00Z', ...others },
      { n: '0.5', t: '10:00', ...others },
    ])
  })

  it('of JSON keep a key that is called filename', async () => {
    writeFileSync(join(folder, 'own.jsonl'), '{"filename":"a","n":9007199254740993}\n{"n":0.5}\n')
    expect(await rowsOf("FROM read_json('own.jsonl', filename = false)")).toEqual([
      { filename: 'a', n: '9007199254740993' },
      { filename: null, n: '0.5' },
    ])
  })

  it.each([
    ['T_1', '{"id":1,"t":1,"T":"x"}\n{"id":2,"t":0.5,"T":"y"}\n{"id":3,"t":9007199254740993}'],
    ['T_1', '{"id":1,"t":1,"T":9007199254740993}\n{"id":2,"T":0.5}'],
    ['C1', '{"id":1,"":9007199254740993}\n{"id":2,"":0.5}'],
  ])('of JSON with a key that DuckDB renames to %s fail rather than lose a value', async (name, lines) => {
    writeFileSync(join(folder, 'renamed.jsonl'), lines)
    const failure = await errorOf(rowsOf("FROM 'renamed.jsonl'"))
    expect(failure.code).toBe('query')
    expect(failure.message).toContain(`calls a key of the JSON files "${name}"`)
  })

  it('of JSON with keys that differ in case alone have both where DuckDB reads them as they stand', async () => {
    writeFileSync(join(folder, 'cases.jsonl'), '{"id":1,"t":"a","T":7,"t_2":true}\n{"id":2}\n')
    expect(await rowsOf("FROM 'cases.jsonl'")).toEqual([
      { id: '1', t: 'a', T_1: '7', t_2: true },
      { id: '2', t: null, T_1: null, t_2: null },
    ])
  })

  it('of JSON are read in DuckDB’s own way where the query says how', async () => {
    writeFileSync(
      join(folder, 'own.jsonl'),
      '{"id":1,"n":9007199254740993,"t":"2024-01-05T10:00:00Z"}\n{"id":2,"n":0.5}\n',
    )
    const of = (options: string) =>
      rowsOf(`SELECT typeof(n) AS n, typeof(t) AS t FROM read_json('own.jsonl', ${options}) LIMIT 1`)
    expect(await of("columns = { n: 'FLOAT', t: 'VARCHAR' }")).toEqual([{ n: 'FLOAT', t: 'VARCHAR' }])
    expect(await of('sample_size = 1')).toEqual([{ n: 'BIGINT', t: 'TIMESTAMP' }])
    expect(await of("timestampformat = '%Y'")).toEqual([{ n: 'JSON', t: 'VARCHAR' }])
  })

  it('can be JSON, lines of JSON, Parquet, and lie deeper', async () => {
    await queryFile(':memory:', `COPY (SELECT 9 AS id) TO '${join(folder, 'nine.parquet')}'`)
    expect(await rowsOf("SELECT id, tags, geo FROM 'more.json'")).toEqual([
      { id: '5', tags: ['x', 'y'], geo: { lat: 1.5 } },
    ])
    const sql =
      "SELECT id FROM 'lines.jsonl' UNION ALL FROM 'deep/er/b.csv' UNION ALL FROM 'nine.parquet' UNION ALL FROM 'deep/**/*.csv'"
    expect(await rowsOf(sql)).toEqual([{ id: '6' }, { id: '7' }, { id: '8' }, { id: '9' }, { id: '8' }])
  })

  it('are described by DESCRIBE and counted by SUMMARIZE too', async () => {
    expect(await rowsOf("SELECT column_name FROM (DESCRIBE 'people.csv')")).toEqual([
      { column_name: 'id' },
      { column_name: 'name' },
    ])
  })

  it('take precedence over files of the same name in the working directory', async () => {
    // This test runs in the project's folder, which has this file.
    writeFileSync(join(folder, 'package.json'), '[{"id": "mine"}]')
    expect(await rowsOf("FROM 'package.json'")).toEqual([{ id: 'mine' }])
    expect(await rowsOf("SELECT * FROM read_json('package.json')")).toEqual([{ id: 'mine' }])
  })

  it.each([
    ["SELECT e'it\\'s; fine' AS id;", "it's; fine"],
    ["SELECT ';' AS id; /* ; */", ';'],
    ['SELECT $x$;$x$ AS id -- ;', ';'],
    ['SELECT \'a\' AS "id" -- no line end', 'a'],
  ])('do not affect %s, whose semicolons are recognised', async (sql, id) => {
    expect(await rowsOf(sql)).toEqual([{ id }])
  })

  it('are not found in texts that only look like names', async () => {
    expect(await rowsOf("SELECT 'people.csv' AS id, 'x' || 'people.csv' AS b")).toEqual([
      { id: 'people.csv', b: 'xpeople.csv' },
    ])
  })

  it('that do not exist are reported with their whole path and the nearest name', async () => {
    for (const sql of ["FROM 'poeple.csv'", "FROM read_csv('poeple.csv')"]) {
      const error = await errorOf(open().describe(modelOf(sql), { signal }))
      expect(error.code).toBe('missing-file')
      expect(error.message).toContain(join(folder, 'poeple.csv'))
      expect(error.message).toContain('Did you mean people.csv?')
      expect(error.details[0]).toMatchObject({ file: join(folder, 'poeple.csv'), field: 'sql' })
    }
  })

  it.each(['SELECT id, name FROM empty.csv', "SELECT * FROM read_csv('empty.csv')"])(
    'that are empty fail the query by name, and do not count as a result without rows: %s',
    async sql => {
      writeFileSync(join(folder, 'empty.csv'), '')
      const error = await errorOf(
        open().extract(modelOf(sql), { file: join(folder, `extract-${files++}`), signal }),
      )
      expect(error.code).toBe('query')
      expect(error.message).toContain(
        `Model customers reads the file ${join(folder, 'empty.csv')}, which is empty`,
      )
    },
  )

  it('that are empty are a result without rows for a query that names their columns', async () => {
    writeFileSync(join(folder, 'empty.csv'), '')
    expect(await rowsOf("SELECT id FROM read_csv('empty.csv', columns = { id: 'INTEGER' })")).toEqual([])
  })

  it('keep the place of an error that stands after the name of a file', async () => {
    const sql = "SELECT p.id,\n  q.nam FROM 'people.csv' AS p JOIN 'people.csv' AS q ON p.id = q.idd"
    const error = await errorOf(open().describe(modelOf(sql), { signal }))
    const { line = 0, column = 0 } = error.details[0] ?? {}
    expect(sql.split('\n')[line - 1]?.slice(column - 1)).toMatch(/^q\.(nam|idd)/)
  })

  it('keep the place of an error in a long line, of which DuckDB shows a part', async () => {
    const sql = `SELECT 1 AS id, ${'1 + '.repeat(100)}1 AS b, CAST('x' AS INTEGER) AS c FROM 'people.csv'`
    const error = await errorOf(open().extract(modelOf(sql), { file: join(folder, 'e'), signal }))
    expect(error.details[0]).toMatchObject({ line: 1, column: sql.indexOf('CAST') + 1 })
  })
})
