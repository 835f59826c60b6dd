/**
 * The queue of appends and commits. Calls in the same turn of the event loop share one transaction, and so
 * one wait for the disk. A longer queue is split into transactions of about FLUSH_BYTES, with a turn of the
 * loop between them. The queue keeps the order of the calls, so writers fence each other in that order too.
 *
 * A process that writes much gets a thread that writes for it. Calls that come while the thread writes share
 * the next transaction. There is one transaction at a time, so the queue alone decides on offsets.
 */
import { SluiceError } from '@sluice/contracts/errors'
import { DEFAULT_RECORD_BYTES, type TopicPartition } from '../../port.ts'
import type { EncodedBatch } from './batch.ts'
import { SpareBuffers } from '../spare-buffers.ts'
import type { Partition, SqliteCore } from './core.ts'
import { translate } from './errors.ts'
import { carryOut, type Writes } from './thread/messages.ts'
import { ThreadGone, WriteThread } from './write-thread.ts'

/** One transaction writes about this many bytes before the event loop has its turn. */
const FLUSH_BYTES = 2 * 1024 * 1024
/** After this many bytes, a thread is worth the cost of its start. A run with little to send stays below. */
const THREAD_AFTER_BYTES = 4 * 1024 * 1024

/** The part of a writer that decides whether its appends succeed. */
export interface WriterState {
  readonly id: string
  readonly number: number
  /** Only an open writer accepts more appends. */
  state: 'open' | 'dead' | 'closed'
  /**
   * True once the queue has reached the writer's first append that fails. Later appends of the writer must
   * fail, too.
   */
  failed: boolean
  /** The number of the first append whose caller gave up after the transaction had begun. */
  abandonedFrom: number
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
  /** Grows with each append of the queue. */
  readonly number: number
  /** True once its transaction has begun. */
  begun: boolean
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

/** A transaction in the making. */
interface Plan {
  readonly at: number
  /** The new ends of the partitions. */
  readonly ends: Map<Partition, number>
  readonly batches: Writes['batches'][number][]
  readonly commits: Writes['commits'][number][]
}

/** One transaction: its operations, its writes, and the calls to make once these are on disk. */
interface Transaction {
  readonly operations: readonly Operation[]
  readonly writes: Writes
  readonly ends: ReadonlyMap<Partition, number>
  readonly settle: readonly (() => void)[]
}

export class SqliteQueue {
  /** The buffers for batches of appends. A buffer is free again once its transaction is over. */
  readonly spareBuffers = new SpareBuffers({ shared: true })
  readonly #core: SqliteCore
  #threadAfterBytes: number
  readonly #openThread: (file: string) => WriteThread
  #queue: Operation[] = []
  #scheduled = false
  #writers = 0
  #appends = 0
  #bytes = 0
  #thread: WriteThread | null = null

  constructor(
    core: SqliteCore,
    { threadAfterBytes = THREAD_AFTER_BYTES, openThread = (file: string) => new WriteThread(file) } = {},
  ) {
    this.#core = core
    this.#threadAfterBytes = threadAfterBytes
    this.#openThread = openThread
  }

  newWriter(id: string): WriterState {
    this.#writers += 1
    return { id, number: this.#writers, state: 'open', failed: false, abandonedFrom: Infinity }
  }

  append(append: Omit<Append, 'kind' | 'number' | 'cancelled' | 'begun'>): Append {
    this.#appends += 1
    const operation: Append = {
      ...append,
      ...{ kind: 'append', number: this.#appends, cancelled: false, begun: false },
    }
    this.#enqueue(operation)
    return operation
  }

  /**
   * The caller no longer waits for the append. The later appends of its writer must fail, even if this append
   * succeeds.
   */
  cancel(append: Append): void {
    append.cancelled = true
    const { writer } = append
    if (writer === null) return
    if (writer.state === 'open') writer.state = 'dead'
    if (!append.begun) return
    writer.failed = true
    writer.abandonedFrom = Math.min(writer.abandonedFrom, append.number)
  }

  commit(commit: Omit<Commit, 'kind' | 'bytes' | 'cancelled'>): Commit {
    const operation: Commit = { ...commit, kind: 'commit', bytes: 0, cancelled: false }
    this.#enqueue(operation)
    return operation
  }

  /**
   * Blocks until no transaction is under way, so that others may write to the file. Throws if the disk does
   * not answer.
   */
  finish(): void {
    this.#thread?.finish()
  }

  /**
   * Does all remaining work of the queue before the file is closed. Returns null. If the disk does not
   * answer, it returns a promise that resolves once nothing writes to the file any more.
   */
  close(): Promise<unknown> | null {
    const ended = this.#thread?.close() ?? null
    if (ended !== null) return ended
    this.#thread = null
    for (let next = this.#next(); next !== null; next = this.#next()) this.#write(next)
    return null
  }

  #enqueue(operation: Operation): void {
    this.#queue.push(operation)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled || this.#queue.length === 0 || this.#thread?.isWriting === true) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      if (this.#thread?.isWriting === true) return
      const thread = this.#freeThread()
      const next = this.#next()
      if (next === null) return
      if (thread === null) this.#write(next)
      else this.#handOver(thread, next)
      this.#schedule()
    })
  }

