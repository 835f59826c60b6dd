/**
 * The source of type `kafka`. It reads a topic from its beginning to its end, and on what came meanwhile.
 * The newest row of each key is a row of the model. The source joins no group and commits no offset. Records
 * of transactions count once they are committed.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isSluiceError, messageOf, SluiceError } from '@sluice/contracts/errors'
import type { KafkaSourceSpec, ModelSpec } from '@sluice/contracts/resources'
import type { SecretFor } from '@sluice/contracts/secret-references'
import type { Column } from '@sluice/contracts/values'
import { primaryKeyOf } from '@sluice/domain/definition'
import { isLongTurn, nextTurn } from '@sluice/flow/sleep'
import { isPrivateAddressError } from '@sluice/http-sender/egress-guard'
import { createKafkaLog } from '@sluice/message-log/adapters/kafka'
import type { MessageLog, PartitionOffsets } from '@sluice/message-log/port'
import { ForeignSchemas } from '@sluice/schema-codec/adapters/foreign-schemas'
import type { Extract, Source } from '../port.ts'
import { diskErrorOf, duckdbMessage, saysOutOfMemory } from './duckdb/errors.ts'
import { assertNewFile, removeExtract } from './extract-file.ts'
import { kafkaAccess, type KafkaAccess } from './kafka/access.ts'
import { EntryDecoder } from './kafka/decode-entries.ts'
import type { Entry } from './kafka/entry.ts'
import { LostBeginning } from './kafka/lost-beginning.ts'
import { topicError } from './kafka/topic-error.ts'
import { TopicTable } from './kafka/topic-table.ts'
import { UnfinishedSnapshot } from './kafka/unfinished-snapshot.ts'
import { masked } from './server/errors.ts'
import type { PrivateNetworks } from './server/access.ts'
import { modelCalled } from './query/model-columns.ts'

/** The memory in which DuckDB finds the newest rows. What does not fit goes to files beside the extract. */
const MEMORY_BYTES = 128_000_000
/**
 * A sample of rows reads so many entries of each partition for each row, since a row may have many entries.
 */
const ENTRIES_PER_ROW = 20
/** A sample reads at least this many entries of each partition. */
const MIN_SAMPLED = 1_000
/** The number of rows that `describe` reads for the columns. */
const DESCRIBED_ROWS = 200
/** No compaction ends within a reading that takes less than this. */
const SHORT_MS = 5_000

export interface KafkaSourceOptions {
  readonly spec: KafkaSourceSpec
  /** Called whenever a topic is read. Its errors pass through. */
  readonly secretFor: SecretFor
  readonly memoryBytes?: number
  readonly privateNetworks: PrivateNetworks
}

interface Partition extends PartitionOffsets {
  readonly partition: number
}

interface Reading {
  readonly model: ModelSpec
  readonly topic: string
  readonly file: string
  readonly sample: number | null
  readonly access: KafkaAccess
  readonly log: MessageLog
  readonly signal: AbortSignal
}

interface Decoding {
  readonly decoder: EntryDecoder
  readonly see: (entry: Entry) => void
}

/** Makes a source of topics. Topics may be read concurrently, each with connections of its own. */
export function createKafkaSource(options: KafkaSourceOptions): Source {
  return new KafkaSource(options)
}

class KafkaSource implements Source {
  readonly #options: KafkaSourceOptions

  constructor(options: KafkaSourceOptions) {
    this.#options = options
  }

  /** Returns the columns of the latest rows. Earlier rows may have others. */
  async describe(model: ModelSpec, { signal }: { signal: AbortSignal }): Promise<readonly Column[]> {
    signal.throwIfAborted()
    if (model.topic === undefined && model.name === '') return await this.#connect(signal)
    const folder = await mkdtemp(join(tmpdir(), 'sluice-topic-'))
    try {
      const file = join(folder, 'rows.duckdb')
      return (await this.extract(model, { file, signal, sample: DESCRIBED_ROWS })).columns
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }

  /** Checks that the brokers answer, for a source that no model reads. */
  async #connect(signal: AbortSignal): Promise<readonly Column[]> {
    const access = this.#access()
    try {
      await using log = createKafkaLog(access.log)
      await log.partitionsOf('sluice', { signal })
      return []
    } catch (error) {
      throw this.#translated(error, access, signal)
    }
  }

