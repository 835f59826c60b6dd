/**
 * Works on the partitions that a group assigns to this process, with one worker for each. A worker lives on
 * across rebalances while its partition stays, and drains when the partition goes. It begins once it has the
 * lock of its partition (PROTOCOL.md §10).
 *
 * A worker that lost its writer or the log takes over from itself and goes on. A process that lost its place
 * in the group joins again. A process that gets no locks could not work on its partitions: it leaves the
 * group, and joins again once it gets locks. After a failure that concerns one sync alone, the work begins
 * again with growing pauses.
 */
import { randomUUID } from 'node:crypto'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import { endingOf, type Ends } from '@sluice/flow/ends'
import { sleep } from '@sluice/flow/sleep'
import type { Membership, MessageLog, TopicPartition } from '@sluice/message-log/port'
import type { Entry } from './deaths/entry.ts'
import { concernOf, WorkAttempts, type Suspender } from './failures.ts'
import type { Lock, Locks } from './port.ts'
import { nameOf } from '@sluice/topics/topics'

/** Pauses before a worker takes over again, while the log or a predecessor is in the way. */
const FIRST_PAUSE_MS = 100
const MAX_PAUSE_MS = 5_000
const PAUSE_BEFORE_REJOINING_MS = 1_000
/** A process keeps partitions whose lock it does not get for this time. A restart of Redis is shorter. */
const GIVE_UP_WITHOUT_LOCK_MS = 5_000
/** A coordinator that has not answered for this long may have given the partitions to others. */
const SESSION_TIMEOUT_MS = 6_000

/**
 * The worker of one partition. Its `drain` aborts when the partition goes: the worker takes nothing more,
 * finishes what is under way, releases and returns. On `abort` it returns at once.
 */
export interface Worker extends Ends {
  readonly target: TopicPartition
  /** The group that gave it the partition. */
  readonly membership: Membership
  /** Absent where deaths of owners are not counted. */
  readonly entry?: Entry | undefined
}

/** Learns when this process joins and leaves a group, for `/readyz`. */
export interface Readiness {
  joining(group: string): void
  joined(group: string): void
  left(group: string): void
}

/** On `drain` all workers drain, and then the process leaves the group. */
export interface OwnPartitionsOptions extends Ends {
  readonly log: MessageLog
  readonly group: string
  readonly topic: string
  readonly locks: Locks
  /** The lock of a partition has the same name in every process that may get the partition. */
  readonly lockName: (target: TopicPartition) => string
  readonly work: (worker: Worker) => Promise<void>
  /** Called with each failure that another attempt mends. The target is null for the membership. */
  readonly onTransientFailure: (target: TopicPartition | null, error: unknown) => void
  readonly readiness?: Readiness | undefined
  /** Absent if the partitions belong to many syncs. Then a failure that concerns one sync ends all work. */
  readonly suspender?: Suspender | undefined
}

/**
 * Resolves once drained. Rejects, after all workers have stopped, with the first failure that another attempt
 * does not mend.
 */
export async function ownPartitions(options: OwnPartitionsOptions): Promise<void> {
  const { log, group, topic, readiness } = options
  const ending = endingOf(options)
  const attempts = new WorkAttempts(options, null)
  try {
    while (!ending.aborted) {
      let pauseMs = PAUSE_BEFORE_REJOINING_MS
      try {
        readiness?.joining(group)
        await using membership = await log.join(group, [topic], { signal: ending })
        readiness?.joined(group)
        attempts.joined()
        await workAsMember(options, membership)
        return
      } catch (error) {
        if (ending.aborted) return
        pauseMs = Math.max(pauseMs, await attempts.failed(error))
      }
      // A process that waits for a sync that nobody can join is still ready for the other syncs.
      if (attempts.isSuspended) readiness?.left(group)
      await sleep(pauseMs, { signal: ending }).catch(() => undefined)
      await untilLocksAnswer(options, ending)
    }
  } finally {
    readiness?.left(group)
    attempts[Symbol.dispose]()
  }
}

/**
 * Waits until the process gets locks. A member without locks would take partitions from members that can work
 * on them.
 */
