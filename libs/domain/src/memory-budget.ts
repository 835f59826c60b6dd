/**
 * How a process divides the memory that it may use (`SLUICE_MEMORY`). The size of its buffers follows from
 * this alone, and never from the shape of the rows: many small rows or few large ones get the same bytes.
 */

/** The default of `SLUICE_MEMORY`, in bytes. */
export const DEFAULT_MEMORY_BYTES = 512_000_000
/** Below this, Node.js, DuckDB and one row of the largest size do not fit together. */
export const LEAST_MEMORY_BYTES = 256_000_000

/** Shares in bytes. The rest is for Node.js itself and the libraries. */
export interface MemoryBudget {
  /** For DuckDB, over all that it does at the same time: queries, diffs, restores. */
  readonly duckdbBytes: number
  /** For rows, changes, requests and answers in JavaScript, over all syncs and partitions. */
  readonly buffersBytes: number
}

export function memoryBudget(totalBytes: number): MemoryBudget {
  return { duckdbBytes: Math.floor(totalBytes * 0.375), buffersBytes: Math.floor(totalBytes * 0.25) }
}

/**
 * For the query of a source. While it runs, nothing of its sync is compared or buffered yet, and no row is
 * brought into its state, so that it may take both shares.
 */
export function queryBytes({ duckdbBytes, buffersBytes }: MemoryBudget): number {
  return duckdbBytes + buffersBytes
}

/** A number of bytes as DuckDB reads sizes. */
export function duckdbSize(bytes: number): string {
  return `${Math.floor(bytes / 1_000_000)}MB`
}
