/**
 * Works on the partitions that a group assigns to this process: one worker each, kept across rebalances while
 * its partition stays, drained when it goes. A worker that lost its writer or the log takes over from itself
 * and goes on; one that is fenced leaves.
 */
import { isSluiceError } from '@sluice/contracts/errors'
import { sleep } from '@sluice/flow/sleep'
import type { Membership, TopicPartition } from '@sluice/message-log/port'

/** Pauses between attempts to take over again, while the log or a predecessor is in the way. */
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000

export interface Worker {
  readonly target: TopicPartition
  /** Aborts when the partition goes: stop taking, finish what is under way, release, return. */
  readonly drain: AbortSignal
  /** Aborts when time is up: return at once. */
  readonly signal: AbortSignal
}

export interface OwnPartitionsOptions {
  readonly membership: Membership
  readonly work: (worker: Worker) => Promise<void>
  /** Told of failures that the worker will try to recover from, and of partitions left to a successor. */
  readonly onSetback: (target: TopicPartition, error: unknown) => void
  /** Graceful end: all workers drain, then the group is left. */
  readonly drain: AbortSignal
  readonly signal: AbortSignal
}

/**
 * Resolves once drained; rejects, after all workers have stopped, with the first failure that is no setback.
 */
export async function ownPartitions(options: OwnPartitionsOptions): Promise<void> {
  const { membership, drain, signal } = options
  const running = new Map<string, { stop: AbortController; done: Promise<void> }>()
  const failed = new AbortController()
  const leaving = AbortSignal.any([drain, failed.signal, signal])
  const leave = (): void => void membership.leave()
  leaving.addEventListener('abort', leave, { once: true })
  if (leaving.aborted) leave()
  try {
    for await (const { partitions } of membership) {
      if (leaving.aborted) break
      const assigned = new Map(partitions.map(target => [`${target.topic}/${target.partition}`, target]))
      for (const [name, worker] of running) if (!assigned.has(name)) worker.stop.abort()
      for (const [name, target] of assigned) {
        if (running.get(name)?.stop.signal.aborted === false) continue
        const previous = running.get(name)?.done ?? Promise.resolve()
        const stop = new AbortController()
        const done = previous
          .then(() => keepWorking(options, target, AbortSignal.any([drain, stop.signal, failed.signal])))
          .catch((error: unknown) => failed.abort(error))
        running.set(name, { stop, done })
      }
    }
  } finally {
    leaving.removeEventListener('abort', leave)
    if (!leaving.aborted) failed.abort(new Error('the group is left'))
    for (const { stop } of running.values()) stop.abort()
    await Promise.all([...running.values()].map(({ done }) => done))
    await membership.leave()
  }
  if (failed.signal.aborted && !drain.aborted && !signal.aborted) throw failed.signal.reason
}

async function keepWorking(
  options: OwnPartitionsOptions,
  target: TopicPartition,
  drain: AbortSignal,
): Promise<void> {
  let pauseMs = FIRST_PAUSE_MS
  while (!drain.aborted && !options.signal.aborted) {
    const startedAt = performance.now()
    try {
      await options.work({ target, drain, signal: options.signal })
      return
    } catch (error) {
      if (drain.aborted || options.signal.aborted) return
      if (!isSetback(error)) throw error
      options.onSetback(target, error)
    }
    if (performance.now() - startedAt > LONGEST_PAUSE_MS) pauseMs = FIRST_PAUSE_MS
    await sleep(pauseMs, { signal: AbortSignal.any([drain, options.signal]) }).catch(() => undefined)
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
  }
}

/**
 * Failures after which the same worker may go on by taking over again: the log was away, or its writer died
 * or was fenced.
 */
export function isSetback(error: unknown): boolean {
  return isSluiceError(error) && (error.retryable || error.code === 'fenced' || error.code === 'writer-dead')
}