async function untilLocksAnswer(options: OwnPartitionsOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await using _free = await options.locks.acquire(`member/${randomUUID()}`, { signal })
      return
    } catch (error) {
      if (!signal.aborted && concernOf(error) !== 'transient') throw error
    }
    await sleep(PAUSE_BEFORE_REJOINING_MS, { signal }).catch(() => undefined)
  }
}

/**
 * True while the coordinator certainly counts this process as a member of the group. A process that is no
 * member writes and sends nothing: a successor may be at work already, and a log may have forgotten its
 * fence.
 */
export function isMember({ membership }: Pick<Worker, 'membership'>): boolean {
  return elapsedMs() - membership.lastHeartbeatMs < SESSION_TIMEOUT_MS
}

/**
 * Works until drained, or until the membership ends. Then the workers drain, and the process leaves the
 * group.
 */
async function workAsMember(options: OwnPartitionsOptions, membership: Membership): Promise<void> {
  const { drain, abort } = options
  const running = new Map<string, { stop: AbortController; done: Promise<void> }>()
  const failed = new AbortController()
  const ending = endingOf(options, failed.signal)
  const leave = (): void => void membership.leave()
  ending.addEventListener('abort', leave, { once: true })
  if (ending.aborted) leave()
  try {
    for await (const { partitions } of membership) {
      if (ending.aborted) break
      const assigned = new Map(partitions.map(target => [nameOf(target), target]))
      for (const [name, worker] of running) if (!assigned.has(name)) worker.stop.abort()
      for (const [name, target] of assigned) {
        if (running.get(name)?.stop.signal.aborted === false) continue
        const previous = running.get(name)?.done ?? Promise.resolve()
        const stop = new AbortController()
        const worker = { target, membership, drain: AbortSignal.any([ending, stop.signal]), abort }
        const done = previous
          .then(() => keepWorking(options, worker))
          .catch((error: unknown) => failed.abort(error))
        running.set(name, { stop, done })
      }
    }
  } finally {
    ending.removeEventListener('abort', leave)
    for (const { stop } of running.values()) stop.abort()
    await Promise.all([...running.values()].map(({ done }) => done))
    await membership.leave()
  }
  if (failed.signal.aborted && !drain.aborted && !abort.aborted) throw failed.signal.reason
}

async function keepWorking(options: OwnPartitionsOptions, worker: Worker): Promise<void> {
  const { target } = worker
  const ending = endingOf(worker)
  const attempts = new WorkAttempts(options, target)
  let lock: Lock | null = null
  let pauseMs = FIRST_PAUSE_MS
  try {
    while (!ending.aborted) {
      const startedAt = performance.now()
      let suspendedMs = 0
      try {
        if (lock?.held !== true) {
          await lock?.[Symbol.asyncDispose]()
          lock = await acquirePatiently(options, target, ending)
        }
        attempts.begins()
        await options.work(worker)
        return
      } catch (error) {
        if (ending.aborted) return
        if (error instanceof WithoutLock) throw error
        suspendedMs = await attempts.failed(error)
      }
      if (performance.now() - startedAt > MAX_PAUSE_MS) pauseMs = FIRST_PAUSE_MS
      await sleep(Math.max(pauseMs, suspendedMs), { signal: ending }).catch(() => undefined)
      pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)
    }
  } finally {
    attempts[Symbol.dispose]()
    await lock?.[Symbol.asyncDispose]()
  }
}

/** Ends the membership, since every partition that this process gets would meet the same failure. */
class WithoutLock extends SluiceError {}

/** Rejects with `WithoutLock` if the server of the locks has not answered for some seconds. */
async function acquirePatiently(
  { locks, lockName, onTransientFailure }: OwnPartitionsOptions,
  target: TopicPartition,
  signal: AbortSignal,
): Promise<Lock> {
  let sinceMs: number | null = null
  for (;;) {
    try {
      return await locks.acquire(lockName(target), { signal })
    } catch (error) {
      if (signal.aborted || !isSluiceError(error) || !error.retryable) throw error
      if (sinceMs === null) onTransientFailure(target, error)
      sinceMs ??= performance.now()
      if (performance.now() - sinceMs >= GIVE_UP_WITHOUT_LOCK_MS)
        throw new WithoutLock(error.code, error.message, { cause: error, retryable: true })
    }
    await sleep(FIRST_PAUSE_MS, { signal })
  }
}
