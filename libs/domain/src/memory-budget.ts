/**
 * Divides the memory that a process may use (`SLUICE_MEMORY`). The size of buffers follows from this alone,
 * and never from the shape of the rows: many small rows or few large ones get the same bytes.
 */

/** The default of `SLUICE_MEMORY`, in bytes. */
export const DEFAULT_MEMORY_BYTES = 512_000_000
/** Below this, Node.js, DuckDB and one row of the largest size do not fit together. */
export const LEAST_MEMORY_BYTES = 256_000_000

/** The shares in bytes. The rest is for Node.js itself and the libraries. */
export interface MemoryBudget {
  /** The share of DuckDB, for all queries, diffs and restores that run at the same time. */
  readonly duckdbBytes: number
  /** The share of rows, changes, requests and answers in JavaScript, over all syncs and partitions. */
  readonly buffersBytes: number
}

export function memoryBudget(totalBytes: number): MemoryBudget {
  return { duckdbBytes: Math.floor(totalBytes * 0.375), buffersBytes: Math.floor(totalBytes * 0.25) }
}

/**
 * Returns the memory of a source's query: both shares. While it runs, no row of its sync is compared,
 * buffered or fed to the state.
 */
export function queryBytes({ duckdbBytes, buffersBytes }: MemoryBudget): number {
  return duckdbBytes + buffersBytes
}

/** Returns a number of bytes as DuckDB reads sizes. */
export function duckdbSize(bytes: number): string {
  return `${Math.floor(bytes / 1_000_000)}MB`
}