  async extract(
    model: ModelSpec,
    options: { file: string; signal: AbortSignal; sample?: number },
  ): Promise<Extract> {
    const { file, sample = null } = options
    options.signal.throwIfAborted()
    assertNewFile(file)
    const { topic } = model
    if (topic === undefined) throw lacksTopic(model)
    const { timeout } = this.#options.spec
    const late = timeout === undefined ? null : AbortSignal.timeout(timeout)
    const signal = late === null ? options.signal : AbortSignal.any([options.signal, late])
    const access = this.#access()
    try {
      await using log = createKafkaLog(access.log)
      return await this.#read({ model, topic, file, sample, access, log, signal })
    } catch (error) {
      await removeExtract(file)
      options.signal.throwIfAborted()
      if (late?.aborted === true) throw this.#tookTooLong(model, timeout ?? 0, error)
      throw this.#translated(error, access, signal, { model, file })
    }
  }

  #access(): KafkaAccess {
    const { spec, secretFor, privateNetworks } = this.#options
    return kafkaAccess(spec, secretFor, privateNetworks)
  }

  async #read(reading: Reading): Promise<Extract> {
    const { model, topic, file, sample, access, signal } = reading
    const primaryKey = primaryKeyOf(model)
    const partitions = await this.#partitions(reading)
    const from = (partition: Partition): number =>
      sample === null
        ? partition.low
        : Math.max(partition.low, partition.end - Math.max(MIN_SAMPLED, sample * ENTRIES_PER_ROW))
    const watches =
      sample === null
        ? [new LostBeginning({ model, topic, partitions }), new UnfinishedSnapshot(model, topic)]
        : []
    await using table = await TopicTable.open({
      model,
      topic,
      primaryKey,
      file,
      memoryBytes: this.#options.memoryBytes ?? MEMORY_BYTES,
      entries: partitions.reduce((sum, partition) => sum + partition.end - from(partition), 0),
      partitions: partitions.length,
      signal,
    })
    const { format = 'rows' } = model
    const schemas = access.registry === null ? null : new ForeignSchemas(access.registry)
    const decoder = new EntryDecoder({ format, schemas, primaryKey })
    const see = (entry: Entry): void => {
      for (const watch of watches) watch.see(entry)
      table.add(entry)
    }
    for (const each of partitions)
      await this.#readPartition(reading, { ...each, low: from(each) }, { decoder, see })
    if (sample === null) await this.#readOn(reading, partitions, { decoder, see })
    for (const watch of watches) watch.assertWhole()
    const { columns, rowCount, primaryKey: found } = await table.finish({ sample })
    return { file, columns, rowCount, primaryKey: found }
  }

  async #readPartition(
    { topic, log, signal }: Reading,
    { partition, low, end }: Partition,
    { decoder, see }: Decoding,
  ): Promise<void> {
    if (low >= end) return
    // Records that are not there any more would be waited for.
    const now = await log.offsets({ topic, partition }, { signal })
    if (now.low > low || now.end < end) throw changedMeanwhile(topic)
    for await (const { records } of log.read({ topic, partition }, { from: low, to: end, signal })) {
      await decoder.prepare(records, { signal })
      for (const record of records) {
        if (isLongTurn()) {
          await nextTurn()
          signal.throwIfAborted()
        }
        see(decoder.decode(record, partition))
      }
    }
  }

  /**
   * Reads on to the ends as they are by now, until a reading is short. Kafka may compact a record away before
   * it is read. Then a later record of its key is behind the end that was looked up.
   */
  async #readOn(reading: Reading, read: readonly Partition[], decoding: Decoding): Promise<void> {
    for (let done = read; ;) {
      const startedMs = performance.now()
      const now = await this.#partitions(reading)
      if (now.length !== read.length) throw changedMeanwhile(reading.topic)
      const ends = now.map((each, index) => ({ ...each, low: done[index]?.end ?? 0 }))
      if (now.some((each, index) => each.low > (read[index]?.low ?? 0))) throw changedMeanwhile(reading.topic)
      if (ends.every(({ low, end }) => low === end)) return
      for (const each of ends) {
        if (each.end < each.low) throw changedMeanwhile(reading.topic)
        await this.#readPartition(reading, each, decoding)
      }
      if (performance.now() - startedMs < SHORT_MS) return
      done = now
    }
  }

  /** Looks up the beginning and the end of each partition. */
  async #partitions({ model, topic, log, signal }: Reading): Promise<readonly Partition[]> {
    const count = await log.partitionsOf(topic, { signal })
    if (count === null) {
      const message = `The topic ${topic} of ${modelCalled(model.name)} does not exist in source ${this.#options.spec.name}, or its login may not see it.`
      throw topicError(message)
    }
    return await Promise.all(
      Array.from({ length: count }, async (_, partition) => ({
        partition,
        ...(await log.offsets({ topic, partition }, { signal })),
      })),
    )
  }

  #tookTooLong({ name }: ModelSpec, timeoutMs: number, cause: unknown): SluiceError {
    const message = `Reading the topic of ${modelCalled(name)} took longer than the time-out of source ${this.#options.spec.name}, ${timeoutMs} ms.`
    return new SluiceError('query', message, { cause, retryable: true })
  }

  /** Names the source, and masks its secrets. */
  #translated(
    error: unknown,
    { secrets }: KafkaAccess,
    signal: AbortSignal,
    extract?: { readonly model: ModelSpec; readonly file: string },
  ): unknown {
    signal.throwIfAborted()
    const { name } = this.#options.spec
    const guarded = privateAddress(error)
    if (guarded !== null)
      return new SluiceError('config', `Source ${name}: ${guarded.message}`, { cause: error })
    if (isSluiceError(error)) {
      if (error.code !== 'unreachable' && error.code !== 'config' && error.code !== 'offset-out-of-range')
        return error
      if (error.message.startsWith('Source ')) return error
      const code = error.code === 'offset-out-of-range' ? 'unreachable' : error.code
      const { retryable, details } = error
      const message = masked(`Source ${name}: ${error.message}`, secrets)
      return new SluiceError(code, message, { cause: error, retryable, details })
    }
    if (extract === undefined) return error
    const { model, file } = extract
    const disk = diskErrorOf(error, { model: model.name, file })
    if (disk !== null) return disk
    const reason = duckdbMessage(error)
    const message = saysOutOfMemory(error)
      ? `The rows of ${modelCalled(model.name)} need more memory than reading them may take: set SLUICE_MEMORY higher. ${reason}`
      : `The rows of ${modelCalled(model.name)} cannot be read from source ${name}: ${messageOf(error)}`
    return topicError(message, { cause: error })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }
}

function changedMeanwhile(topic: string): SluiceError {
  const message = `The topic ${topic} lost records, got partitions or was made again while it was read, so nothing was taken.`
  return topicError(message, { retryable: true })
}

function lacksTopic({ name }: ModelSpec): SluiceError {
  const wanted = 'a source of type kafka has topics: name one as `topic`'
  const message = `The model ${name} has sql or table, and ${wanted}.`
  return new SluiceError('config', message, { details: [{ field: 'topic', message: wanted }] })
}

/** Finds the error of a connection that was not opened, since it leads into a private network. */
function privateAddress(error: unknown): Error | null {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (isPrivateAddressError(cause)) return cause
  return null
}
