/** Every character of every kind of file that the DuckDB source reads. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterEach, beforeEach, describe, it } from 'vitest'
import { modelOf } from '../../test/contract.ts'
import { codePoints, expectEveryCharacter, VALUES } from '../../test/every-character.ts'
import { createFileSource } from './files.ts'

const { signal } = new AbortController()
let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-source-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

function open(path = folder) {
  return createFileSource({ spec: { kind: 'source', name: 'shop', type: 'duckdb', path } })
}

/** Runs SQL in a DuckDB instance of its own. */
async function run(file: string, sql: string): Promise<void> {
  const instance = await DuckDBInstance.create(file)
  const connection = await instance.connect()
  try {
    await connection.run(sql)
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

describe('every character arrives', { timeout: 120_000 }, () => {
  const names = ['ahead', 'alone', 'behind'] as const
  const csv = (text: string): string => `"${text.replaceAll('"', '""')}"`
  const rowsOfAll = (points: readonly number[], row: (code: number, texts: readonly string[]) => string) =>
    points
      .map(code =>
        row(
          code,
          names.map(name => VALUES[name](String.fromCodePoint(code))),
        ),
      )
      .join('\n')

  async function expectAll(sql: string, points: readonly number[], source = open()): Promise<void> {
    const file = join(folder, 'extract')
    await source.extract(modelOf(sql), { file, signal })
    await expectEveryCharacter(file, points)
  }

  it.each([
    ['', 'as it is'],
    ['\u{feff}', 'with a byte order mark'],
  ])('from CSV (%j: a file %s)', async mark => {
    const points = codePoints()
    const rows = rowsOfAll(points, (code, texts) => [...texts.map(csv), String(code)].join(','))
    writeFileSync(join(folder, 'all.csv'), `${mark}${[...names, 'code'].join(',')}\n${rows}\n`)
    await expectAll(
      "SELECT * FROM read_csv('all.csv', all_varchar = true, quote = '\"', escape = '\"', delim = ',', header = true)",
      points,
    )
  })

  it('from JSON, from Parquet, and from a database', async () => {
    const points = codePoints()
    const rows = rowsOfAll(points, (code, texts) =>
      JSON.stringify({ ...Object.fromEntries(names.map((name, i) => [name, texts[i]])), code }),
    )
    writeFileSync(join(folder, 'all.jsonl'), `${rows}\n`)
    await expectAll("SELECT * FROM 'all.jsonl'", points)
    await run(join(folder, 'all.duckdb'), `CREATE TABLE rows AS FROM '${join(folder, 'all.jsonl')}'`)
    await run(
      ':memory:',
      `COPY (FROM '${join(folder, 'all.jsonl')}') TO '${join(folder, 'all.parquet')}' (FORMAT parquet)`,
    )
    rmSync(join(folder, 'extract'))
    await expectAll("SELECT * FROM 'all.parquet'", points)
    rmSync(join(folder, 'extract'))
    await expectAll('SELECT * FROM rows', points, open(join(folder, 'all.duckdb')))
  })
})
