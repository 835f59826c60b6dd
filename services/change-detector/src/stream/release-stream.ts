/**
 * Gives up what a stream has made at its source: as its sync begins anew, is deleted, or is no such stream
 * any more.
 */
import type { Definition } from '@sluice/contracts/resources'
import { isStream } from '@sluice/domain/definition'
import { isOfStream } from '@sluice/domain/stream-minutes'
import type { RunState } from '@sluice/runs/machine/run-events'
import type { RunnerDeps } from '../sync/runner-deps.ts'

/** A source that does not answer within this time keeps what is there. */
const RELEASE_MS = 10_000

/**
 * Releases the source of the sync's last run over a stream: PostgreSQL, for example, would keep its log for
 * the slot for ever. A source that fails keeps it, and a warning says so, since a sync whose source is gone
 * must be deleted all the same. Resolves at once for a sync that never streamed.
 */
export async function releaseStream(deps: RunnerDeps, sync: string, signal: AbortSignal): Promise<void> {
  const last = runsOf(deps, sync).findLast(isOfStream)
  await release(deps, sync, { definition: last?.definition, isDue: () => true, signal })
}

/**
 * Releases the source of the run before this one if that was over a stream of another table, or if the sync
 * has another schedule by now.
 */
export async function releaseFormerStream(
  deps: RunnerDeps,
  sync: string,
  options: { readonly run: RunState; readonly definition: Definition; readonly signal: AbortSignal },
): Promise<void> {
  const { run, definition: now, signal } = options
  const isBefore = (each: RunState): boolean => each.definition !== null && (each.run ?? 0) < (run.run ?? 0)
  const last = runsOf(deps, sync).findLast(isBefore)
  if (last === undefined || last.definition === run.definition) return
  const isDue = (former: Definition): boolean =>
    isStream(former.sync) && !(isStream(now.sync) && readBy(former) === readBy(now))
  await release(deps, sync, { definition: last.definition, isDue, signal })
}

function runsOf(deps: RunnerDeps, sync: string): readonly RunState[] {
  const events = [...(deps.runs.of(sync)?.events.values() ?? [])]
  return events.toSorted((one, other) => (one.run ?? 0) - (other.run ?? 0))
}

/** A slot, or whatever else a stream has made at its source, is of use for this alone. */
function readBy({ source, model }: Definition): string {
  return JSON.stringify([source.name, 'follow' in source ? source.follow : null, model.table, model.topic])
}

interface Releasing {
  /** The hash of the definition of a stream; null or undefined if there is none. */
  readonly definition: string | null | undefined
  readonly isDue: (definition: Definition) => boolean
  readonly signal: AbortSignal
}

async function release(
  deps: RunnerDeps,
  sync: string,
  { definition: hash = null, isDue, signal }: Releasing,
): Promise<void> {
  if (deps.streams === undefined || hash === null) return
  const within = AbortSignal.any([signal, AbortSignal.timeout(RELEASE_MS)])
  try {
    const definition = await deps.definitions.get(hash, { signal: within })
    if (!isDue(definition)) return
    await using source = await deps.streams.openSource(definition)
    await source.release(definition.model, { signal: within })
  } catch (err) {
    signal.throwIfAborted()
    const message = 'what the stream has made at its source, such as a replication slot, stays there: drop it'
    deps.logger.warn({ sync, err }, message)
  }
}
