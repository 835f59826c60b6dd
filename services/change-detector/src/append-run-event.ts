import type { RunEvent } from '@sluice/contracts/records'
import { at, homePartition, runKey, sharedTopics } from '@sluice/stage/topics'
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
  const record = { key: runKey(event.sync, event.runId), value: io.encode('RunEvent', event) }
  await log.append(at(sharedTopics(prefix).runs, homePartition(event.sync)), [record], options)
}
