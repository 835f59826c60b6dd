/**
 * Makes records of run events. Every process reads all of `runs` when it starts, so texts from outside are
 * shortened here.
 */
import type { RunEvent } from '@sluice/contracts/records'
import { boundedOrNull, boundedText } from '@sluice/domain/bounded-text'
import { ERROR_BYTES, ROW_ERROR_BYTES } from '@sluice/domain/record-sizes'
import type { MessageLog, NewRecord } from '@sluice/message-log/port'
import type { RecordIo } from '@sluice/topics/record-io'
import { at, homePartition, runKey, sharedTopics } from '@sluice/topics/topics'

/** An event keeps up to this many notices, which is more than there are kinds of them. */
const MAX_NOTICES = 20

export function runEventRecord(io: Pick<RecordIo, 'encode'>, event: RunEvent): NewRecord {
  return { key: runKey(event.sync, event.runId), value: io.encode('RunEvent', withBoundedTexts(event)) }
}

/**
 * Writes an event of a run whose sync no process can own. The sync does not exist, lacks a topic, or has just
 * been reset. Resolves once the log has acknowledged it.
 */
export async function appendRunEvent(
  { log, io, prefix }: { readonly log: MessageLog; readonly io: RecordIo; readonly prefix: string },
  event: RunEvent,
  options: { readonly signal: AbortSignal },
): Promise<void> {
  const target = at(sharedTopics(prefix).runs, homePartition(event.sync))
  await log.append(target, [runEventRecord(io, event)], options)
}

/** Shortens texts and keys, which are only shown to people. */
function withBoundedTexts(event: RunEvent): RunEvent {
  const { error, notices, invalidSamples, held, by } = event
  return {
    ...event,
    error: boundedOrNull(error, ERROR_BYTES),
    by: boundedOrNull(by, ROW_ERROR_BYTES),
    notices: notices.slice(0, MAX_NOTICES).map(text => boundedText(text, ERROR_BYTES)),
    invalidSamples: invalidSamples.map(({ key, reason }) => ({
      key: boundedOrNull(key, ROW_ERROR_BYTES),
      reason: boundedText(reason, ROW_ERROR_BYTES),
    })),
    held:
      held === null ? null : { ...held, samples: held.samples.map(key => boundedText(key, ROW_ERROR_BYTES)) },
  }
}
