/** The contract suite needs this from an adapter and its surroundings. */
import type { Column } from '@sluice/contracts/values'
import type { DeliveredState, DetectedChange, Diff, DiffRequest, EndedKey } from '../src/port.ts'

/** Files are made and opened in each test, which takes its time on a busy machine. */
export const TIMEOUT = { timeout: 60_000 }

export interface DeliveredStateHarness {
  /**
   * Opens the state of that name: the same name again is the same file. Defaults: one partition, incarnation
   * `i`.
   */
  open(options: {
    readonly name: string
    readonly partitions?: number
    readonly incarnation?: string
    readonly onDiscard?: (reason: string) => void
  }): Promise<DeliveredState>
  /** Extracts the result of a DuckDB query, as a source does. */
  extract(sql: string): Promise<{ readonly file: string; readonly columns: readonly Column[] }>
}

/**
 * A request over the rows of a query; by default the key is `id`, all columns count and all ops have
 * triggers.
 */
export async function requestFor(
  harness: DeliveredStateHarness,
  sql: string,
  options: Partial<DiffRequest> = {},
): Promise<DiffRequest> {
  const { file, columns } = await harness.extract(sql)
  return {
    extractFile: file,
    columns,
    primaryKey: ['id'],
    compare: columns.map(column => column.name),
    opsWithTrigger: new Set(['added', 'changed', 'removed']),
    baseline: false,
    signal: new AbortController().signal,
    ...options,
  }
}

export async function changesOf(
  diff: Diff,
): Promise<{ readonly changes: readonly DetectedChange[]; readonly endsRetry: readonly EndedKey[] }> {
  const changes: DetectedChange[] = []
  const endsRetry: EndedKey[] = []
  for await (const batch of diff.changes()) {
    changes.push(...batch.changes)
    endsRetry.push(...batch.endsRetry)
  }
  return { changes, endsRetry }
}
