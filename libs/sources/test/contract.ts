/** The suite that every source passes. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import type { ColumnType } from '@sluice/contracts/values'
import type { Source } from '../src/port.ts'
import { codePoints, expectEveryCharacter, UNASSIGNED } from './every-character.ts'
import { queryFile } from './query-file.ts'

/** A value: its SQL, its type, and its text in the extract. Bytes have their hex digits as text. */
export type SourceValue = readonly [sql: string, type: ColumnType, text: string]

/** The suite needs this from an adapter. The suite itself has the SQL that all databases understand. */
export interface SourceHarness {
  open(): Promise<Source>
  /** SQL of a query that runs for minutes. */
  readonly endlessSql: string
  /** SQL of a table with the whole numbers of this range, in its one column n. */
  numbers(from: number, to: number): string
  /** SQL of the character that has this code point, itself SQL of a number. */
  characterOf(codePoint: string): string
  /** The first code point that texts may have. */
  readonly firstCharacter: 0 | 1
  /** A value of each type that the documentation names. */
  readonly values: readonly SourceValue[]
  /** SQL of a text of 13 MB. Absent for a source whose rows have no limit of their own. */
  readonly longText?: string
}

export function modelOf(sql: string): ModelSpec {
  return { kind: 'model', name: 'customers', source: 'shop', sql, primaryKey: 'id' }
}

/**
 * The error with which a promise rejects. Fails if it does not reject, or rejects with another error than a
 * SluiceError.
 */
export async function errorOf(promise: Promise<unknown>): Promise<SluiceError> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(SluiceError)
  if (!isSluiceError(error)) throw new Error('no SluiceError')
  return error
}

