/** The settings of a topic on Kafka, for the adapter and for operators who make topics by hand. */
import { ATOMIC_BYTES, DEFAULT_RECORD_BYTES, TOMBSTONES_KEPT_MS, type TopicSpec } from './port.ts'

/** The bytes that a batch needs besides its records. */
const BATCH_OVERHEAD_BYTES = 1024

export interface Settings {
  readonly [name: string]: string
}

/** Returns all settings of a topic. Each is explicit, so that no default of a broker counts. */
export function settingsOf(spec: TopicSpec, replication: number | null): Settings {
  return {
    'cleanup.policy': spec.cleanup,
    // The log dates the records, so that no writer's clock decides what is old.
    'message.timestamp.type': 'LogAppendTime',
    'retention.ms': String(spec.retentionMs ?? -1),
    'min.compaction.lag.ms': String(spec.compactionLagMs ?? 0),
    'delete.retention.ms': String(TOMBSTONES_KEPT_MS),
    'max.message.bytes': String(
      Math.max(spec.maxRecordBytes ?? DEFAULT_RECORD_BYTES, ATOMIC_BYTES) + BATCH_OVERHEAD_BYTES,
    ),
    // A broker that compresses by itself may use a codec that this adapter cannot read.
    'compression.type': 'producer',
    // With this setting Kafka closes segments early enough, and the cleaner compacts them whatever their
    // share of superseded records.
    ...(spec.compactWithinMs === undefined ? {} : { 'max.compaction.lag.ms': String(spec.compactWithinMs) }),
    ...(replication !== null && replication >= 3 ? { 'min.insync.replicas': '2' } : {}),
  }
}
