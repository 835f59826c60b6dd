/** What one transaction writes, and what the thread that writes it answers. */
import type { MessagePort } from 'node:worker_threads'
import type { SqliteStore, StoredBatch } from '../store.ts'

export interface Writes {
  readonly batches: readonly ({ readonly partition: number } & Omit<StoredBatch, 'size'>)[]
  /** New ends of partitions, by their ids. */
  readonly ends: readonly (readonly [partition: number, end: number])[]
  readonly commits: readonly { readonly group: string; readonly partition: number; readonly next: number }[]
}

/** Null asks the thread to close the file. */
export type Order = Writes | null

/** What is left of an error of SQLite on its way between threads. */
export interface WriteFailure {
  readonly message: string
  readonly errcode?: number
}

/** The answer to an order to write is its failure or null. */
export type Answer = 'ready' | WriteFailure | null

export interface ThreadStart {
  readonly file: string
  readonly port: MessagePort
  /** Two cells of 32 bits, for a thread that waits without a turn of its event loop: see `CELL`. */
  readonly cells: SharedArrayBuffer
}

/** How many orders are answered, and whether the file is closed. */
export const CELL = { answered: 0, closed: 1 } as const

/** Writes all of it in one transaction, which is on disk when this returns. Throws SQLite's errors. */
export function carryOut(store: SqliteStore, { batches, ends, commits }: Writes): void {
  store.transaction(() => {
    for (const { partition, ...batch } of batches) store.insertBatch(partition, batch)
    for (const [partition, end] of ends) store.setEnd(partition, end)
    for (const { group, partition, next } of commits) store.commit(group, partition, next)
  })
}
