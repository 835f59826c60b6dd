import type { RunEvent } from '@sluice/contracts/records'
import { runEventRecord } from '@sluice/runs/run-event-record'
import { at, homePartition, sharedTopics } from '@sluice/stage/topics'
import type { RunnerDeps } from './runner-deps.ts'

/**
 * Writes an event of a run whose sync nobody can own: it does not exist, lacks a topic, or has just been
 * reset. Resolves once that is acknowledged.
 */
export async function appendRunEvent(
  { log, io, prefix }: Pick<RunnerDeps, 'log' | 'io' | 'prefix'>,
  event: RunEvent,
  options: { readonly signal: AbortSignal },
): Promise<void> {
  const target = at(sharedTopics(prefix).runs, homePartition(event.sync))
  await log.append(target, [runEventRecord(io, event)], options)
}
