/** Reads who worked last on a partition, and whether there is anything to work on (PROTOCOL.md §11). */
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import {
  isTakeover,
  markerOf,
  readOwnBackwards,
  ownRecordAt,
  type OwnRecord,
} from '@sluice/topics/owned-reader'
import type { RecordIo, Typed } from '@sluice/topics/record-io'
import { isMarkerKey, keyText } from '@sluice/topics/topics'
import type { LastOwner } from './count-deaths.ts'

/** How far the input is read ahead: its first record that is no takeover marker is enough. */
const LOOK_BYTES = 64 * 1024

interface Reading {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly incarnation: string
  readonly stage: 'requests' | 'attempts'
  /** The partition that the stage writes. */
  readonly target: TopicPartition
  readonly signal: AbortSignal
}

export interface FoundOwner extends LastOwner {
  /** Offset of its takeover marker; −1 where that is not known. */
  readonly marker: number
}

/** Null where nobody has worked. Reads a few records; rejects as the log does. */
export async function findOwner(reading: Reading): Promise<FoundOwner | null> {
  let last: OwnRecord | null = null
  for await (const placed of readOwnBackwards(reading)) {
    last ??= placed
    if (last === placed && isTakeover(placed.record)) {
      const owner = ownerOf(placed)
      if (owner?.deaths !== null) return owner
    }
    const found = placeIn(placed.record)
    if (found === null) continue
    const isOver = isTakeover(last.record) || markerOf(placed.record)?.kind === 'run-end'
    const owner = isOver ? null : await takeoverAt(found.owner, reading)
    const hasTried = last.record.name === 'sluice.Attempt'
    return { ...(owner ?? UNCOUNTED), position: found.position, lastAt: last.timestamp, hasTried }
  }
  return null
}

const UNCOUNTED = { marker: -1, deaths: null, from: -1, tookOverAt: 0 } as const

/** The owner that wrote this takeover marker, if it has written nothing else. */
function ownerOf({ record, offset, timestamp }: OwnRecord): FoundOwner | null {
  const marker = markerOf(record)
  if (marker?.kind !== 'takeover') return null
  const { deaths, position } = marker
  const from = position ?? -1
  const times = { tookOverAt: timestamp, lastAt: timestamp }
  return { marker: offset, deaths, from, position: from, ...times, hasTried: false }
}

async function takeoverAt(offset: number, reading: Reading): Promise<FoundOwner | null> {
  const placed = offset < 0 ? null : await ownRecordAt(reading, offset)
  return placed === null || placed.record === null ? null : ownerOf({ ...placed, record: placed.record })
}

/** The position in the input that a record tells of, and its owner; null if it tells of none. */
function placeIn(record: Typed): { readonly position: number; readonly owner: number } | null {
  switch (record.name) {
    case 'sluice.Request':
    case 'sluice.Unrenderable':
      return { position: record.value.changesEnd, owner: record.value.owner }
    case 'sluice.Attempt':
    case 'sluice.Marker': {
      const { owner, checkpoint } = record.value
      const position = checkpoint?.offset ?? (record.name === 'sluice.Marker' ? record.value.position : null)
      return isTakeover(record) || position === null ? null : { position, owner }
    }
    default:
      return null
  }
}

/**
 * True if the input has a record from this position on that is no takeover or release marker. Nothing is
 * decoded, since a record may be what ends processes.
 */
export async function hasWork(
  { log, signal }: Pick<Reading, 'log' | 'signal'>,
  input: TopicPartition,
  position: number,
): Promise<boolean> {
  const { low, end } = await log.offsets(input, { signal })
  const from = Math.max(low, position)
  if (from >= end) return false
  for await (const { records } of log.read(input, { from, to: end, bufferBytes: LOOK_BYTES, signal }))
    if (records.some(({ key, value }) => value !== null && !isOwnersMarker(key))) return true
  return false
}

function isOwnersMarker(key: Uint8Array): boolean {
  return isMarkerKey(key) && /^(takeover|release)\//.test(keyText(key.subarray(1)))
}
