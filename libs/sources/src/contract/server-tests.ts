/** What the tests of sources on database servers have in common. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import type { ModelSpec, SourceSpec } from '@sluice/contracts/resources'
import { z } from 'zod'

const foundError = z.object({ code: z.string().nullable(), message: z.string() })
const CHILD = fileURLToPath(new URL('extract-child.ts', import.meta.url))

/** What DuckDB gives for an expression over the table of an extract, as JSON. */
export async function queryExtract(file: string, sql: string): Promise<object[]> {
  const instance = await DuckDBInstance.create(file)
  const connection = await instance.connect()
  try {
    await connection.run("SET TimeZone = 'UTC'")
    return (await connection.runAndReadAll(sql)).getRowObjectsJson()
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

/**
 * Extracts in a process whose files cannot grow beyond a size, which is what a full disk is to it; resolves
 * to the error that it met.
 */
export async function extractOnFullDisk(of: {
  readonly source: SourceSpec
  readonly model: ModelSpec
  readonly file: string
  readonly limitKb: number
}): Promise<{ readonly code: string | null; readonly message: string }> {
  const child = spawn('bash', ['-c', `ulimit -f ${of.limitKb}; exec "$0" "$1"`, process.execPath, CHILD], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  child.stdin.end(JSON.stringify(of))
  const [printed] = await Promise.all([text(child.stdout), once(child, 'exit')])
  return foundError.parse(JSON.parse(printed))
}
