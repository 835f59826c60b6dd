/**
 * Reads where an earlier owner of the partition stopped, once this owner's takeover marker is in it. It finds
 * the checkpoint, what is known of the requests at or above it, and whether the predecessor left in good
 * order (PROTOCOL.md §5, §8).
 */
import { SluiceError } from '@sluice/contracts/errors'
import type { Checkpoint } from '@sluice/contracts/records'
import type { MessageLog, TopicPartition } from '@sluice/message-log/port'
import { lastOwnRecord, readOwned } from '@sluice/topics/owned-reader'
import type { RecordIo, Typed } from '@sluice/topics/record-io'
import { NO_HISTORY, withAttempt, type RequestHistory } from './request-history.ts'

export interface KnownRequest {
  readonly history: RequestHistory
  /** Offset of its first attempt. */
  readonly firstAttempt: number
}

export interface Recovered {
  readonly checkpoint: Checkpoint
  /** By offset in `requests`, for those at or above the checkpoint. */
  readonly known: ReadonlyMap<number, KnownRequest>
  /**
   * True if there was no predecessor, or its last record is `run-end` or `release`: then nothing was under
   * way. Each owner writes a `run-begin` marker before it sends the first request of a run.
   */
  readonly clean: boolean
}

export async function recoverLedger(options: {
  readonly log: MessageLog
  readonly io: RecordIo
  readonly incarnation: string
  readonly requests: TopicPartition
  readonly attempts: TopicPartition
  /** How far is read ahead at most. */
  readonly bufferBytes: number
  readonly signal: AbortSignal
}): Promise<Recovered> {
  const { log, io, incarnation, requests, attempts, bufferBytes, signal } = options
  const reader = { log, io, incarnation, stage: 'attempts', target: attempts, signal } as const
  const last = await lastOwnRecord(reader)
  const record = last?.record ?? null
  if (last === null || record === null) {
    const [input, output] = await Promise.all([
      log.offsets(requests, { signal }),
      log.offsets(attempts, { signal }),
    ])
    const checkpoint = { offset: input.low, from: output.end, run: 0, counts: {} }
    return { checkpoint, known: new Map(), clean: true }
  }
  // An append of many attempts may have been cut. Only its last attempt would have had a checkpoint.
  const marked =
    checkpointOf(record) === null
      ? await lastOwnRecord({ ...reader, matches: each => checkpointOf(each) !== null })
      : last
  const checkpoint =
    marked?.record === undefined || marked.record === null ? null : checkpointOf(marked.record)
  if (checkpoint === null)
    throw new SluiceError(
      'corrupt',
      `nothing up to offset ${last.offset} of ${attempts.topic} has a checkpoint`,
    )
  const known = new Map<number, KnownRequest>()
  for await (const batch of readOwned({
    ...reader,
    bufferBytes,
    from: checkpoint.from,
    to: last.offset + 1,
  })) {
    for (const placed of batch.records) {
      if (placed.record?.name !== 'sluice.Attempt') continue
      const attempt = placed.record.value
      if (attempt.requestOffset < checkpoint.offset) continue
      const before = known.get(attempt.requestOffset)
      known.set(attempt.requestOffset, {
        history: withAttempt(before?.history ?? NO_HISTORY, attempt),
        firstAttempt: before?.firstAttempt ?? placed.offset,
      })
    }
  }
  const clean = record.name === 'sluice.Marker' && record.value.kind !== 'run-begin'
  return { checkpoint, known, clean }
}

function checkpointOf(record: Typed): Checkpoint | null {
  return record.name === 'sluice.Attempt' || record.name === 'sluice.Marker' ? record.value.checkpoint : null
}
