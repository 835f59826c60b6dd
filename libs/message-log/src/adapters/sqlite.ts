/**
 * The log in one SQLite file, for one process: the embedded profile. A write is synced to disk before it is
 * acknowledged. Within the process, any number of handles may be open on a file, and they share everything.
 * Another process is refused with `conflict`, unless both only read.
 */
import { mkdirSync, realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { SluiceError } from '@sluice/contracts/errors'
import { abortable } from '@sluice/flow/abortable'
import { Notifier } from '@sluice/flow/notifier'
import { nextTurn } from '@sluice/flow/sleep'
import type * as port from '../port.ts'
import { countOf } from '../record-block.ts'
import { decodeBatch, encodeBatches, largestRecordBytes } from './sqlite/batch.ts'
import { outOfRange, SqliteCore } from './sqlite/core.ts'
import { translated } from './sqlite/errors.ts'
import { SqliteGroups, type SqliteMembership } from './sqlite/groups.ts'
import { lockForThisProcess, type ProcessLock } from './sqlite/lock.ts'
import { SqliteMaintenance } from './sqlite/maintenance.ts'
import { SqliteQueue, writerDead, type WriterState } from './sqlite/queue.ts'

const DEFAULT_BUFFER_BYTES = 4 * 1024 * 1024
/** One step decodes at most this much before the event loop has its turn. */
const STEP_BYTES = 512 * 1024

interface Signalled {
  readonly signal: AbortSignal
}

interface Shared {
  readonly lock: ProcessLock
  readonly core: SqliteCore
  readonly queue: SqliteQueue
  readonly groups: SqliteGroups
  /** Null for a file that is opened read-only. */
  readonly maintenance: SqliteMaintenance | null
  handles: number
}

export interface SqliteLogOptions {
  readonly file: string
  /**
   * Called when maintenance in the background fails, for example on a full disk. Nothing is lost, and
   * maintenance starts again later.
   */
  readonly onMaintenanceError?: (error: unknown) => void
  /**
   * Opens an existing file for reading only. Calls that would change it are refused. Other processes may read
   * the file meanwhile, too, and none may write to it.
   */
  readonly readOnly?: boolean
  /** The version of Sluice that writes to the file, which the file then names. */
  readonly writtenBy?: string
  /** Once this many bytes were written, a separate thread does the writing. Default 4 MB. */
  readonly threadAfterBytes?: number
}

/** The files that are open in this process, by real path. Files opened read-only have a map of their own. */
const open = new Map<string, Shared>()
const openToRead = new Map<string, Shared>()

/**
 * Opens the log in `file`. Makes the file and its folder if they do not exist. Throws SluiceError `conflict`
 * if another process has it open, `corrupt` if the file is of another kind, `config` if another
 * version made it, `unreachable` if it cannot be
 * read or written. Does not wait.
 */
export function createSqliteLog(options: SqliteLogOptions): SqliteLog {
  const file = translated(options.file, () => {
    const path = resolve(options.file)
    mkdirSync(dirname(path), { recursive: true })
    return join(realpathSync(dirname(path)), basename(path))
  })
  const known = options.readOnly === true ? openToRead : open
  const shared = open.get(file) ?? known.get(file) ?? openFile(file, options)
  if (!open.has(file)) known.set(file, shared)
  shared.handles += 1
  return new SqliteLog(shared, () => {
    shared.handles -= 1
    if (shared.handles > 0) return
    for (const files of [open, openToRead]) if (files.get(file) === shared) files.delete(file)
    shared.maintenance?.stop()
    const release = (): void => {
      shared.core.close()
      shared.lock.release()
    }
    const ended = shared.queue.close()
    if (ended === null) release()
    else void ended.then(release)
  })
}

function openFile(file: string, options: SqliteLogOptions): Shared {
  const { readOnly = false, onMaintenanceError = () => {} } = options
  const lock = lockForThisProcess(file, { shared: readOnly })
  try {
    const core = new SqliteCore(file, options)
    const maintenance = readOnly ? null : new SqliteMaintenance(core, onMaintenanceError)
    core.onChange = partitions => maintenance?.consider(partitions)
    const queue = new SqliteQueue(core, options)
    core.store.beforeWrite = () => queue.finish()
    return { lock, core, queue, groups: new SqliteGroups(core, queue), maintenance, handles: 0 }
  } catch (error) {
    lock.release()
    throw error
  }
}

/**
 * States: open → closed. Closing waits for appends under way, ends memberships and lets readers reject with
 * `aborted`.
 */
export class SqliteLog implements port.MessageLog {
  readonly #shared: Shared
  readonly #release: () => void
  readonly #memberships = new Set<SqliteMembership>()
  readonly #underWay = new Notifier()
  #appends = 0
  #closed = false

  constructor(shared: Shared, release: () => void) {
    this.#shared = shared
    this.#release = release
  }

  async ensureTopics(specs: readonly port.TopicSpec[], { signal }: Signalled): Promise<void> {
    const { core, groups } = this.#useToWrite(signal)
    core.ensureTopics(specs)
    groups.topicsChanged()
  }

  async deleteTopics(topics: readonly string[], { signal }: Signalled): Promise<void> {
    const { core, groups, maintenance } = this.#useToWrite(signal)
    core.deleteTopics(topics)
    groups.topicsChanged()
    maintenance.sweep()
  }

  async partitionsOf(topic: string, { signal }: Signalled): Promise<number | null> {
    return this.#use(signal).core.topic(topic)?.partitions.length ?? null
  }

  async openWriter(id: string, { signal }: Signalled): Promise<port.FencedWriter> {
    const writer = this.#use(signal).queue.newWriter(id)
    return new SqliteWriter(writer, (target, records, options) =>
      this.#append(target, records, { ...options, writer }),
    )
  }

  append(
    target: port.TopicPartition,
    records: readonly port.NewRecord[],
    { signal }: Signalled,
  ): Promise<port.AppendResult> {
    return this.#append(target, records, { signal, writer: null })
  }

  async offsets(target: port.TopicPartition, { signal }: Signalled): Promise<port.PartitionOffsets> {
    const { low, end } = this.#use(signal).core.partition(target)
    return { low, end }
  }

  async *read(
    target: port.TopicPartition,
    options: port.ReadOptions,
  ): AsyncGenerator<port.ReadBatch, void, void> {
    const { signal, from, to } = options
    const bytes = Math.min(options.bufferBytes ?? DEFAULT_BUFFER_BYTES, STEP_BYTES)
    if (signal.aborted && to === undefined) return
    const { core } = this.#use(signal)
    const partition = core.partition(target)
    let position = from
    for (;;) {
      if (signal.aborted && to === undefined) return
      this.#use(signal)
      const seen = partition.changes.version
      if (partition.deleted) throw new SluiceError('not-found', `topic ${target.topic} was deleted`)
      if (position < partition.low || position > partition.end) throw outOfRange(target, position, partition)
      if (to !== undefined && position >= to) return
      const limit = Math.min(partition.end, to ?? partition.end)
      if (position < limit) {
        for (const batch of core.readStep(partition, { from: position, to: limit, bytes })) {
          position = batch.nextOffset
          // Compaction may remove all records of a batch. An empty batch matters only if reading ends with
          // it.
          if (batch.records.length > 0 || position === limit) yield batch
          if (signal.aborted && to === undefined) return
          this.#use(signal)
        }
        await nextTurn()
      } else {
        await partition.changes.after(seen, { signal }).catch((error: unknown) => {
          if (!signal.aborted) throw error
        })
      }
    }
  }

  async *readBackwards(
    target: port.TopicPartition,
    options: { signal: AbortSignal; before?: number },
  ): AsyncGenerator<port.LogRecord, void, void> {
    const { signal } = options
    const { core } = this.#use(signal)
    const partition = core.partition(target)
    let before = Math.min(options.before ?? partition.end, partition.end)
    while (before > partition.low) {
      const batch = translated(core.file, () => core.store.batchBefore(partition.id, before))
      if (batch === null) return
      for (const record of decodeBatch(batch, { from: partition.low, to: before }).reverse()) {
        this.#use(signal)
        yield record
      }
      before = batch.base
      await nextTurn()
      this.#use(signal)
    }
  }

  async trim(target: port.TopicPartition, before: number, { signal }: Signalled): Promise<void> {
    this.#useToWrite(signal).core.trim(target, before)
  }

  async join(group: string, topics: readonly string[], { signal }: Signalled): Promise<port.Membership> {
    const membership = this.#useToWrite(signal).groups.join(group, topics, () =>
      this.#memberships.delete(membership),
    )
    this.#memberships.add(membership)
    return membership
  }

  async committed(group: string, topic: string, { signal }: Signalled): Promise<readonly (number | null)[]> {
    const { core } = this.#use(signal)
    const found = core.topic(topic)
    if (found === undefined) throw new SluiceError('not-found', `there is no topic ${topic}`)
    return translated(core.file, () => found.partitions.map(({ id }) => core.store.committed(group, id)))
  }

  async groupStates(
    groups: readonly string[],
    { signal }: Signalled,
  ): Promise<ReadonlyMap<string, port.GroupState>> {
    const { groups: known } = this.#use(signal)
    return new Map(groups.map(group => [group, known.hasMembers(group) ? 'at-work' : 'empty']))
  }

  /** The bytes of a partition in the file, from an offset on. */
  bytesFrom(target: port.TopicPartition, from: number, { signal }: Signalled): number {
    const { core } = this.#use(signal)
    const { id } = core.partition(target)
    return translated(core.file, () => core.store.bytesFrom(id, from))
  }

  /** The bytes of all topics that are not compacted: requests, attempts, commands. */
  uncompactedBytes({ signal }: Signalled): number {
    const topics = [...this.#use(signal).core.topics()].filter(({ spec }) => spec.cleanup === 'delete')
    return topics.flatMap(({ partitions }) => partitions).reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /**
   * Compacts a topic up to now, and resolves once that is done. It spares records that `compactionLagMs`
   * protects. The log also compacts in the background by itself.
   */
  async compact(topic: string, { signal }: Signalled): Promise<void> {
    const { core, maintenance } = this.#useToWrite(signal)
    const found = core.topic(topic)
    if (found === undefined) throw new SluiceError('not-found', `there is no topic ${topic}`)
    await abortable(Promise.all(found.partitions.map(partition => maintenance.compact(partition))), {
      signal,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all([...this.#memberships].map(membership => membership.leave()))
    while (this.#appends > 0) {
      const seen = this.#underWay.version
      await this.#underWay.after(seen, { signal: new AbortController().signal })
    }
    for (const topic of this.#shared.core.topics())
      for (const { changes } of topic.partitions) changes.notify()
    this.#release()
  }

  /** Every call begins here. It throws if the signal is aborted or the log is closed. */
  #use(signal: AbortSignal): Shared {
    signal.throwIfAborted()
    if (this.#closed) throw new SluiceError('aborted', 'the log is closed')
    return this.#shared
  }

  /** Does the same for calls that change the log. */
  #useToWrite(signal: AbortSignal): Shared & { readonly maintenance: SqliteMaintenance } {
    const shared = this.#use(signal)
    const { maintenance } = shared
    if (maintenance !== null) return { ...shared, maintenance }
    throw new SluiceError('internal', `${shared.core.file} was opened to be read only`)
  }

  async #append(
    target: port.TopicPartition,
    records: port.NewRecords,
    { signal, writer }: { signal: AbortSignal; writer: WriterState | null },
  ): Promise<port.AppendResult> {
    const { queue } = this.#useToWrite(signal)
    const count = countOf(records)
    if (count === 0) throw new SluiceError('internal', `an append of no records to ${target.topic}`)
    const batches = encodeBatches(records, queue.spareBuffers)
    const bytes = batches.reduce((sum, { data }) => sum + data.length, 0)
    this.#appends += 1
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    const largestBytes = largestRecordBytes(records)
    const operation = queue.append({
      target,
      batches,
      count,
      bytes,
      largestBytes,
      writer,
      resolve,
      reject,
    })
    const onAbort = () => {
      queue.cancel(operation)
      reject(signal.reason)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return { baseOffset: await promise }
    } finally {
      signal.removeEventListener('abort', onAbort)
      this.#appends -= 1
      this.#underWay.notify()
    }
  }
}

/** See FencedWriter. An abort leaves it dead, too, since the outcome of the append is unknown then. */
class SqliteWriter implements port.FencedWriter {
  readonly #writer: WriterState
  readonly #append: port.FencedWriter['append']
  #last: Promise<unknown> = Promise.resolve()

  constructor(writer: WriterState, append: port.FencedWriter['append']) {
    this.#writer = writer
    this.#append = append
  }

  get id(): string {
    return this.#writer.id
  }

  get state(): 'open' | 'dead' | 'closed' {
    return this.#writer.state
  }

  async append(
    target: port.TopicPartition,
    records: port.NewRecords,
    options: Signalled,
  ): Promise<port.AppendResult> {
    if (this.#writer.state === 'closed') throw new SluiceError('writer-dead', `writer ${this.id} is closed`)
    if (this.#writer.state === 'dead') throw writerDead(this.id)
    // This marks the writer as dead at once, so that the caller's next append is refused, too.
    if (options.signal.aborted || countOf(records) === 0) this.#writer.state = 'dead'
    const appended = this.#append(target, records, options)
    this.#last = appended.catch(() => {})
    return appended
  }

  /** Accepts no more appends, and resolves once those under way are settled. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#writer.state = 'closed'
    await this.#last
  }
}
