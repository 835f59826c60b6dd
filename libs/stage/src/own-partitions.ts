/**
 * Works on the partitions that a group assigns to this process: one worker each, kept across rebalances while
 * its partition stays, drained when it goes. A worker begins once no predecessor holds its partition any more
 * (PROTOCOL.md §10). One that lost its writer or the log takes over from itself and goes on; a process that
 * lost its place in the group joins again. One that cannot get its holds could not work on what it is given:
 * it leaves the group to those who can, and joins again once it gets holds.
 */
import { randomUUID } from 'node:crypto'
import { isSluiceError, SluiceError, type ErrorCode } from '@sluice/contracts/errors'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import { sleep } from '@sluice/flow/sleep'
import type { Hold, Holds } from '@sluice/holds/port'
import type { Membership, MessageLog, TopicPartition } from '@sluice/message-log/port'

/** Pauses between attempts to take over again, while the log or a predecessor is in the way. */
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000
const PAUSE_BEFORE_REJOINING_MS = 1_000
/** How long a process keeps partitions that it gets no hold on: longer than a restart of what keeps them. */
const GIVE_UP_WITHOUT_HOLD_MS = 5_000
/** A coordinator that has not answered for so long may have given the partitions to others. */
const SESSION_TIMEOUT_MS = 6_000

export interface Worker {
  readonly target: TopicPartition
  /** The group that gave it the partition. */
  readonly membership: Membership
  /** Aborts when the partition goes: stop taking, finish what is under way, release, return. */
  readonly drain: AbortSignal
  /** Aborts when time is up: return at once. */
  readonly signal: AbortSignal
}

/** What a group's coming and going is told to, for `/readyz`. */
export interface Readiness {
  joining(group: string): void
  joined(group: string): void
  left(group: string): void
}

export interface OwnPartitionsOptions {
  readonly log: MessageLog
  readonly group: string
  readonly topic: string
  readonly holds: Holds
  /** What a worker holds while it is at work: the same for all that may be given the partition. */
  readonly holdOf: (target: TopicPartition) => string
  readonly work: (worker: Worker) => Promise<void>
  /** Told of failures that are tried to be mended: of a worker, or, with null, of the membership. */
  readonly onSetback: (target: TopicPartition | null, error: unknown) => void
  readonly readiness?: Readiness | undefined
  /**
   * True where other syncs are worked on by the same process: a topic or document of this one that is missing
   * is then a setback, looked for again until somebody has put it back, and so is a topic that lacks what was
   * in it. Neither ends anything else (R12).
   */
  readonly outlasts?: boolean | undefined
  /** Graceful end: all workers drain, then the group is left. */
  readonly drain: AbortSignal
  readonly signal: AbortSignal
}

/**
 * Resolves once drained; rejects, after all workers have stopped, with the first failure that is no setback.
 */
export async function ownPartitions(options: OwnPartitionsOptions): Promise<void> {
  const { log, group, topic, readiness, onSetback, drain, signal } = options
  const ending = AbortSignal.any([drain, signal])
  try {
    while (!ending.aborted) {
      try {
        readiness?.joining(group)
        await using membership = await log.join(group, [topic], { signal: ending })
        readiness?.joined(group)
        await workAsMember(options, membership)
        return
      } catch (error) {
        if (ending.aborted) return
        if (!mayPass(options, error)) throw error
        onSetback(null, error)
      }
      await sleep(PAUSE_BEFORE_REJOINING_MS, { signal: ending }).catch(() => undefined)
      await untilHoldsAnswer(options, ending)
    }
  } finally {
    readiness?.left(group)
  }
}

/** Whoever joined without would take partitions from those who can work on them. */
async function untilHoldsAnswer(options: OwnPartitionsOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await using _free = await options.holds.acquire(`member/${randomUUID()}`, { signal })
      return
    } catch (error) {
      if (!signal.aborted && !isSetback(error)) throw error
    }
    await sleep(PAUSE_BEFORE_REJOINING_MS, { signal }).catch(() => undefined)
  }
}

