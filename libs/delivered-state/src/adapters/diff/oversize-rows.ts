/**
 * Finds rows that are too large for a record. The run passes over them with the reason, and never takes them
 * as removed. It checks only rows that have changed, so that a run without changes reads no texts.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { InvalidSample } from '@sluice/contracts/records'
import { ROW_CEILING_BYTES } from '@sluice/domain/record-sizes'
import { asBytes, textOfBytes } from '../sql/duckdb-text.ts'
import type { SizedRows } from './model-rows.ts'

export interface OversizeRows {
  readonly rows: number
  readonly samples: readonly InvalidSample[]
}

/**
 * Removes such rows from the table `found`. `sized` names the table and column with the bytes of a row. `key`
 * is SQL for its key in `extracted`.
 */
export async function dropOversizeRows(
  connection: DuckDBConnection,
  of: {
    readonly sized: Pick<SizedRows, 'from' | 'size'>
    readonly key: string
    readonly extracted: string
    readonly samples: number
  },
): Promise<OversizeRows> {
  const { from, size } = of.sized
  if (size === '0') return { rows: 0, samples: [] }
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE oversize AS
    SELECT rid, ${size} AS size FROM ${from}
    WHERE ${size} > ${ROW_CEILING_BYTES} AND rid IN (SELECT rid FROM found WHERE rid IS NOT NULL)`)
  const counted = await connection.runAndReadAll('SELECT count(*) FROM oversize')
  const rows = Number(counted.getRows()[0]?.[0])
  const samples = rows === 0 ? [] : await samplesOf(connection, of)
  if (rows > 0) await connection.run('DELETE FROM found WHERE rid IN (SELECT rid FROM oversize)')
  await connection.run('DROP TABLE oversize')
  return { rows, samples }
}

async function samplesOf(
  connection: DuckDBConnection,
  of: { readonly key: string; readonly extracted: string; readonly samples: number },
): Promise<readonly InvalidSample[]> {
  const reader = await connection.runAndReadAll(`
    SELECT ${asBytes('key')}, size FROM (
      SELECT ${of.key} AS key, o.size FROM ${of.extracted} e JOIN oversize o ON o.rid = e.rid
    ) ORDER BY key LIMIT ${of.samples}`)
  return reader.getRows().map(([key, bytes]) => ({
    key: textOfBytes(key),
    reason: `the row has about ${String(bytes)} bytes, and the most is ${ROW_CEILING_BYTES}`,
  }))
}
