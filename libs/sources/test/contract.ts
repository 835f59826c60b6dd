/** The suite that every source passes. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import type { Source } from '../src/port.ts'

/** The suite needs this from an adapter. The suite itself has the SQL that all databases understand. */
export interface SourceHarness {
  open(): Promise<Source>
  /** SQL of a query that runs for minutes. */
  readonly endlessSql: string
  /** The rows of an extract, as JSON of row objects, in the order of the table `rows`. */
  rowsOf(file: string): Promise<readonly object[]>
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
  describe(`${name} as a source`, { timeout: 60_000 }, () => {
    const { signal } = new AbortController()
    let folder = ''
    let source: Source
    const file = () => join(folder, 'extract.duckdb')

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
      expect(await harness().rowsOf(file())).toEqual([
        { id: 3, name: null },
        { id: 2, name: 'b' },
        { id: 1, name: 'a' },
      ])
    })

    it('describes the columns that an extract then has', async () => {
      const model = modelOf("SELECT 1 AS id, CAST(1.5 AS DECIMAL(9,2)) AS price, 'x' AS name")
      const described = await source.describe(model, { signal })
      const extract = await source.extract(model, { file: file(), signal })
      expect(described).toEqual(extract.columns)
      expect(described[1]?.type).toEqual({ kind: 'decimal', precision: 9, scale: 2 })
    })

    it('exports a result without rows as a table without rows', async () => {
      const extract = await source.extract(modelOf('SELECT 1 AS id WHERE 1 = 0'), { file: file(), signal })
      expect(extract.rowCount).toBe(0)
      expect(await harness().rowsOf(file())).toEqual([])
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
      for (const [table, code] of [
        ['nowhere', 'query'],
        ['a.b.c.d', 'config'],
      ]) {
        const error = await errorOf(source.describe({ ...model, table }, { signal }))
        expect(error.code).toBe(code)
        expect(error.details).toEqual([{ field: 'table', message: expect.stringContaining(table ?? '') }])
        expect(error.message).not.toContain('line 1')
      }
    })

    it('fails and leaves no file when the query fails in the middle of its rows', async () => {
      const sql = 'SELECT 9223372036854775807 + x AS id FROM (SELECT 0 AS x UNION ALL SELECT 1) AS t'
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
      const ids = await Promise.all(extracts.map(extract => harness().rowsOf(extract.file)))
      expect(ids).toEqual([[{ id: 1 }], [{ id: 2 }], [{ id: 3 }]])
    })
  })
}
