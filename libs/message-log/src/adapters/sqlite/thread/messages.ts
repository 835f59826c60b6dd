/**
 * The messages between the log and the thread that writes its file: the writes of a transaction, and the
 * answer.
 */
import type { MessagePort } from 'node:worker_threads'
import { isOwn, isShared } from '../../spare-buffers.ts'
import type { SqliteStore, StoredBatch } from '../store.ts'

export interface Writes {
  readonly batches: readonly ({ readonly partition: number } & Omit<StoredBatch, 'size'>)[]
  /** New ends of partitions, by their ids. */
  readonly ends: readonly (readonly [partition: number, end: number])[]
  readonly commits: readonly { readonly group: string; readonly partition: number; readonly next: number }[]
}

/** Null asks the thread to close the file. */
export type Order = PackedWrites | null

/**
 * `Writes` in few objects, since each object costs a copy on its way to another thread. Large batches are in
 * shared memory, or move to the other thread. `small` has the small batches one after the other.
 */
interface PackedWrites extends Omit<Writes, 'batches'> {
  /** Five numbers for each batch, see `NUMBERS`. */
  readonly numbers: Float64Array<ArrayBuffer>
  readonly large: readonly Uint8Array[]
  readonly small: Uint8Array<ArrayBuffer>
}

/** The numbers are partition, base, last, at, and the length of a small batch, or −1 for a large one. */
const NUMBERS = 5

export function packed({ batches, ...rest }: Writes): PackedWrites {
  const isLarge = (data: Uint8Array): boolean => isShared(data) || isOwn(data)
  const large = batches.flatMap(({ data }) => (isLarge(data) ? [data] : []))
  const smallBytes = batches.reduce((sum, { data }) => sum + (isLarge(data) ? 0 : data.length), 0)
  const numbers = new Float64Array(batches.length * NUMBERS)
  const small = new Uint8Array(smallBytes)
  let end = 0
  for (const [index, { partition, base, last, at, data }] of batches.entries()) {
    numbers.set([partition, base, last, at, isLarge(data) ? -1 : data.length], index * NUMBERS)
    if (isLarge(data)) continue
    small.set(data, end)
    end += data.length
  }
  return { ...rest, numbers, large, small }
}

/** Returns the buffers that move to the other thread, and are gone on this one. */
export function movedBy({ numbers, small, large }: PackedWrites): ArrayBuffer[] {
  return [numbers.buffer, small.buffer, ...large.filter(isOwn).map(({ buffer }) => buffer)]
}

/** Frees at once the buffers that moved to this thread. A garbage collection would free them much later. */
export function release({ large }: PackedWrites): void {
  for (const data of large) if (isOwn(data)) data.buffer.transfer(0)
}

export function unpacked({ numbers, large, small, ...rest }: PackedWrites): Writes {
  const batches: Writes['batches'][number][] = []
  let next = 0
  let from = 0
  for (let at = 0; at < numbers.length; at += NUMBERS) {
    const [partition = 0, base = 0, last = 0, time = 0, length = 0] = numbers.subarray(at, at + NUMBERS)
    const data = length < 0 ? large[next++] : small.subarray(from, from + length)
    if (data === undefined) throw new Error('a batch is missing')
    if (length >= 0) from += length
    batches.push({ partition, base, last, at: time, data })
  }
  return { ...rest, batches }
}

/** An error of SQLite, as it travels between threads. */
export interface WriteFailure {
  readonly message: string
  readonly errcode?: number
}

/** The answer to an order to write is its failure or null. */
export type Answer = 'ready' | WriteFailure | null

export interface ThreadStart {
  readonly file: string
  readonly port: MessagePort
  /** Two cells of 32 bits (`CELL`), for a thread that waits without a turn of its event loop. */
  readonly cells: SharedArrayBuffer
}

/**
 * The cell `answered` counts orders that are answered, and `closed` is 1 once the file is closed. Both are
 * `ENDED` once the thread has ended.
 */
export const CELL = { answered: 0, closed: 1 } as const
export const ENDED = 0x7fff_ffff

/** Writes in one transaction, which is on disk when this returns. Throws SQLite's errors. */
export function carryOut(store: SqliteStore, { batches, ends, commits }: Writes): void {
  store.transaction(() => {
    for (const { partition, ...batch } of batches) store.insertBatch(partition, batch)
    for (const [partition, end] of ends) store.setEnd(partition, end)
    for (const { group, partition, next } of commits) store.commit(group, partition, next)
  })
}
