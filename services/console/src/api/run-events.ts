/**
 * The states of a run as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).
 * Each event is called `run` and carries the whole state. So a client that comes back misses nothing: its
 * first event is the state at that time.
 */
import type { RunView } from '@sluice/contracts/api'
import { sleep } from '@sluice/flow/sleep'

/** Proxies close connections that are silent for longer, often for a minute. */
const HEARTBEAT_MS = 15_000
/** A client that lost its connection comes back after this time. */
const RETRY_MS = 1_000

export interface RunEventsOptions {
  /** The last id that a returning client has seen. Ids go on from there. */
  readonly lastEventId: string | undefined
  readonly signal: AbortSignal
  readonly heartbeatMs?: number
}

/**
 * Resolves once the first state is known, and rejects if there is none, for example with `not-found`. The
 * stream ends after the state in which the run has ended, and when the signal aborts.
 */
export async function runEvents(
  views: AsyncIterable<RunView>,
  options: RunEventsOptions,
): Promise<AsyncIterable<string>> {
  const states = views[Symbol.asyncIterator]()
  const first = await states.next()
  return streamed(first, states, options)
}

async function* streamed(
  first: IteratorResult<RunView, unknown>,
  states: AsyncIterator<RunView, unknown>,
  { lastEventId, signal, heartbeatMs = HEARTBEAT_MS }: RunEventsOptions,
): AsyncGenerator<string> {
  let id = numberOf(lastEventId)
  try {
    yield `retry: ${RETRY_MS}\n\n`
    for (let state = first; state.done !== true;) {
      id += 1
      yield `id: ${id}\nevent: run\ndata: ${JSON.stringify(state.value)}\n\n`
      const next = states.next()
      while ((await firstOf(next, heartbeatMs, signal)) === 'silence') yield ': the run goes on\n\n'
      state = await next
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    // There is nothing to wait for: the signal has ended the iterator, or it is done.
    void states.return?.().catch(() => undefined)
  }
}

/** Says which comes first: the next state, or the end of the time. */
async function firstOf(
  next: Promise<unknown>,
  ms: number,
  signal: AbortSignal,
): Promise<'state' | 'silence'> {
  const over = new AbortController()
  const either = AbortSignal.any([signal, over.signal])
  const silence = sleep(ms, { signal: either }).then(() => 'silence' as const)
  silence.catch(() => undefined)
  try {
    return await Promise.race([next.then(() => 'state' as const), silence])
  } finally {
    over.abort()
  }
}

function numberOf(lastEventId: string | undefined): number {
  return lastEventId !== undefined && /^\d{1,15}$/.test(lastEventId) ? Number(lastEventId) : 0
}
