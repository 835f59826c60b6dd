/** Topics of a real Kafka as tables of the suite of streams: what another program, or Debezium, writes. */
import type { KafkaSourceSpec, ModelSpec } from '@sluice/contracts/resources'
import { createKafkaStreamSource } from '../src/adapters/kafka-stream.ts'
import type { StreamedTable, Written, WrittenRow } from './stream-contract.ts'
import { TopicProducer, type WrittenRecord } from './topic-producer.ts'

export function kafkaSpec(brokers: string, fields: Partial<KafkaSourceSpec> = {}): KafkaSourceSpec {
  return { kind: 'source', name: 'cdc', type: 'kafka', brokers: [brokers], ...fields }
}

export function streamSourceOf(spec: KafkaSourceSpec) {
  return createKafkaStreamSource({ spec, secretFor: () => 'none', privateNetworks: 'allowed' })
}

export interface TopicTableOptions {
  readonly partitions?: number
  readonly format: 'rows' | 'debezium'
  readonly source?: Partial<KafkaSourceSpec>
  readonly model?: Partial<ModelSpec>
  /** Encodes keys and values. Default: JSON without a schema. */
  readonly encode?: (what: 'key' | 'value', value: object) => Buffer | object
}

/** A row lives in the partition of its id until the topic gets more of them. */
export async function topicTable(brokers: string, options: TopicTableOptions): Promise<StreamedTable> {
  const { format, partitions = 1, encode = (_, value) => value } = options
  const topic = await TopicProducer.make(brokers, { partitions })
  const rows = new Map<number, Omit<WrittenRow, 'id'>>()
  let lsn = 1_000
  let commit = 900
  let last: readonly WrittenRecord[] = []
  const send = async (records: readonly WrittenRecord[]): Promise<void> => {
    last = records
    await topic.write(...records)
  }
  const source = (snapshot = 'false') => ({
    ...{ version: '3.4.0.Final', connector: 'postgresql', name: 'shop', ts_ms: Date.now(), snapshot },
    ...{ db: 'shop', schema: 'public', table: 'people', txId: commit, lsn: (lsn += 8) },
    sequence: JSON.stringify([String(commit), String(lsn)]),
  })
  const envelope = (op: string, after: object | null, snapshot?: string) => ({
    ...{ before: null, after, source: source(snapshot), op, ts_ms: Date.now() },
  })
  const record = (id: number, value: object | null): WrittenRecord => ({
    key: encode('key', { id }),
    value: value === null ? null : encode('value', value),
    partition: id % partitions,
  })
  const recordsOf = ({ id, row }: Written): readonly WrittenRecord[] => {
    const isKnown = rows.has(id)
    if (row === null) rows.delete(id)
    else rows.set(id, row)
    if (format === 'rows') return [record(id, row === null ? null : { id, ...row })]
    if (row !== null) return [record(id, envelope(isKnown ? 'u' : 'c', { id, ...row }))]
    return [record(id, envelope('d', null))]
  }
  const anyRow = (): WrittenRow => {
    const [[id, row] = [1, { name: null, note: null }]] = rows
    return { id, ...row }
  }
  const debezium = {
    changeKey: async (from: number, to: WrittenRow) => {
      commit = lsn
      await send([
        ...recordsOf({ id: from, row: null }),
        ...recordsOf({ id: to.id, row: { name: to.name, note: to.note } }),
      ])
    },
    writeLacking: async (id: number, name: string) => {
      commit = lsn
      const { note = null } = rows.get(id) ?? {}
      rows.set(id, { name, note })
      await send([record(id, envelope('u', { id, name, note: '__debezium_unavailable_value' }))])
    },
    repeat: async () => await topic.write(...last),
  }
  return {
    model: {
      ...{ kind: 'model', name: 'people', source: 'cdc', topic: topic.topic, format },
      ...options.model,
    },
    open: () => streamSourceOf(kafkaSpec(brokers, options.source)),
    write: async (...changes) => {
      commit = lsn
      await send(changes.flatMap(recordsOf))
    },
    breaks: {
      columns: async () => {
        const { id, ...row } = anyRow()
        const wider = { id, ...row, note: { nested: true } }
        await topic.write(record(id, format === 'rows' ? wider : envelope('u', wider)))
      },
      lost: async () => await topic.dropBefore(...Array.from({ length: partitions }, () => -1)),
      history: async () => await topic.makeAnew(),
      partitions: async () => await topic.addPartitions(partitions + 1),
      ...(format === 'rows'
        ? {}
        : {
            truncated: async () =>
              await topic.write({ key: null, value: encode('value', envelope('t', null)) }),
            snapshot: async () => {
              const row = anyRow()
              await topic.write(record(row.id, envelope('r', row, 'last')))
            },
          }),
    },
    ...(format === 'rows' ? {} : debezium),
    writeUnreadable: async () =>
      await topic.write({ key: encode('key', { id: 1 }), value: 'garbage', partition: 1 % partitions }),
    [Symbol.asyncDispose]: async () => await topic[Symbol.asyncDispose](),
  }
}