/**
 * True while the group's coordinator is known to count this process as a member. Whoever is not writes and
 * sends nothing: a successor may be at work already, and a log may have forgotten its fence.
 */
export function isMember({ membership }: Pick<Worker, 'membership'>): boolean {
  return elapsedMs() - membership.lastHeartbeatMs < SESSION_TIMEOUT_MS
}

/** Until drained, or the membership ends; then the workers are drained and the group is left. */
async function workAsMember(options: OwnPartitionsOptions, membership: Membership): Promise<void> {
  const { drain, signal } = options
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
        const worker = { target, membership, drain: AbortSignal.any([leaving, stop.signal]), signal }
        const done = previous
          .then(() => keepWorking(options, worker))
          .catch((error: unknown) => failed.abort(error))
        running.set(name, { stop, done })
      }
    }
  } finally {
    leaving.removeEventListener('abort', leave)
    for (const { stop } of running.values()) stop.abort()
    await Promise.all([...running.values()].map(({ done }) => done))
    await membership.leave()
  }
  if (failed.signal.aborted && !drain.aborted && !signal.aborted) throw failed.signal.reason
}

async function keepWorking(options: OwnPartitionsOptions, worker: Worker): Promise<void> {
  const { target } = worker
  const stopping = AbortSignal.any([worker.drain, worker.signal])
  let hold: Hold | null = null
  let pauseMs = FIRST_PAUSE_MS
  try {
    while (!stopping.aborted) {
      const startedAt = performance.now()
      try {
        if (hold?.held !== true) {
          await hold?.[Symbol.asyncDispose]()
          hold = await patientHold(options, target, stopping)
        }
        await options.work(worker)
        return
      } catch (error) {
        if (stopping.aborted) return
        if (error instanceof WithoutHold || !mayPass(options, error)) throw error
        options.onSetback(target, error)
      }
      if (performance.now() - startedAt > LONGEST_PAUSE_MS) pauseMs = FIRST_PAUSE_MS
      await sleep(pauseMs, { signal: stopping }).catch(() => undefined)
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
    }
  } finally {
    await hold?.[Symbol.asyncDispose]()
  }
}

/** Ends the membership, since the same would become of every partition that this process is given. */
class WithoutHold extends SluiceError {}

/** Rejects with `WithoutHold` if who keeps the holds has not answered for some seconds. */
async function patientHold(
  { holds, holdOf, onSetback }: OwnPartitionsOptions,
  target: TopicPartition,
  signal: AbortSignal,
): Promise<Hold> {
  let sinceMs: number | null = null
  for (;;) {
    try {
      return await holds.acquire(holdOf(target), { signal })
    } catch (error) {
      if (signal.aborted || !isSluiceError(error) || !error.retryable) throw error
      if (sinceMs === null) onSetback(target, error)
      sinceMs ??= performance.now()
      if (performance.now() - sinceMs >= GIVE_UP_WITHOUT_HOLD_MS)
        throw new WithoutHold(error.code, error.message, { cause: error, retryable: true })
    }
    await sleep(FIRST_PAUSE_MS, { signal })
  }
}

/** Failures that say something of one sync, and nothing of the process. */
const OF_ONE_SYNC: ReadonlySet<ErrorCode> = new Set(['not-found', 'offset-out-of-range', 'lost-topic'])

function mayPass({ outlasts }: OwnPartitionsOptions, error: unknown): boolean {
  if (isSetback(error)) return true
  return outlasts === true && isSluiceError(error) && OF_ONE_SYNC.has(error.code)
}

/**
 * Failures after which the same worker may go on by taking over again: the log was away, or its writer died
 * or was fenced.
 */
export function isSetback(error: unknown): boolean {
  return isSluiceError(error) && (error.retryable || error.code === 'fenced' || error.code === 'writer-dead')
}
