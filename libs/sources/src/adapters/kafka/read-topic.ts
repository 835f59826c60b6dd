/**
 * Reads a topic as a table, from its beginning to its end, and on what came meanwhile. The newest row of each
 * key is a row of the model.
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { ModelSpec } from '@sluice/contracts/resources'
import { primaryKeyOf } from '@sluice/domain/definition'
import { isLongTurn, nextTurn } from '@sluice/flow/sleep'
import type { MessageLog, PartitionOffsets } from '@sluice/message-log/port'
import { ForeignSchemas, type ForeignSchemasOptions } from '@sluice/schema-codec/adapters/foreign-schemas'
import type { Extract } from '../../port.ts'
import { modelCalled } from '../query/model-columns.ts'
import { EntryDecoder } from './decode-entries.ts'
import type { Entry } from './entry.ts'
import { LostBeginning } from './lost-beginning.ts'
import { topicError } from './topic-error.ts'
import { type TopicRows, TopicTable } from './topic-table.ts'
import { UnfinishedSnapshot } from './unfinished-snapshot.ts'

/** The memory in which DuckDB finds the newest rows. What does not fit goes to files beside the extract. */
const MEMORY_BYTES = 128_000_000
/**
 * A sample of rows reads so many entries of each partition for each row, since a row may have many entries.
 */
const ENTRIES_PER_ROW = 20
/** A sample reads at least this many entries of each partition. */
const MIN_SAMPLED = 1_000
/** No compaction ends within a reading that takes less than this. */
const SHORT_MS = 5_000

export interface TopicReading {
  readonly model: ModelSpec
  readonly topic: string
  /** A path that does not exist yet. */
  readonly file: string
  /** Reads near the end of the topic alone, for so many rows. Null: reads all. */
  readonly sample: number | null
  readonly memoryBytes: number | undefined
  /** The name of the source. */
  readonly sourceName: string
  readonly log: MessageLog
  readonly registry: ForeignSchemasOptions | null
  /** Called with each entry. Partitions come one after the other. */
  readonly see?: (entry: Entry) => void
  readonly signal: AbortSignal
}

export interface TopicPartitionOffsets extends PartitionOffsets {
  readonly partition: number
}

export interface ReadTopic extends Extract, Pick<TopicRows, 'topicColumns' | 'lacked'> {
  readonly primaryKey: readonly string[]
  /** Where reading ended. */
  readonly ends: readonly TopicPartitionOffsets[]
}

interface Decoding {
  readonly decoder: EntryDecoder
  readonly see: (entry: Entry) => void
}

/**
 * Resolves with the rows. Rejects with `query` if the topic has no whole rows, and with the errors of the
 * log.
 */
export async function readTopic(reading: TopicReading): Promise<ReadTopic> {
  const { model, topic, file, sample, registry, signal } = reading
  const primaryKey = primaryKeyOf(model)
  const partitions = await partitionsOf(reading)
  const from = (partition: TopicPartitionOffsets): number =>
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
    memoryBytes: reading.memoryBytes ?? MEMORY_BYTES,
    entries: partitions.reduce((sum, partition) => sum + partition.end - from(partition), 0),
    partitions: partitions.length,
    signal,
  })
  const { format = 'rows' } = model
  const schemas = registry === null ? null : new ForeignSchemas(registry)
  const decoder = new EntryDecoder({ format, schemas, primaryKey })
  const see = (entry: Entry): void => {
    for (const watch of watches) watch.see(entry)
    reading.see?.(entry)
    table.add(entry)
  }
  for (const each of partitions) await readPartition(reading, { ...each, low: from(each) }, { decoder, see })
  const ends = sample === null ? await readOn(reading, partitions, { decoder, see }) : partitions
  for (const watch of watches) watch.assertWhole()
  return { file, ...(await table.finish({ sample })), ends }
}

async function readPartition(
  { topic, log, signal }: TopicReading,
  { partition, low, end }: TopicPartitionOffsets,
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
async function readOn(
  reading: TopicReading,
  read: readonly TopicPartitionOffsets[],
  decoding: Decoding,
): Promise<readonly TopicPartitionOffsets[]> {
  for (let done = read; ;) {
    const startedMs = performance.now()
    const now = await partitionsOf(reading)
    if (now.length !== read.length) throw changedMeanwhile(reading.topic)
    const ends = now.map((each, index) => ({ ...each, low: done[index]?.end ?? 0 }))
    if (now.some((each, index) => each.low > (read[index]?.low ?? 0))) throw changedMeanwhile(reading.topic)
    if (ends.every(({ low, end }) => low === end)) return now
    for (const each of ends) {
      if (each.end < each.low) throw changedMeanwhile(reading.topic)
      await readPartition(reading, each, decoding)
    }
    if (performance.now() - startedMs < SHORT_MS) return now
    done = now
  }
}

/** Looks up the beginning and the end of each partition. */
async function partitionsOf({
  model,
  topic,
  log,
  sourceName,
  signal,
}: TopicReading): Promise<readonly TopicPartitionOffsets[]> {
  const count = await log.partitionsOf(topic, { signal })
  if (count === null) throw missingTopic(topic, { model, sourceName })
  return await Promise.all(
    Array.from({ length: count }, async (_, partition) => ({
      partition,
      ...(await log.offsets({ topic, partition }, { signal })),
    })),
  )
}

export function missingTopic(
  topic: string,
  { model, sourceName }: Pick<TopicReading, 'model' | 'sourceName'>,
): SluiceError {
  const message = `The topic ${topic} of ${modelCalled(model.name)} does not exist in source ${sourceName}, or its login may not see it.`
  return topicError(message)
}

/** Returns the topic of a model. Throws `config` if it has none. */
export function topicOf({ name, topic }: ModelSpec): string {
  if (topic !== undefined) return topic
  const wanted = 'a source of type kafka has topics: name one as `topic`'
  const message = `The model ${name} has sql or table, and ${wanted}.`
  throw new SluiceError('config', message, { details: [{ field: 'topic', message: wanted }] })
}

function changedMeanwhile(topic: string): SluiceError {
  const message = `The topic ${topic} lost records, got partitions or was made again while it was read, so nothing was taken.`
  return topicError(message, { retryable: true })
}
