/**
 * Finds rows, and keys, that are too large for a record. The run skips them, reports the reason, and never
 * counts them as removed. It checks only rows that have changed, so that a run without changes reads no
 * texts.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { InvalidSample } from '@sluice/contracts/records'
import { KEY_CEILING_BYTES, ROW_CEILING_BYTES } from '@sluice/domain/record-sizes'
import { asBytes, textOfBytes } from '../sql/duckdb-text.ts'
import { MAX_TOKEN_BYTES, type SizedRows } from './model-rows.ts'
import { rowsOf } from '../sql/rows-of.ts'

/** A key that is too long is shown up to this many characters. */
const SHOWN_CHARACTERS = 100

export interface OversizeRows {
  readonly rows: number
  readonly samples: readonly InvalidSample[]
}

/**
 * Removes rows that are too large from the table `found`. `sized` names the table and column with the bytes
 * of a row. `key` is SQL for its key in `extracted`.
 */
export async function dropOversizeRows(
  connection: DuckDBConnection,
  options: {
    readonly sized: Pick<SizedRows, 'from' | 'size'>
    readonly key: string
    readonly extracted: string
    readonly samples: number
  },
): Promise<OversizeRows> {
  const { from, size } = options.sized
  if (size === '0') return { rows: 0, samples: [] }
  const selected = `FROM ${from} WHERE ${size} > ${ROW_CEILING_BYTES} AND rid IN (SELECT rid FROM found WHERE rid IS NOT NULL)`
  const counted = await rowsOf(connection, `SELECT count(*) ${selected}`)
  const rows = Number(counted[0]?.[0])
  if (rows === 0) return { rows, samples: [] }
  await connection.run(`CREATE OR REPLACE TEMP TABLE oversize AS SELECT rid, ${size} AS size ${selected}`)
  const samples = await samplesOf(connection, options)
  await connection.run('DELETE FROM found WHERE rid IN (SELECT rid FROM oversize); DROP TABLE oversize')
  return { rows, samples }
}

async function samplesOf(
  connection: DuckDBConnection,
  {
    key: keySql,
    extracted,
    samples,
  }: { readonly key: string; readonly extracted: string; readonly samples: number },
): Promise<readonly InvalidSample[]> {
  const result = await rowsOf(
    connection,
    `
    SELECT ${asBytes('key')}, size FROM (
      SELECT ${keySql} AS key, o.size FROM ${extracted} e JOIN oversize o ON o.rid = e.rid
    ) ORDER BY key LIMIT ${samples}`,
  )
  return result.map(([key, bytes]) => ({
    key: textOfBytes(key),
    reason: `the row has about ${String(bytes)} bytes, and the most is ${ROW_CEILING_BYTES}`,
  }))
}

/** Finds the rows whose key is too large for a record, and the mean length of a token in bytes. */
export async function findOversizeKeys(
  connection: DuckDBConnection,
  options: {
    readonly key: string
    /** SQL that is true for a row whose key columns have values. */
    readonly present: string
    readonly extracted: string
    readonly samples: number
  },
): Promise<OversizeRows & { readonly tokenBytes: number }> {
  const { key, present, extracted } = options
  const from = `FROM (SELECT ${key} AS key FROM ${extracted} WHERE ${present})`
  const isLarge = `NOT ${fitsSql('key')}`
  const counted = await rowsOf(
    connection,
    `SELECT count(*) FILTER (${isLarge}), coalesce(avg(least(strlen(key), ${MAX_TOKEN_BYTES})), 0) ${from}`,
  )
  const [rows = 0, tokenBytes = 0] = (counted[0] ?? []).map(Number)
  if (rows === 0) return { rows, samples: [], tokenBytes }
  const some = await rowsOf(
    connection,
    `SELECT left(key, ${SHOWN_CHARACTERS}), strlen(key) ${from} WHERE ${isLarge} LIMIT ${options.samples}`,
  )
  const samples = some.map(([start, bytes]) => ({
    key: `${String(start)} …`,
    reason: `the primary key has ${String(bytes)} bytes, and the most is ${KEY_CEILING_BYTES}`,
  }))
  return { rows, samples, tokenBytes }
}

/** Returns SQL that is true for a key which records can carry. */
export function fitsSql(key: string): string {
  return `strlen(${key}) <= ${KEY_CEILING_BYTES}`
}
