/**
 * The content of a closed state file, in the words of the port. So a test can compare two files key by key.
 * Hashes and the numbers of shapes are left out: they follow from the rows.
 */
import { DuckDBInstance } from '@duckdb/node-api'
import type { KeyStateKind, Outcome } from '@sluice/contracts/state'
import { KINDS, OUTCOMES } from '@sluice/delivered-state/adapters/state/shapes'
import { quoteText } from '../src/adapters/sql/sql-types.ts'

export interface StoredKey {
  readonly kind: KeyStateKind
  /** As JSON says it; null for a key that is absent. */
  readonly row: { readonly [column: string]: unknown } | null
  readonly muted: string | null
  readonly partition: number
  /**
   * The run and the seq of the last change; null for a key of which only entries or captured values are
   * known.
   */
  readonly run: number | null
  readonly seq: number | null
}

export interface StoredEntry {
  readonly run: number
  readonly seq: number
  readonly outcome: Outcome
  readonly runs: number
  readonly status: number | null
}

export interface StateTables {
  readonly keys: { readonly [key: string]: StoredKey }
  /** By partition and key. */
  readonly entries: { readonly [place: string]: StoredEntry }
  /** Likewise; as JSON text. */
  readonly captured: { readonly [place: string]: string }
}

type Cells = readonly (string | number | bigint | null)[]

/** Reads files that nobody has open, in their order; all are left as they are. */
export async function readStateTables(files: readonly string[]): Promise<readonly StateTables[]> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
  const connection = await instance.connect()
  const rowsOf = async (sql: string): Promise<readonly Cells[]> =>
    (await connection.runAndReadAll(sql)).getRows() as unknown as readonly Cells[]
  try {
    const tables: StateTables[] = []
    for (const [index, file] of files.entries()) {
      const name = `state_${index}`
      await connection.run(`ATTACH ${quoteText(file)} AS ${name} (TYPE duckdb, READ_ONLY)`)
      tables.push({
        keys: Object.fromEntries(
          (
            await rowsOf(
              `SELECT key, kind, content, muted, partition, run, seq FROM ${name}.state ORDER BY key`,
            )
          ).map(storedKey),
        ),
        entries: Object.fromEntries(
          (
            await rowsOf(
              `SELECT partition || '/' || key, run, seq, outcome, runs, status FROM ${name}.retry ORDER BY 1`,
            )
          ).map(storedEntry),
        ),
        captured: Object.fromEntries(
          (await rowsOf(`SELECT partition || '/' || key, content FROM ${name}.captured ORDER BY 1`)).map(
            ([place, content]) => [String(place), String(content)] as const,
          ),
        ),
      })
    }
    return tables
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

function storedKey([key, kind, content, muted, partition, run, seq]: Cells): readonly [string, StoredKey] {
  const row: StoredKey['row'] = typeof content === 'string' ? JSON.parse(content) : null
  const stored = {
    kind: KINDS[Number(kind)] ?? 'absent',
    row,
    muted: typeof muted === 'string' ? muted : null,
    partition: Number(partition),
    run: numberOf(run),
    seq: numberOf(seq),
  }
  return [String(key), stored]
}

function storedEntry([place, run, seq, outcome, runs, status]: Cells): readonly [string, StoredEntry] {
  const stored = {
    run: Number(run),
    seq: Number(seq),
    outcome: OUTCOMES[Number(outcome)] ?? 'unknown',
    runs: Number(runs),
    status: numberOf(status),
  }
  return [String(place), stored]
}

function numberOf(cell: Cells[number] | undefined): number | null {
  return cell === null || cell === undefined ? null : Number(cell)
}
