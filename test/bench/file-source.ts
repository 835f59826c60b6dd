/**
 * Measures what it costs that the query of a source on files runs in a process of its own. The yardstick is
 * the same query in this process, straight into a file of the same form. Rounds alternate, so that a change
 * of the machine's speed affects both. It also measures a query of one row, which is all start and no rows.
 *
 * Run: npm run bench:file-source [-- --rows 1000000 --rounds 5].
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { DuckDBInstance } from '@duckdb/node-api'
import { createFileSource } from '@sluice/sources/adapters/files'
import { attachExtract, DuckdbSession } from '@sluice/sources/adapters/duckdb/session'
import { median } from './median.ts'

const { values } = parseArgs({
  options: { rows: { type: 'string', default: '1000000' }, rounds: { type: 'string', default: '5' } },
})
const rows = Number(values.rows)
const { signal } = new AbortController()
const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
const FILES = ['rows.csv', 'rows.parquet', 'one.csv'] as const

await makeFiles()
try {
  for (const name of FILES) await compare(name)
} finally {
  await rm(folder, { recursive: true, force: true })
}

/** Seven columns, about 125 bytes a row. */
async function makeFiles(): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  const select = (count: number) => `SELECT g AS id, 'Customer number ' || g AS name,
    'c' || g || '@example.com' AS email, (g * 1.37)::DECIMAL(12,2) AS amount,
    TIMESTAMP '2026-01-01 00:00' - to_seconds(g) AS seen_at, g % 7 = 0 AS vip, md5(g::VARCHAR) AS note
    FROM range(${count}) AS t(g)`
  for (const name of FILES)
    await connection.run(`COPY (${select(name === 'one.csv' ? 1 : rows)}) TO '${join(folder, name)}'`)
  connection.closeSync()
  instance.closeSync()
}

async function compare(name: string): Promise<void> {
  const here: number[] = []
  const apart: number[] = []
  const ready: number[] = []
  for (let round = 0; round < Number(values.rounds); round += 1) {
    here.push(await timed(() => queryHere(name)))
    apart.push(await timed(() => queryApart(name, 0)))
    ready.push(await timed(() => queryApart(name, 1000), 1000))
  }
  const [a, b, c] = [median(here), median(apart), median(ready)]
  console.log(
    `${name}: in this process ${ms(a)}, in its own ${ms(b)} (throughput ${(a / b).toFixed(2)}), ` +
      `in its own that is ready ${ms(c)} (throughput ${(a / c).toFixed(2)}); medians of ${values.rounds} rounds`,
  )
}

async function queryHere(name: string): Promise<void> {
  const file = join(folder, 'extract')
  const limits = { memoryLimit: '512MB', threads: 2, tempDirectory: `${file}.tmp` }
  {
    await using session = await DuckdbSession.open(folder, limits)
    await attachExtract(session.connection, file)
    const from = name.endsWith('.csv')
      ? `read_csv('${join(folder, name)}', allow_quoted_nulls = false)`
      : `'${join(folder, name)}'`
    const sql = `SELECT * FROM ${from}`
    await session.connection.prepare(sql)
    await session.connection.run(`CREATE TABLE sluice_extract.main.rows AS ${sql}`)
    await session.connection.run('DETACH sluice_extract')
  }
  await rm(file)
}

/** `waitMs` is the time that a run restores the delivered state in, while the process gets ready. */
async function queryApart(name: string, waitMs: number): Promise<void> {
  const file = join(folder, 'extract')
  await using source = createFileSource({
    spec: { kind: 'source', name: 'files', type: 'duckdb', path: folder },
  })
  if (waitMs > 0) await new Promise(resolve => setTimeout(resolve, waitMs))
  const sql = `SELECT * FROM '${name}'`
  await source.extract(
    { kind: 'model', name: 'rows', source: 'files', sql, primaryKey: 'id' },
    { file, signal },
  )
  await rm(file)
}

async function timed(work: () => Promise<void>, withoutMs = 0): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start - withoutMs
}

function ms(time: number): string {
  return `${Math.round(time)} ms`
}