  /** Returns the thread that writes; null if the caller has to write itself. */
  #freeThread(): WriteThread | null {
    // A thread that has ended by itself might do so again.
    if (this.#thread?.isGone === true) this.#threadAfterBytes = Number.POSITIVE_INFINITY
    else if (this.#bytes >= this.#threadAfterBytes) this.#thread ??= this.#startThread()
    return this.#thread?.isFree === true ? this.#thread : null
  }

  #startThread(): WriteThread | null {
    try {
      return this.#openThread(this.#core.file)
    } catch {
      // The system gives this process no more threads.
      this.#threadAfterBytes = Number.POSITIVE_INFINITY
      return null
    }
  }

  #handOver(thread: WriteThread, transaction: Transaction): void {
    try {
      thread.write(transaction.writes, error => this.#over(transaction, error))
    } catch (error) {
      this.#fail(transaction, error)
    }
  }

  #write(transaction: Transaction): void {
    try {
      carryOut(this.#core.store, transaction.writes)
    } catch (error) {
      this.#fail(transaction, error)
      return
    }
    this.#succeed(transaction)
  }

  /** The thread has ended a transaction. */
  #over(transaction: Transaction, error: Error | null): void {
    if (error === null) this.#succeed(transaction)
    else this.#fail(transaction, error instanceof ThreadGone ? this.#endsRead(error) : error)
    this.#schedule()
  }

  /** Reads the ends of the partitions. Returns the given error, or the error with which reading fails. */
  #endsRead(error: ThreadGone): unknown {
    try {
      this.#core.readEnds()
      return error
    } catch (cause) {
      return cause
    }
  }

  #succeed({ operations, ends, settle }: Transaction): void {
    this.#giveBack(operations)
    for (const [partition, end] of ends) partition.end = end
    for (const done of settle) done()
    for (const partition of ends.keys()) partition.changes.notify()
    if (ends.size > 0) this.#core.onChange(ends.keys())
  }

  /**
   * Fails all operations of a transaction that was rolled back. A writer that the transaction noted as a
   * partition's latest stays its latest, since it does no harm to refuse a predecessor too early.
   */
  #fail({ operations }: Transaction, cause: unknown): void {
    this.#giveBack(operations)
    const error = translate(this.#core.file, cause)
    for (const operation of operations) {
      if (operation.kind === 'append' && operation.writer !== null) kill(operation.writer)
      operation.reject(error)
    }
  }

  /** Frees the buffers of the batches. */
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
    this.#bytes += bytes
    return this.#queue.splice(0, count)
  }

  /** Makes a transaction of the operations that come next. Returns null if none waits. */
  #next(): Transaction | null {
    const operations = this.#takeFromQueue()
    if (operations.length === 0) return null
    const plan: Plan = { at: Date.now(), ends: new Map(), batches: [], commits: [] }
    const settle: (() => void)[] = []
    for (const operation of operations) {
      // All appends before the cancelled append are done. No later append of its writer may succeed.
      if (operation.cancelled && operation.kind === 'append' && operation.writer !== null)
        operation.writer.failed = true
      if (operation.cancelled) continue
      settle.push(operation.kind === 'append' ? this.#append(operation, plan) : this.#commit(operation, plan))
    }
    const { ends, batches, commits } = plan
    const endsById = Array.from(ends, ([{ id }, end]) => [id, end] as const)
    return { operations, ends, settle, writes: { batches, commits, ends: endsById } }
  }

  /** Plans a commit. Returns the call to make once it is on disk. */
  #commit(operation: Commit, plan: Plan): () => void {
    const { target, group, next, accepted } = operation
    const partition = accepted() ? this.#core.topic(target.topic)?.partitions[target.partition] : undefined
    if (partition === undefined) return () => operation.resolve(false)
    plan.commits.push({ group, partition: partition.id, next })
    return () => operation.resolve(accepted())
  }

  /** Plans an append. Returns the call to make once it is on disk. */
  #append(operation: Append, { at, ends, batches }: Plan): () => void {
    const { writer } = operation
    const refusal = this.#refusalOf(operation)
    if (refusal !== null) {
      if (writer !== null) kill(writer)
      return () => operation.reject(refusal)
    }
    operation.begun = true
    const partition = this.#core.partition(operation.target)
    const base = ends.get(partition) ?? partition.end
    for (const { start, count, data } of operation.batches) {
      const first = base + start
      batches.push({ partition: partition.id, base: first, last: first + count - 1, at, data })
    }
    ends.set(partition, base + operation.count)
    // This is set at once, so that later appends of a predecessor in this transaction are refused.
    if (writer !== null) partition.lastWriter.set(writer.id, writer.number)
    return () => {
      partition.bytes += operation.bytes
      partition.dirtyBytes += operation.bytes
      if (writer !== null && operation.number > writer.abandonedFrom) operation.reject(writerDead(writer.id))
      else operation.resolve(base)
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
