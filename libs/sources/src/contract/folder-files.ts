/** How a query names the files of its source's folder, wherever the query runs. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { errorOf, modelOf } from '../contract.ts'
import type { Source } from '../port.ts'

const { signal } = new AbortController()

/** Runs SQL in a DuckDB instance of its own and returns the rows. */
export async function query(file: string, sql: string): Promise<object[]> {
  const instance = await DuckDBInstance.create(file)
  const connection = await instance.connect()
  try {
    return (await connection.runAndReadAll(sql)).getRowObjectsJson()
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

export function folderFilesSuite(where: string, openFolder: (folder: string) => Source): void {
  describe(`files of the folder, ${where},`, () => {
    let folder = ''
    let files = 0
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'sluice-source-'))
    })
    afterEach(() => {
      rmSync(folder, { recursive: true, force: true })
    })

    const open = (): Source => openFolder(folder)
    const rowsOf = async (sql: string): Promise<object[]> => {
      const { file } = await open().extract(modelOf(sql), {
        file: join(folder, `extract-${files++}`),
        signal,
      })
      return query(file, 'FROM rows')
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

    it('may ask for DuckDB’s own way with quoted empty fields', async () => {
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

    it('can be JSON, lines of JSON, Parquet, and lie deeper', async () => {
      await query(':memory:', `COPY (SELECT 9 AS id) TO '${join(folder, 'nine.parquet')}'`)
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

    it('are not looked for in texts that only look like names', async () => {
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
}