export function sourceContract(name: string, harness: () => SourceHarness): void {
  describe(`${name} as a source`, { timeout: 120_000 }, () => {
    const { signal } = new AbortController()
    let folder = ''
    let source: Source
    const file = () => join(folder, 'extract.duckdb')
    const rowsOf = (path: string) => queryFile(path, 'SELECT * REPLACE (CAST(id AS INTEGER) AS id) FROM rows')

    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), 'sluice-extract-'))
      source = await harness().open()
    })
    afterEach(async () => {
      await source[Symbol.asyncDispose]()
      rmSync(folder, { recursive: true, force: true })
    })

    it('exports a whole result in the order of the query, with its columns', async () => {
      const model = modelOf(
        "SELECT 2 AS id, 'b' AS name UNION ALL SELECT 1, 'a' UNION ALL SELECT 3, NULL ORDER BY 1 DESC",
      )
      const extract = await source.extract(model, { file: file(), signal })
      expect(extract.file).toBe(file())
      expect(extract.rowCount).toBe(3)
      expect(extract.columns.map(column => column.name)).toEqual(['id', 'name'])
      expect(await rowsOf(file())).toEqual([
        { id: 3, name: null },
        { id: 2, name: 'b' },
        { id: 1, name: 'a' },
      ])
    })

    it('describes the columns that an extract then has', async () => {
      const values = harness().values.map(([sql], index) => `${sql} AS c${index}`)
      const model = modelOf(`SELECT 1 AS id, ${values.join(', ')}`)
      const described = await source.describe(model, { signal })
      const extract = await source.extract(model, { file: file(), signal })
      expect(described).toEqual(extract.columns)
    })

    it('carries a value of each type with all of its text, and null as null', async () => {
      const { values } = harness()
      const selected = values.map(
        ([sql], index) => `${sql} AS c${index}, CASE WHEN 1 = 0 THEN ${sql} END AS n${index}`,
      )
      const model = modelOf(`SELECT 1 AS id, ${selected.join(', ')}`)
      const { columns } = await source.extract(model, { file: file(), signal })
      const texts = values.map(([, { kind }], index) =>
        kind === 'bytes' ? `hex(c${index}) AS c${index}` : `CAST(c${index} AS VARCHAR) AS c${index}`,
      )
      const nulls = values.map((_, index) => `n${index} IS NULL`).join(' AND ')
      const [row] = await queryFile(file(), `SELECT ${texts.join(', ')}, ${nulls} AS nulls FROM rows`)
      const found = { ...row } as { readonly [column: string]: unknown }
      expect(values.map(([sql], index) => [sql, columns[1 + 2 * index]?.type, found[`c${index}`]])).toEqual(
        values,
      )
      expect(found['nulls']).toBe(true)
    })

    it.each([
      ['few', 10_000],
      ['many', 0x10ffff],
    ])('carries every character, %s at once', async (_, last) => {
      const { numbers, characterOf, firstCharacter } = harness()
      const character = characterOf('n')
      const points = codePoints({ from: firstCharacter }).filter(point => point <= last || point === 65_279)
      const sql = `SELECT CONCAT(${character}, 'x') AS ahead, ${character} AS alone, CONCAT('some text before', ${character}) AS behind, n AS code
        FROM ${numbers(firstCharacter, Math.max(last, 65_279))}
        WHERE n NOT BETWEEN 55296 AND 57343 AND n NOT BETWEEN ${UNASSIGNED.from} AND ${UNASSIGNED.to} AND (n <= ${last} OR n = 65279)
        ORDER BY CASE WHEN n = 65279 THEN 0 ELSE 1 END, n`
      await source.extract(modelOf(sql), { file: file(), signal })
      await expectEveryCharacter(file(), points)
    })

    it('carries texts with all that divides rows and columns, in order, however many there are', async () => {
      const { numbers, characterOf } = harness()
      const textOf = (character: (codePoint: string) => string): string =>
        `CONCAT(${['n % 50000 + 1', '92', '92', '110', '9', 'n % 31 + 1', '10', '34', '128512', '13', 'n % 31 + 1', '92'].map(character).join(', ')})`
      const sql = `SELECT n AS id, ${textOf(characterOf)} AS text FROM ${numbers(1, 40_000)} ORDER BY n DESC`
      const extract = await source.extract(modelOf(sql), { file: file(), signal })
      expect(extract.rowCount).toBe(40_000)
      const expected = textOf(codePoint => `chr((${codePoint})::INTEGER)`)
      const wrong = `SELECT count(*)::INTEGER AS texts, bool_and(id = 40000 - rowid) AS ordered FROM (SELECT *, rowid, id AS n FROM rows) WHERE text = ${expected}`
      expect(await queryFile(file(), wrong)).toEqual([{ texts: 40_000, ordered: true }])
    })

    it.each([3, 1_500_000])('carries %i nulls and empty texts in a column of its own', async rows => {
      const { numbers, characterOf } = harness()
      const mark = `CONCAT(${characterOf('92')}, 'N')`
      const sql = `SELECT CASE n % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE ${mark} END AS id FROM ${numbers(1, rows)}`
      const extract = await source.extract(modelOf(sql), { file: file(), signal })
      expect(extract.rowCount).toBe(rows)
      const counted = `SELECT count(id)::INTEGER AS texts, (count(*) FILTER (id = '\\N'))::INTEGER AS marks FROM rows`
      expect(await queryFile(file(), counted)).toEqual([{ texts: (rows / 3) * 2, marks: rows / 3 }])
    })

    it('fails a query with a row that is too long, and leaves no file', async () => {
      const { longText } = harness()
      if (longText === undefined) return
      const model = modelOf(`SELECT 1 AS id, ${longText} AS filling`)
      const error = await errorOf(source.extract(model, { file: file(), signal }))
      expect(error).toMatchObject({ code: 'query', message: expect.stringContaining('longer than 12 MB') })
      expect(readdirSync(folder)).toEqual([])
    })

    it('exports a result without rows as a table without rows', async () => {
      const extract = await source.extract(modelOf('SELECT 1 AS id WHERE 1 = 0'), { file: file(), signal })
      expect(extract.rowCount).toBe(0)
      expect(await rowsOf(file())).toEqual([])
    })

    it('says where the database finds an error in the SQL, and leaves no file', async () => {
      const error = await errorOf(
        source.extract(modelOf('SELECT 1 AS id,\n  nope'), { file: file(), signal }),
      )
      expect(error.code).toBe('query')
      expect(error.message).toContain('customers')
      expect(error.message).toContain('nope')
      expect(error.details[0]).toMatchObject({ field: 'sql', line: 2, column: 3 })
      expect(readdirSync(folder)).toEqual([])
    })

    it('names the field of a table that does not exist, and no place in SQL that the user did not write', async () => {
      const { sql: _, ...model } = modelOf('')
      for (const [table, code, advice] of [
        ['nowhere', 'query', /check its name, and its schema/i],
        ['a.b.c.d', 'config', /like schema.name/],
      ] as const) {
        const error = await errorOf(source.describe({ ...model, table }, { signal }))
        expect(error.code).toBe(code)
        expect(error.details).toEqual([{ field: 'table', message: expect.stringContaining(table) }])
        expect(error.message).toMatch(advice)
        expect(error.message).not.toContain('line 1')
      }
    })

    it('fails and leaves no file when the query fails in the middle of its rows', async () => {
      const sql = 'SELECT abs(-9223372036854775807 - x) AS id FROM (SELECT 0 AS x UNION ALL SELECT 1) AS t'
      const error = await errorOf(source.extract(modelOf(sql), { file: file(), signal }))
      expect(error.code).toBe('query')
      expect(readdirSync(folder)).toEqual([])
    })

    it.each([
      ['several statements', 'SELECT 1 AS id; SELECT 2 AS id'],
      ['a statement that makes a table', 'CREATE TABLE t (id INTEGER)'],
      [
        'a statement that makes a table, behind a comment',
        '-- SELECT\n/* SELECT */ CREATE TABLE t (id INTEGER)',
      ],
      ['a statement that sets something', 'SET x = 1'],
      [
        'a query cut in two by a parenthesis',
        'SELECT 1 AS id) AS t; DROP TABLE t; SELECT * FROM (SELECT 1 AS id',
      ],
      ['nothing', ' ; '],
    ])('refuses %s', async (_, sql) => {
      for (const attempt of [
        () => source.extract(modelOf(sql), { file: file(), signal }),
        () => source.describe(modelOf(sql), { signal }),
      ])
        expect((await errorOf(attempt())).code).toBe('query')
      expect(readdirSync(folder)).toEqual([])
    })

    it('refuses two columns of one name', async () => {
      const error = await errorOf(source.describe(modelOf('SELECT 1 AS id, 2 AS a, 3 AS a'), { signal }))
      expect(error.message).toContain('"a"')
    })

    it('accepts a query with a semicolon, comments and no line end behind it', async () => {
      const extract = await source.extract(modelOf('SELECT 1 AS id; -- all of them'), {
        file: file(),
        signal,
      })
      expect(extract.rowCount).toBe(1)
    })

    it('ends a running query when aborted, with the reason of the signal, and leaves no file', async () => {
      const controller = new AbortController()
      const extracting = source.extract(modelOf(harness().endlessSql), {
        file: file(),
        signal: controller.signal,
      })
      setTimeout(() => controller.abort(new Error('enough')), 100)
      await expect(extracting).rejects.toThrow('enough')
      expect(readdirSync(folder)).toEqual([])
    })

    it('does not begin if it was aborted before', async () => {
      const aborted = AbortSignal.abort(new Error('too late'))
      await expect(
        source.extract(modelOf('SELECT 1 AS id'), { file: file(), signal: aborted }),
      ).rejects.toThrow('too late')
      expect(existsSync(file())).toBe(false)
    })

    it('never overwrites a file', async () => {
      writeFileSync(file(), 'precious')
      const error = await errorOf(source.extract(modelOf('SELECT 1 AS id'), { file: file(), signal }))
      expect(error.code).toBe('conflict')
      expect(readdirSync(folder)).toEqual(['extract.duckdb'])
    })

    it('runs several queries at once', async () => {
      const extracts = await Promise.all(
        [1, 2, 3].map(id =>
          source.extract(modelOf(`SELECT ${id} AS id`), { file: join(folder, `${id}`), signal }),
        ),
      )
      const ids = await Promise.all(extracts.map(extract => rowsOf(extract.file)))
      expect(ids).toEqual([[{ id: 1 }], [{ id: 2 }], [{ id: 3 }]])
    })
  })
}
