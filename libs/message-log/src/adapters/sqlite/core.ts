/**
 * The state that all handles on one file share within the process: topics and their ends, and the readers
 * that wait for new records. One process has the file, so memory decides on ends and on the latest writer.
 * Only the file survives the process.
 */
import { SluiceError } from '@sluice/contracts/errors'
import { Notifier } from '@sluice/flow/notifier'
import {
  DEFAULT_RECORD_BYTES,
  type LogRecord,
  type ReadBatch,
  type TopicPartition,
  type TopicSpec,
} from '../../port.ts'
import { decodeBatch } from './batch.ts'
import { translate, translated } from './errors.ts'
import { SqliteStore, type StoredBatch, type StoredPartition } from './store.ts'

/** One read step looks at most at this many batches. */
const STEP_BATCHES = 256
/** A read yields about this many records at a time. */
const PART_RECORDS = 500

export interface Topic {
  readonly id: number
  readonly spec: TopicSpec
  readonly partitions: readonly Partition[]
}

export interface Partition {
  readonly id: number
  readonly topic: TopicSpec
  readonly partition: number
  low: number
  end: number
  /** The offset below which compaction has done its work. */
  cleaned: number
  /** The bytes from `cleaned` on, which are not compacted yet. */
  dirtyBytes: number
  bytes: number
  /** All batches that end below this offset are removed from the file. */
  purged: number
  deleted: boolean
  /**
   * By writer id, the number of the latest writer that has written here. It need not outlive the process,
   * since no writer does.
   */
  readonly lastWriter: Map<string, number>
  /** Notifies when records were added or removed, and when the topic was deleted. */
  readonly changes: Notifier
}

export class SqliteCore {
  readonly file: string
  readonly store: SqliteStore
  /** Called with partitions that have gained or lost records, so that maintenance can check them. */
  onChange: (partitions: Iterable<Partition>) => void = () => {}
  readonly #topics = new Map<string, Topic>()

  constructor(file: string, options: { readonly readOnly?: boolean; readonly writtenBy?: string } = {}) {
    this.file = file
    this.store = translated(file, () => new SqliteStore(file, options))
    try {
      this.#load()
    } catch (error) {
      this.store.close()
      throw translate(file, error)
    }
  }

  #load(): void {
    const stored = Map.groupBy(this.store.partitions(), partition => partition.topic)
    for (const { id, spec } of this.store.topics()) {
      const partitions = (stored.get(id) ?? []).map(partition => this.#partitionOf(spec, partition))
      this.#topics.set(spec.topic, { id, spec, partitions })
    }
  }

