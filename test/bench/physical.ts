/**
 * Measures the least work that a stage has to do, each in a process of its own, so that its CPU
 * time can be told. Run by stages.ts: node test/bench/physical.ts export|dispatch|copy|nothing …
 */
import { DuckDBInstance } from '@duckdb/node-api'
import { Pool } from 'undici'

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

/** Posts so many bodies of so many bytes. Rejects with the first answer that is no 2xx. */
async function dispatch(url: string, requests: number, bytes: number): Promise<void> {
  const pool = new Pool(url, { connections: CONNECTIONS, pipelining: 1 })
  const body = Buffer.alloc(bytes, 0x20)
  const headers = { 'content-type': 'application/json' }
  let begun = 0
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      pool.dispatch(
        { method: 'POST', path: '/', headers, body },
        {
          onRequestStart: () => undefined,
          onResponseStart: (_, status) => {
            if (status > 299) reject(new Error(`the receiver answered ${status}`))
          },
          onResponseData: () => undefined,
          onResponseEnd: () => resolve(),
          onResponseError: (_, error) => reject(error),
        },
      )
    })
  const lane = async (): Promise<void> => {
    while (begun < requests) {
      begun += 1
      await one()
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, lane))
  await pool.close()
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
