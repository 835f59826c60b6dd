/** The metadata of a state file: its positions in the topics, and how its rows are hashed. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { SluiceError } from '@sluice/contracts/errors'
import type { FedFor, StatePositions } from '../../port.ts'
import { RowHash } from '../diff/row-hash.ts'
import { quoteText } from '../sql/sql-types.ts'
import { rowsOf } from '../sql/rows-of.ts'

const FED_FOR = 'fed_for'

/** The values of a state file by their names. */
export type StateMeta = ReadonlyMap<string, string>

/** Returns the positions of a new file. */
export function noPositions(partitions: number): StatePositions {
  const zeros = Array<number>(partitions).fill(0)
  const lastChange = Array<null>(partitions).fill(null)
  return { changes: zeros, retry: zeros, captured: zeros, lastChange, fedFor: null, kept: null }
}

export async function loadPositions(
  connection: DuckDBConnection,
  partitions: number,
  meta: StateMeta,
): Promise<Omit<StatePositions, 'kept'>> {
  const rows = await rowsOf(
    connection,
    'SELECT changes, retry, captured, last_offset, last_run, last_seq FROM positions ORDER BY number',
  )
  if (rows.length !== partitions)
    throw new SluiceError('corrupt', 'the positions do not match the partitions')
  const fedFor = meta.get(FED_FOR) ?? null
  return {
    changes: rows.map(row => Number(row[0])),
    retry: rows.map(row => Number(row[1])),
    captured: rows.map(row => Number(row[2])),
    lastChange: rows.map(row =>
      row[3] === null ? null : { offset: Number(row[3]), run: Number(row[4]), seq: Number(row[5]) },
    ),
    fedFor: fedFor === null ? null : (JSON.parse(fedFor) as FedFor),
  }
}

/** Returns SQL that replaces the positions. */
export function positionsSql(positions: Omit<StatePositions, 'kept'>): string {
  const rows = positions.changes.map((changes, p) => {
    const last = positions.lastChange[p] ?? null
    const place = last === null ? 'NULL, NULL, NULL' : `${last.offset}, ${last.run}, ${last.seq}`
    return `(${p}, ${changes}, ${positions.retry[p] ?? 0}, ${positions.captured[p] ?? 0}, ${place})`
  })
  const fedFor = positions.fedFor === null ? '' : metaSql(FED_FOR, JSON.stringify(positions.fedFor))
  return `DELETE FROM positions; INSERT INTO positions VALUES ${rows.join(', ')}; ${fedFor}`
}

/** Returns the hash of the stored rows; null if none was made, or another version made it. */
export function hashIn(meta: StateMeta): RowHash | null {
  const value = meta.get('hash')
  if (value === undefined) return null
  const saved = JSON.parse(value) as { readonly spec: string; readonly columns: RowHash['columns'] }
  const hash = new RowHash(saved.columns)
  return hash.spec === saved.spec ? hash : null
}

/** Returns all values by their names. */
export async function readMeta(connection: DuckDBConnection): Promise<StateMeta> {
  const rows = await rowsOf(connection, 'SELECT name, value FROM meta')
  return new Map(rows.map(([name, value]) => [String(name), String(value)]))
}

/** Returns SQL that replaces the value under a name. */
export function metaSql(name: string, value: string): string {
  const quoted = quoteText(name)
  return `DELETE FROM meta WHERE name = ${quoted}; INSERT INTO meta VALUES (${quoted}, ${quoteText(value)});`
}

/** Runs SQL in one transaction: all of it, or nothing. */
export async function runInTransaction(connection: DuckDBConnection, sql: string): Promise<void> {
  try {
    await connection.run(`BEGIN TRANSACTION; ${sql}; COMMIT`)
  } catch (error) {
    await connection.run('ROLLBACK').catch(() => {})
    throw error
  }
}

/** Does the work in one transaction: all of it, or nothing. */
export async function inTransaction(
  connection: DuckDBConnection,
  work: () => Promise<unknown>,
): Promise<void> {
  await connection.run('BEGIN TRANSACTION')
  try {
    await work()
    await connection.run('COMMIT')
  } catch (error) {
    await connection.run('ROLLBACK').catch(() => {})
    throw error
  }
}