  #partitionOf(spec: TopicSpec, stored: Omit<StoredPartition, 'topic'>): Partition {
    const { id, partition, low, end, cleaned } = stored
    const bytes = this.store.bytesFrom(id, 0)
    const dirtyBytes = cleaned === 0 ? bytes : this.store.bytesFrom(id, cleaned)
    const rest = { purged: 0, deleted: false, lastWriter: new Map<string, number>(), changes: new Notifier() }
    return { id, topic: spec, partition, low, end, cleaned, bytes, dirtyBytes, ...rest }
  }

  /** Reads the ends of the partitions from the file, and notifies readers of those that grew. */
  readEnds(): void {
    const ends = new Map(this.store.partitions().map(({ id, end }) => [id, end]))
    const partitions = [...this.topics()].flatMap(topic => topic.partitions)
    const grown = partitions.filter(({ id, end }) => (ends.get(id) ?? end) !== end)
    for (const partition of grown) {
      partition.end = ends.get(partition.id) ?? partition.end
      this.measure(partition)
      partition.changes.notify()
    }
    if (grown.length > 0) this.onChange(grown)
  }

  topics(): Iterable<Topic> {
    return this.#topics.values()
  }

  topic(name: string): Topic | undefined {
    return this.#topics.get(name)
  }

  /** Throws `not-found` if there is no such topic or partition. */
  partition(target: TopicPartition): Partition {
    const topic = this.#topics.get(target.topic)
    if (topic === undefined) throw new SluiceError('not-found', `there is no topic ${target.topic}`)
    const partition = topic.partitions[target.partition]
    if (partition !== undefined) return partition
    const last = topic.partitions.length - 1
    throw new SluiceError(
      'not-found',
      `topic ${target.topic} has partitions 0 to ${last}, not ${target.partition}`,
    )
  }

  /**
   * Makes the missing topics, all or none. It raises the record limits of the other topics to their specs.
   */
  ensureTopics(specs: readonly TopicSpec[]): void {
    const missing = new Map<string, TopicSpec>()
    for (const spec of specs) this.#widen(spec)
    for (const spec of specs) {
      const found = this.#topics.get(spec.topic)?.spec ?? missing.get(spec.topic)
      if (found === undefined) missing.set(spec.topic, spec)
      else if (found.partitions !== spec.partitions) {
        const has = `topic ${spec.topic} has ${found.partitions} partitions`
        throw new SluiceError(
          'conflict',
          `${has}, ${spec.partitions} were wanted; their number cannot change`,
        )
      }
      if (!Number.isSafeInteger(spec.partitions) || spec.partitions < 1) {
        throw new SluiceError('internal', `topic ${spec.topic} was to have ${spec.partitions} partitions`)
      }
    }
    if (missing.size === 0) return
    this.#write(() => {
      const made = [...missing.values()].map(spec => ({ spec, ...this.store.insertTopic(spec) }))
      return () => {
        for (const { id, spec, partitions } of made) {
          const fresh = partitions.map((id, partition) =>
            this.#partitionOf(spec, { id, partition, low: 0, end: 0, cleaned: 0 }),
          )
          this.#topics.set(spec.topic, { id, spec, partitions: fresh })
        }
      }
    })
  }

  #widen(wanted: TopicSpec): void {
    const topic = this.#topics.get(wanted.topic)
    const bytes = wanted.maxRecordBytes ?? DEFAULT_RECORD_BYTES
    if (topic === undefined || (topic.spec.maxRecordBytes ?? DEFAULT_RECORD_BYTES) >= bytes) return
    const spec = { ...topic.spec, maxRecordBytes: bytes }
    this.#write(() => {
      this.store.setSpec(topic.id, spec)
      return () => void this.#topics.set(spec.topic, { ...topic, spec })
    })
  }

  deleteTopics(names: readonly string[]): void {
    const topics = [...new Set(names)].flatMap(name => this.#topics.get(name) ?? [])
    if (topics.length === 0) return
    this.#write(() => {
      for (const topic of topics) this.store.deleteTopic(topic.id)
      return () => {
        for (const topic of topics) this.#topics.delete(topic.spec.topic)
      }
    })
    for (const partition of topics.flatMap(topic => topic.partitions)) {
      partition.deleted = true
      partition.changes.notify()
    }
  }

  trim(target: TopicPartition, before: number): void {
    const partition = this.partition(target)
    if (before > partition.end || before < 0) throw outOfRange(target, before, partition)
    if (before <= partition.low) return
    this.setLow(partition, before)
    this.onChange([partition])
  }

  /** Drops all records below the offset, which lies between low and end. */
  setLow(partition: Partition, low: number): void {
    this.#write(() => {
      this.store.setLow(partition.id, low)
      return () => {
        partition.low = low
      }
    })
    partition.changes.notify()
  }

  /** Updates the byte counts of a partition from the file. */
  measure(partition: Partition): void {
    partition.bytes = this.store.bytesFrom(partition.id, 0)
    partition.dirtyBytes = this.store.bytesFrom(partition.id, partition.cleaned)
  }

  /**
   * Yields records from `from` up to `to` at most: about `bytes`, but at least one batch. They come in parts,
   * since V8 copies objects that live long. `from` < `to` ≤ end.
   */
  *readStep(partition: Partition, range: { from: number; to: number; bytes: number }): Generator<ReadBatch> {
    const { from, to } = range
    const batches = translated(this.file, () => this.batchesFrom(partition, range))
    let records: LogRecord[] = []
    for (const [index, batch] of batches.entries()) {
      for (const record of decodeBatch(batch, { from, to })) records.push(record)
      if (records.length < PART_RECORDS || index === batches.length - 1) continue
      yield { records, nextOffset: batch.last + 1, isPart: true }
      records = []
    }
    const last = batches.at(-1)
    // Without a batch, compaction has removed all records from `from` up to `to`.
    yield { records, nextOffset: last === undefined ? to : Math.min(to, Math.max(from, last.last + 1)) }
  }

  /**
   * Returns stored batches that begin below `to`. The first batch contains the offset `from`, or is the next
   * batch after it. Together the batches have about `bytes`, but there is at least one if any exists.
   */
  batchesFrom(partition: Partition, range: { from: number; to: number; bytes: number }): StoredBatch[] {
    const heads = this.store.heads(partition.id, { from: range.from, to: range.to, limit: STEP_BATCHES })
    // The batch that begins at or below `from` may end below it, if compaction has shortened it.
    const wanted = heads.filter(head => head.last >= range.from)
    const first = wanted[0]
    if (first === undefined) return []
    let taken = 0
    let size = 0
    for (const head of wanted) {
      size += head.size
      if (taken > 0 && size > range.bytes) break
      taken += 1
    }
    return this.store.batches(partition.id, first.base, taken)
  }

  close(): void {
    this.store.close()
  }

  /**
   * Runs `work` in a transaction, and then the function that `work` returned, which updates memory.
   */
  #write(work: () => () => void): void {
    translated(this.file, () => this.store.transaction(work))()
  }
}

export function outOfRange(
  target: TopicPartition,
  offset: number,
  held: { low: number; end: number },
): SluiceError {
  const where = `${target.topic}/${target.partition}`
  return new SluiceError(
    'offset-out-of-range',
    `offset ${offset} of ${where} was asked for, which holds ${held.low} to ${held.end}`,
  )
}
