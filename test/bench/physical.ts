/**
 * Measures the least work that a stage has to do, each in a process of its own, so that its CPU
 * time can be told. Run by stages.ts: node test/bench/physical.ts export|dispatch|copy|nothing …
 */
import { DuckDBInstance } from '@duckdb/node-api'
import { Poster } from './poster.ts'

const CONNECTIONS = 100
const BLOCK_BYTES = 1 << 20

/** DuckDB reads a CSV file and writes its rows into another one. */
async function exportRows(from: string, to: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  await connection.run(`COPY (SELECT * FROM read_csv('${from}')) TO '${to}' (FORMAT csv)`)
  connection.closeSync()
  instance.closeSync()
}

/** Posts so many bodies of so many bytes. */
async function dispatch(url: string, requests: number, bytes: number): Promise<void> {
  const poster = new Poster(url, CONNECTIONS)
  const body = Buffer.alloc(bytes, 0x20)
  for (let begun = 0; begun < requests; begun += 1) {
    await poster.room()
    poster.post(body)
  }
  await poster.end()
}

function copy(bytes: number): void {
  const from = Buffer.alloc(BLOCK_BYTES, 1)
  const to = Buffer.alloc(BLOCK_BYTES)
  for (let copied = 0; copied < bytes; copied += BLOCK_BYTES) from.copy(to)
}

const [what, ...args] = process.argv.slice(2)
const [first = '', second = '', third = ''] = args
if (what === 'export') await exportRows(first, second)
else if (what === 'dispatch') await dispatch(first, Number(second), Number(third))
else if (what === 'copy') copy(Number(first))
else if (what !== 'nothing')
  throw new Error('usage: node test/bench/physical.ts export|dispatch|copy|nothing …')
