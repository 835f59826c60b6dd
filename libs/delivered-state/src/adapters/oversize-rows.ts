/**
 * Rows that are too large for a record: they are passed over, with their reason, and never taken as removed.
 * Only rows that have changed are looked at, so that a run without changes reads no texts.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { InvalidSample } from '@sluice/contracts/records'
import type { Column } from '@sluice/contracts/values'
import { ROW_CEILING_BYTES } from '@sluice/domain/record-sizes'
import { asBytes, textOfBytes } from './duckdb-text.ts'
import { sumOf } from './sql-types.ts'

export interface OversizeRows {
  readonly rows: number
  readonly samples: readonly InvalidSample[]
}

/**
 * Takes such rows out of the table `found`. `place` says where the value of a column stands in `extracted`.
 */
export async function dropOversizeRows(
  connection: DuckDBConnection,
  columns: readonly Column[],
  of: { readonly place: (column: Column) => string; readonly extracted: string; readonly samples: number },
): Promise<OversizeRows> {
  const sizes = columns.flatMap(column => sizeOf(column, of.place(column)))
  if (sizes.length === 0) return { rows: 0, samples: [] }
  const size = sumOf(sizes.map(one => `coalesce(${one}, 0)`))
  await connection.run(`
    CREATE OR REPLACE TEMP TABLE oversize AS
    SELECT rid, ${size} AS size FROM ${of.extracted}
    WHERE ${size} > ${ROW_CEILING_BYTES} AND rid IN (SELECT rid FROM found WHERE rid IS NOT NULL)`)
  const reader = await connection.runAndReadAll(
    `SELECT ${asBytes('key')}, size FROM oversize JOIN found USING (rid) ORDER BY key`,
  )
  const rows = reader.getRows()
  if (rows.length > 0) await connection.run('DELETE FROM found WHERE rid IN (SELECT rid FROM oversize)')
  await connection.run('DROP TABLE oversize')
  const samples = rows.slice(0, of.samples).map(([key, bytes]) => ({
    key: textOfBytes(key),
    reason: `the row has about ${String(bytes)} bytes, and the most is ${ROW_CEILING_BYTES}`,
  }))
  return { rows: rows.length, samples }
}

/** SQL for the bytes of a value of a type that has no bound; of the others a row has few enough. */
function sizeOf({ type }: Column, x: string): readonly string[] {
  switch (type.kind) {
    case 'text':
    case 'json':
      return [`strlen(CAST(${x} AS VARCHAR))`]
    case 'bytes':
      return [`octet_length(${x})`]
    // Numbers in a list may take twice the bytes of their text.
    case 'list':
    case 'struct':
      return [`2 * strlen(CAST(${x} AS VARCHAR))`]
    default:
      return []
  }
}
