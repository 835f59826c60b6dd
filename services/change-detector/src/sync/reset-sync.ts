/**
 * A reset: the sync gets a new incarnation, and its topics go (PROTOCOL.md §12). The next run makes them
 * again. An interrupted reset is done again from the start, with the same result: the topics of the old
 * incarnation are gone or empty. Once the new incarnation is written, nothing of the old one counts any more.
 */
import type { RunEvent } from '@sluice/contracts/records'
import { endDeletion, knownIncarnation, renewIncarnation } from '@sluice/resources/incarnations'
import { deletionKey, readResources } from '@sluice/resources/stored-resources'
import type { SyncRuns } from '@sluice/runs/runs-view'
import { syncTopics } from '@sluice/topics/topics'
import { appendRunEvent } from '@sluice/runs/run-event-record'
import type { RunState } from '@sluice/runs/machine/run-events'
import { releaseStream } from '../stream/release-stream.ts'
import type { RunnerDeps } from './runner-deps.ts'
import type { OwnedSync } from './owned-sync.ts'

/**
 * Carries out the reset that is at work. The event of the reset is written first. A detector that is no
 * longer the owner fails at that write, so it deletes nothing that belongs to the owner. After this call, the
 * caller must not write records of the old incarnation.
 */
export async function resetSync(owned: OwnedSync, run: RunState): Promise<void> {
  const { deps, sync, ownership, ends } = owned
  const { incarnation: old } = ownership
  await forgetSync(deps, sync, { old, run, signal: ends.drain })
}

/** Deletes the topics that there are, gives the sync a new incarnation, and ends the reset's run. */
export async function forgetSync(
  deps: RunnerDeps,
  sync: string,
  options: { readonly old: string; readonly run: RunState; readonly signal: AbortSignal },
): Promise<void> {
  const { old, run, signal } = options
  await releaseStream(deps, sync, signal)
  await deps.log.deleteTopics(Object.values(syncTopics(deps.prefix, sync)), { signal })
  // The deletion ends first: a command that sees the end of the reset may end this process.
  const isDeleted = (await readResources(deps, { signal })).has(deletionKey(sync))
  if (isDeleted) await endDeletion(deps, sync, { signal })
  // A sync may have no incarnation, for example after an earlier deletion. Its next run then makes one.
  else if ((await knownIncarnation(deps, sync, { signal })) !== null)
    await renewIncarnation(deps, { sync, old }, { signal })
  await endReset(deps, sync, { run, signal })
}

/** Ends a reset that an earlier detector began, if the new incarnation is written already. */
export async function endInterruptedReset(
  deps: RunnerDeps,
  runs: SyncRuns | undefined,
  { incarnation, signal }: { readonly incarnation: string; readonly signal: AbortSignal },
): Promise<void> {
  if (runs === undefined || runs.incarnation === incarnation) return
  for (const event of runs.events.values())
    if (event.cause === 'reset' && event.status === 'queued')
      await endReset(deps, runs.sync, { run: event, signal })
}

async function endReset(
  deps: RunnerDeps,
  sync: string,
  { run, signal }: { readonly run: RunState; readonly signal: AbortSignal },
): Promise<void> {
  const { now } = deps
  const incarnation = (await knownIncarnation(deps, sync, { signal })) ?? ''
  const event: RunEvent = {
    ...run,
    ...{ sync, incarnation, marker: -1 },
    ...{ status: 'success', startedAt: run.startedAt ?? now(), endedAt: now() },
  }
  await appendRunEvent(deps, event, { signal })
}
