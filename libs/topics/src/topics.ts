/**
 * Names, settings and keys of the topics (PROTOCOL.md §1), and names of the groups in which processes share
 * the work.
 *
 * A hash of the key chooses the partition only in topics that all syncs share, as Kafka's producers do it. In
 * the topics of a sync, the delivered state remembers the partition of a key. The detector assigns one to a
 * new key, so that batches are full.
 */
import type { TopicPartition, TopicSpec } from '@sluice/message-log/port'
import { partitionOf } from '@sluice/domain/partition'
import { RECORD_CEILING_BYTES } from '@sluice/domain/record-sizes'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/**
 * Number of partitions of the topics that all syncs share; each sync lives in one. It bounds how many
 * detectors can share the work.
 */
export const SHARED_PARTITIONS = 8

/** The stages of the pipeline, by the topic that is their output and checkpoint. */
export type StageName = 'changes' | 'requests' | 'attempts'

export interface SharedTopics {
  readonly resources: string
  readonly definitions: string
  readonly commands: string
  readonly runs: string
  readonly secrets: string
  readonly alerts: string
  readonly tests: string
}

export interface SyncTopics {
  readonly changes: string
  readonly requests: string
  readonly attempts: string
  readonly retry: string
  readonly captured: string
}

export function sharedTopics(prefix: string): SharedTopics {
  return {
    resources: `${prefix}.resources`,
    definitions: `${prefix}.definitions`,
    commands: `${prefix}.commands`,
    runs: `${prefix}.runs`,
    secrets: `${prefix}.secrets`,
    alerts: `${prefix}.alerts`,
    tests: `${prefix}.tests`,
  }
}

export function syncTopics(prefix: string, sync: string): SyncTopics {
  const named = (topic: string): string => `${prefix}.${sync}.${topic}`
  return {
    changes: named('changes'),
    requests: named('requests'),
    attempts: named('attempts'),
    retry: named('retry'),
    captured: named('captured'),
  }
}

/** Each topic sets its maximum, since the settings of a broker may allow less. */
const maxRecordBytes = RECORD_CEILING_BYTES

export function sharedTopicSpecs(prefix: string): readonly TopicSpec[] {
  const { resources, definitions, commands, runs, secrets, tests, alerts } = sharedTopics(prefix)
  const compact = { cleanup: 'compact', compactWithinMs: HOUR_MS, maxRecordBytes } as const
  const aged = { cleanup: 'delete', retentionMs: 7 * DAY_MS, maxRecordBytes } as const
  return [
    { topic: resources, partitions: 1, ...compact },
    { topic: definitions, partitions: 1, ...compact },
    { topic: commands, partitions: SHARED_PARTITIONS, ...aged },
    { topic: runs, partitions: SHARED_PARTITIONS, ...compact },
    { topic: secrets, partitions: 1, ...compact },
    { topic: alerts, partitions: 1, ...compact },
    { topic: tests, partitions: SHARED_PARTITIONS, ...aged },
  ]
}

/** The sync's own topics. `requests` and `attempts` are trimmed by Sluice, never by age. */
export function syncTopicSpecs(prefix: string, sync: string, partitions: number): readonly TopicSpec[] {
  const { changes, requests, attempts, retry, captured } = syncTopics(prefix, sync)
  return [
    { topic: requests, partitions, cleanup: 'delete', maxRecordBytes },
    { topic: attempts, partitions, cleanup: 'delete', maxRecordBytes },
    { topic: retry, partitions, cleanup: 'compact', maxRecordBytes },
    { topic: captured, partitions, cleanup: 'compact', maxRecordBytes },
    // Topics are made in this order, so once this one exists, all others do.
    { topic: changes, partitions, cleanup: 'compact', compactionLagMs: 7 * DAY_MS, maxRecordBytes },
  ]
}

/** The partition of `commands`, `runs` and `tests` where a sync lives. */
export function homePartition(sync: string): number {
  return partitionOf(textKey(sync), SHARED_PARTITIONS)
}

export function at(topic: string, partition: number): TopicPartition {
  return { topic, partition }
}

/** Returns a name of the partition that is unique in the log. */
export function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}

const encoder = new TextEncoder()
// U+FEFF at the start of a key is a character, and not the mark at the start of a file.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
/** No UTF-8 text has this byte, so no primary key collides with a marker's key. */
const MARKER_BYTE = 0xff

/** Encodes a key. `Buffer.from` takes an eighth of the time of `TextEncoder` for so few bytes. */
export function textKey(text: string): Uint8Array {
  return Buffer.from(text)
}

export function keyText(key: Uint8Array): string {
  return decoder.decode(key)
}

/**
 * Returns the key of a marker: one per kind and scope, of which compaction keeps the last. Compaction refuses
 * null keys.
 */
export function markerKey(kind: string, scope: string): Uint8Array {
  const text = encoder.encode(`${kind}/${scope}`)
  const key = new Uint8Array(text.length + 1)
  key[0] = MARKER_BYTE
  key.set(text, 1)
  return key
}

/** Returns the key of the ends of slices on `changes`, `requests` and `retry`. */
export function sliceKey(partition: number): Uint8Array {
  return markerKey('slice', `${partition}`)
}

export function isMarkerKey(key: Uint8Array): boolean {
  return key[0] === MARKER_BYTE
}

/** Returns the key of a run's events on `runs`. */
export function runKey(sync: string, runId: string): Uint8Array {
  return textKey(`${sync}/${runId}`)
}

/** Returns the run that a key names. A report's key names a partition in its place. */
export function runOfKey(key: Uint8Array): { readonly sync: string; readonly runId: string } {
  const text = keyText(key)
  const slash = text.lastIndexOf('/')
  return { sync: text.slice(0, slash), runId: text.slice(slash + 1) }
}

/** True for a text that may be the id of a run, and the name of a file. */
export function isRunId(text: string): boolean {
  return /^[\w.-]{1,64}$/.test(text)
}

const KEY_ON_RUNS = /^(?<sync>[^/]+)\/(?:[0-9A-HJKMNP-TV-Z]{26}|\d{1,4})$/

/**
 * Returns the sync whose run or partition a key of `runs` names; null for a key that Sluice does not write.
 */
export function syncOfKeyOnRuns(key: Uint8Array): string | null {
  return KEY_ON_RUNS.exec(keyText(key))?.groups?.['sync'] ?? null
}

/**
 * Returns the key of a partition's reports on `runs`. It is never the key of a run, since no ULID is so small
 * a number.
 */
export function reportKey(sync: string, partition: number): Uint8Array {
  return textKey(`${sync}/${partition}`)
}

/** A service that works on syncs with an open run. */
export type SyncService = 'renderer' | 'delivery'

/** Names the group of all detectors, which share the syncs. */
export function detectorGroup(prefix: string): string {
  return `${prefix}.detector`
}

/** Names the group in which processes of a service share the partitions of a sync. */
export function syncGroup(
  prefix: string,
  service: SyncService,
  { sync, incarnation }: { readonly sync: string; readonly incarnation: string },
): string {
  return `${syncGroups(prefix, service, sync)}${incarnation}`
}

/** Returns the beginning of the names of a sync's groups, which every incarnation shares. */
export function syncGroups(prefix: string, service: SyncService, sync: string): string {
  return `${prefix}.${service}.${sync}.`
}
