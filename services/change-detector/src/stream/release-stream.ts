/** Gives up what a stream has made at its source, as its sync begins anew or is deleted. */
import { isOfStream } from '@sluice/domain/stream-minutes'
import type { RunnerDeps } from '../sync/runner-deps.ts'

/** A source that does not answer within this time keeps what is there. */
const RELEASE_MS = 10_000

/**
 * Releases the source of the sync's last run over a stream: PostgreSQL, for example, would keep its log for
 * the slot for ever. A source that fails keeps it, and a warning says so, since a sync whose source is gone
 * must be deleted all the same. Resolves at once for a sync that never streamed.
 */
export async function releaseStream(deps: RunnerDeps, sync: string, signal: AbortSignal): Promise<void> {
  const events = [...(deps.runs.of(sync)?.events.values() ?? [])].filter(isOfStream)
  const last = events.toSorted((one, other) => (one.run ?? 0) - (other.run ?? 0)).at(-1)
  const hash = last?.definition ?? null
  if (deps.streams === undefined || hash === null) return
  const within = AbortSignal.any([signal, AbortSignal.timeout(RELEASE_MS)])
  try {
    const definition = await deps.definitions.get(hash, { signal: within })
    await using source = await deps.streams.openSource(definition)
    await source.release(definition.model, { signal: within })
  } catch (err) {
    signal.throwIfAborted()
    const message = 'what the stream has made at its source, such as a replication slot, stays there: drop it'
    deps.logger.warn({ sync, err }, message)
  }
}
