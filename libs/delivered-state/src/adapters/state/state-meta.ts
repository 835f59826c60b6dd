/** The metadata of a state file: its positions in the topics, and how its rows are hashed. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { SluiceError } from '@sluice/contracts/errors'
import type { FedFor, StatePositions } from '../../port.ts'
import { RowHash } from '../diff/row-hash.ts'
import { quoteText } from '../sql/sql-types.ts'

const FED_FOR = 'fed_for'

export async function loadPositions(
  connection: DuckDBConnection,
  partitions: number,
): Promise<Omit<StatePositions, 'kept'>> {
  const reader = await connection.runAndReadAll(
    'SELECT changes, retry, captured, last_offset, last_run, last_seq FROM positions ORDER BY number',
  )
  const rows = reader.getRows()
  if (rows.length !== partitions)
    throw new SluiceError('corrupt', 'the positions do not match the partitions')
  const fedFor = await readMeta(connection, FED_FOR)
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
export async function loadHash(connection: DuckDBConnection): Promise<RowHash | null> {
  const value = await readMeta(connection, 'hash')
  if (value === null) return null
  const saved = JSON.parse(value) as { readonly spec: string; readonly columns: RowHash['columns'] }
  const hash = new RowHash(saved.columns)
  return hash.spec === saved.spec ? hash : null
}

/** Returns the value under a name; null if there is none. */
export async function readMeta(connection: DuckDBConnection, name: string): Promise<string | null> {
  const reader = await connection.runAndReadAll(`SELECT value FROM meta WHERE name = ${quoteText(name)}`)
  const value = reader.getRows()[0]?.[0]
  return typeof value === 'string' ? value : null
}

/** Returns SQL that replaces the value under a name. */
export function metaSql(name: string, value: string): string {
  const quoted = quoteText(name)
  return `DELETE FROM meta WHERE name = ${quoted}; INSERT INTO meta VALUES (${quoted}, ${quoteText(value)});`
}

export async function saveMeta(connection: DuckDBConnection, name: string, value: string): Promise<void> {
  await inTransaction(connection, () => connection.run(metaSql(name, value)))
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
