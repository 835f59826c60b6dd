/**
 * The queue of appends and commits. Calls in the same turn of the event loop share one transaction, and so
 * one wait for the disk. A longer queue is split into transactions of about FLUSH_BYTES, with a turn of the
 * loop between them. The queue keeps the order of the calls, so writers fence each other in that order too.
 */
import { SluiceError } from '@sluice/contracts/errors'
import { DEFAULT_RECORD_BYTES, type TopicPartition } from '../../port.ts'
import type { EncodedBatch } from './batch.ts'
import { SpareBuffers } from '../spare-buffers.ts'
import type { Partition, SqliteCore } from './core.ts'
import { translate } from './errors.ts'

/** About how many bytes one transaction writes before the event loop has its turn. */
const FLUSH_BYTES = 2 * 1024 * 1024

/** The part of a writer that decides whether its appends succeed. */
export interface WriterState {
  readonly id: string
  readonly number: number
  /** Whether it accepts more appends. */
  state: 'open' | 'dead' | 'closed'
  /**
   * Set when the queue comes to the first append that fails. No append that is under way after it may
   * succeed.
   */
  failed: boolean
}

interface Append {
  readonly kind: 'append'
  readonly target: TopicPartition
  readonly batches: readonly EncodedBatch[]
  readonly count: number
  readonly bytes: number
  readonly largestBytes: number
  readonly writer: WriterState | null
  cancelled: boolean
  readonly resolve: (baseOffset: number) => void
  readonly reject: (error: unknown) => void
}

interface Commit {
  readonly kind: 'commit'
  readonly bytes: 0
  readonly group: string
  readonly target: TopicPartition
  readonly next: number
  readonly accepted: () => boolean
  cancelled: boolean
  readonly resolve: (accepted: boolean) => void
  readonly reject: (error: unknown) => void
}

type Operation = Append | Commit

export class SqliteQueue {
  /** For the batches of appends, which the file has once their transaction is over. */
  readonly spareBuffers = new SpareBuffers()
  readonly #core: SqliteCore
  #queue: Operation[] = []
  #scheduled = false
  #writers = 0

  constructor(core: SqliteCore) {
    this.#core = core
  }

  newWriter(id: string): WriterState {
    this.#writers += 1
    return { id, number: this.#writers, state: 'open', failed: false }
  }

  append(append: Omit<Append, 'kind' | 'cancelled'>): Append {
    const operation: Append = { ...append, kind: 'append', cancelled: false }
    this.#enqueue(operation)
    return operation
  }

  commit(commit: Omit<Commit, 'kind' | 'bytes' | 'cancelled'>): Commit {
    const operation: Commit = { ...commit, kind: 'commit', bytes: 0, cancelled: false }
    this.#enqueue(operation)
    return operation
  }

  /** Does all remaining work of the queue now, when the file is closed. */
  drain(): void {
    while (this.#queue.length > 0) this.#flush()
  }

  #enqueue(operation: Operation): void {
    this.#queue.push(operation)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled || this.#queue.length === 0) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#flush()
      this.#schedule()
    })
  }

  #flush(): void {
    const operations = this.#takeFromQueue()
    if (operations.length === 0) return
    const ends = new Map<Partition, number>()
    const settle: (() => void)[] = []
    try {
      this.#core.store.transaction(() => {
        const at = Date.now()
        for (const operation of operations) {
          if (operation.cancelled) {
            // The appends before this one are done. No append after it may succeed.
            if (operation.kind === 'append' && operation.writer !== null) operation.writer.failed = true
            continue
          }
          settle.push(this.#carryOut(operation, ends, at))
        }
        for (const [partition, end] of ends) this.#core.store.setEnd(partition.id, end)
      })
    } catch (error) {
      this.#failAll(operations, translate(this.#core.file, error))
      return
    } finally {
      this.#giveBack(operations)
    }
    for (const [partition, end] of ends) partition.end = end
    for (const done of settle) done()
    for (const partition of ends.keys()) partition.changes.notify()
    if (ends.size > 0) this.#core.onChange(ends.keys())
  }

  /** SQLite has copied the batches, or wants them no more. */
  #giveBack(operations: readonly Operation[]): void {
    for (const operation of operations)
      if (operation.kind === 'append') for (const { room } of operation.batches) this.spareBuffers.give(room)
  }

  #takeFromQueue(): Operation[] {
    let bytes = 0
    let count = 0
    for (const operation of this.#queue) {
      if (count > 0 && bytes + operation.bytes > FLUSH_BYTES) break
      bytes += operation.bytes
      count += 1
    }
    return this.#queue.splice(0, count)
  }

  /**
   * Does one operation within the transaction. Returns what to do once the transaction is on disk. `ends` has
   * the new ends of the partitions.
   */
  #carryOut(operation: Operation, ends: Map<Partition, number>, at: number): () => void {
    if (operation.kind === 'commit') {
      const accepted = operation.accepted()
      const partition = accepted
        ? this.#core.topic(operation.target.topic)?.partitions[operation.target.partition]
        : undefined
      if (partition === undefined) return () => operation.resolve(false)
      this.#core.store.commit(operation.group, partition.id, operation.next)
      return () => operation.resolve(true)
    }
    const { writer } = operation
    const refusal = this.#refusalOf(operation)
    if (refusal !== null) {
      if (writer !== null) kill(writer)
      return () => operation.reject(refusal)
    }
    const partition = this.#core.partition(operation.target)
    const base = ends.get(partition) ?? partition.end
    for (const { start, count, data } of operation.batches) {
      const first = base + start
      this.#core.store.insertBatch(partition.id, { base: first, last: first + count - 1, at, data })
    }
    ends.set(partition, base + operation.count)
    // Set at once, so that later appends of a predecessor in this transaction are refused.
    if (writer !== null) partition.lastWriter.set(writer.id, writer.number)
    return () => {
      partition.bytes += operation.bytes
      partition.dirtyBytes += operation.bytes
      operation.resolve(base)
    }
  }

  #refusalOf({ target, writer, largestBytes }: Append): SluiceError | null {
    const topic = this.#core.topic(target.topic)
    const where = `${target.topic}/${target.partition}`
    if (writer?.failed === true) return writerDead(writer.id)
    const partition = topic?.partitions[target.partition]
    if (topic === undefined || partition === undefined)
      return new SluiceError('not-found', `there is no ${where}`)
    const limitBytes = topic.spec.maxRecordBytes ?? DEFAULT_RECORD_BYTES
    if (largestBytes > limitBytes) {
      const what = `a record of ${largestBytes} bytes is too large for ${target.topic}`
      return new SluiceError('too-large', `${what}, which takes up to ${limitBytes}`)
    }
    if (writer !== null && (partition.lastWriter.get(writer.id) ?? 0) > writer.number) {
      return new SluiceError('fenced', `a successor of writer ${writer.id} has taken over ${where}`)
    }
    return null
  }

  /**
   * Fails all operations of a transaction that was undone. The successors that it had noted keep their place.
   * If that refuses a predecessor too early, it does no harm.
   */
  #failAll(operations: readonly Operation[], error: SluiceError): void {
    for (const operation of operations) {
      if (operation.kind === 'append' && operation.writer !== null) kill(operation.writer)
      operation.reject(error)
    }
  }
}

function kill(writer: WriterState): void {
  writer.failed = true
  if (writer.state === 'open') writer.state = 'dead'
}

export function writerDead(id: string): SluiceError {
  return new SluiceError(
    'writer-dead',
    `writer ${id} accepts no more appends, because one failed; open a new writer`,
  )
}
