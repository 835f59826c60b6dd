/**
 * The source of type `kafka`: a topic is read from its beginning to its end as of the start, and the newest
 * row of each key is a row of the model. It joins no group and commits no offset. Records of transactions
 * count once they are committed.
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isSluiceError, messageOf, SluiceError } from '@sluice/contracts/errors'
import type { KafkaSourceSpec, ModelSpec } from '@sluice/contracts/resources'
import type { SecretFor } from '@sluice/contracts/secret-references'
import type { Column } from '@sluice/contracts/values'
import { primaryKeyOf } from '@sluice/domain/definition'
import { isPrivateAddressError } from '@sluice/http-sender/egress-guard'
import { createKafkaLog, readTopicSettings } from '@sluice/message-log/adapters/kafka'
import type { MessageLog, PartitionOffsets } from '@sluice/message-log/port'
import { ForeignSchemas } from '@sluice/schema-codec/adapters/foreign-schemas'
import type { Extract, Source } from '../port.ts'
import { diskErrorOf, duckdbMessage, saysOutOfMemory } from './duckdb/errors.ts'
import { kafkaAccess, type KafkaAccess } from './kafka/access.ts'
import { EntryDecoder } from './kafka/decode-entries.ts'
import { LostBeginning } from './kafka/lost-beginning.ts'
import { TopicTable } from './kafka/topic-table.ts'
import { masked } from './server/errors.ts'
import type { PrivateNetworks } from './server/access.ts'
import { modelCalled } from './query/model-columns.ts'

/** The memory in which DuckDB finds the newest rows. What does not fit goes to files beside the extract. */
const MEMORY_BYTES = 128_000_000
/** A sample of rows reads at least this many of the last entries of each partition. */
const MIN_SAMPLED = 1_000
/** Rows of a sample may have many entries each. */
const ENTRIES_PER_ROW = 20
/** Rows that `describe` reads for the columns. */
const DESCRIBED_ROWS = 200

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
    if (existsSync(file))
      throw new SluiceError('conflict', `${file} exists already; an extract wants a new file.`)
    const { topic } = model
    if (topic === undefined)
      throw this.#wrongModel(model, 'sql or table', 'a source of type kafka has topics: name one as `topic`')
    const { timeout } = this.#options.spec
    const late = timeout === undefined ? null : AbortSignal.timeout(timeout)
    const signal = late === null ? options.signal : AbortSignal.any([options.signal, late])
    const access = this.#access()
    try {
      await using log = createKafkaLog(access.log)
      return await this.#read({ model, topic, file, sample, access, log, signal })
    } catch (error) {
      await Promise.all([file, `${file}.wal`].map(path => rm(path, { force: true })))
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
    const lost = sample === null ? await this.#lostBeginning(reading, partitions) : null
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
    for (const each of partitions)
      await this.#readPartition(reading, { partition: each, from: from(each), decoder, table, lost })
    lost?.assertWhole()
    const { columns, rowCount, primaryKey: found } = await table.finish({ sample })
    return { file, columns, rowCount, primaryKey: found }
  }

  async #readPartition(
    { topic, log, signal }: Reading,
    {
      partition: { partition, end },
      from,
      decoder,
      table,
      lost,
    }: {
      readonly partition: Partition
      readonly from: number
      readonly decoder: EntryDecoder
      readonly table: TopicTable
      readonly lost: LostBeginning | null
    },
  ): Promise<void> {
    if (from >= end) return
    for await (const { records } of log.read({ topic, partition }, { from, to: end, signal })) {
      await decoder.prepare(records, { signal })
      for (const record of records) {
        const entry = decoder.decode(record, partition)
        lost?.see(entry)
        table.add(entry)
      }
    }
  }

  /** Looks up the beginning and the end of each partition. Later records are left to a later reading. */
  async #partitions({ model, topic, log, signal }: Reading): Promise<readonly Partition[]> {
    const count = await log.partitionsOf(topic, { signal })
    if (count === null) {
      const message = `The topic ${topic} of ${modelCalled(model.name)} does not exist in source ${this.#options.spec.name}, or its login may not see it.`
      throw new SluiceError('query', message, { details: [{ field: 'topic', message }] })
    }
    return await Promise.all(
      Array.from({ length: count }, async (_, partition) => ({
        partition,
        ...(await log.offsets({ topic, partition }, { signal })),
      })),
    )
  }

  /** Returns a watch over the beginning, if some records of the topic are lost. */
  async #lostBeginning(
    { model, topic, access, signal }: Reading,
    partitions: readonly Partition[],
  ): Promise<LostBeginning | null> {
    const lost = partitions.filter(({ low }) => low > 0)
    if (lost.length === 0) return null
    const settings = await readTopicSettings(access.log, [topic], { signal })
    const policy = settings?.get(topic)?.['cleanup.policy'] ?? null
    if (policy !== null && !policy.includes('delete')) return null
    return new LostBeginning({ model, topic, policy, partitions })
  }

  #wrongModel(model: ModelSpec, found: string, wanted: string): SluiceError {
    const message = `The model ${model.name} has ${found}, and ${wanted}.`
    return new SluiceError('config', message, { details: [{ field: 'topic', message: wanted }] })
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
    return new SluiceError('query', message, { cause: error, details: [{ field: 'topic', message }] })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }
}

/** Finds the error of a connection that was not opened, since it leads into a private network. */
function privateAddress(error: unknown): Error | null {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (isPrivateAddressError(cause)) return cause
  return null
}
