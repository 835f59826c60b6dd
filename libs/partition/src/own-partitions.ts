/**
 * Works on the partitions that a group assigns to this process, with one worker for each. A worker lives on
 * across rebalances while its partition stays, and drains when the partition goes. It begins once no
 * predecessor holds its partition any more (PROTOCOL.md §10).
 *
 * A worker that lost its writer or the log takes over from itself and goes on. A process that lost its place
 * in the group joins again. A process that cannot get its holds could not work on its partitions: it leaves
 * the group, and joins again once it gets holds. A failure that concerns one sync alone is tried again with
 * growing pauses.
 */
import { randomUUID } from 'node:crypto'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import { endingOf, type Ends } from '@sluice/flow/ends'
import { sleep } from '@sluice/flow/sleep'
import type { Hold, Holds } from '@sluice/holds/port'
import type { Membership, MessageLog, TopicPartition } from '@sluice/message-log/port'
import type { Entry } from './deaths/entry.ts'
import { concernOf, Tries, type SettingAside } from './failures.ts'

/** Pauses between attempts to take over again, while the log or a predecessor is in the way. */
const FIRST_PAUSE_MS = 100
const MAX_PAUSE_MS = 5_000
const PAUSE_BEFORE_REJOINING_MS = 1_000
/** How long a process keeps partitions that it gets no hold on. A restart of Redis is shorter. */
const GIVE_UP_WITHOUT_HOLD_MS = 5_000
/** A group's coordinator that has not answered for so long may have given the partitions to others. */
const SESSION_TIMEOUT_MS = 6_000

/**
 * The worker of one partition. Its `drain` aborts when the partition goes: the worker takes nothing more,
 * finishes what is under way, releases and returns. On `abort` it returns at once.
 */
export interface Worker extends Ends {
  readonly target: TopicPartition
  /** The group that gave it the partition. */
  readonly membership: Membership
  /** What the takeover counts, where deaths are counted. */
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
  readonly holds: Holds
  /**
   * The name of the hold that a worker has while it is at work. It is the same in every process that may get
   * the partition.
   */
  readonly holdOf: (target: TopicPartition) => string
  readonly work: (worker: Worker) => Promise<void>
  /**
   * Told of each failure after which the work is tried again. The target is null for a failure of the
   * membership.
   */
  readonly onSetback: (target: TopicPartition | null, error: unknown) => void
  readonly readiness?: Readiness | undefined
  /**
   * Absent where the partitions belong to many syncs. A failure that concerns one sync ends all work then.
   */
  readonly setAside?: SettingAside | undefined
}

/**
 * Resolves once drained. Rejects, after all workers have stopped, with the first failure that another try
 * does not mend.
 */
export async function ownPartitions(options: OwnPartitionsOptions): Promise<void> {
  const { log, group, topic, readiness } = options
  const ending = endingOf(options)
  const tries = new Tries(options, null)
  try {
    while (!ending.aborted) {
      let pauseMs = PAUSE_BEFORE_REJOINING_MS
      try {
        readiness?.joining(group)
        await using membership = await log.join(group, [topic], { signal: ending })
        readiness?.joined(group)
        tries.joined()
        await workAsMember(options, membership)
        return
      } catch (error) {
        if (ending.aborted) return
        pauseMs = Math.max(pauseMs, await tries.failed(error))
      }
      // A process that waits for a sync that nobody can join is still ready for the other syncs.
      if (tries.isAside) readiness?.left(group)
      await sleep(pauseMs, { signal: ending }).catch(() => undefined)
      await untilHoldsAnswer(options, ending)
    }
  } finally {
    readiness?.left(group)
    tries[Symbol.dispose]()
  }
}

/**
 * Waits until the process gets holds. A member without holds would take partitions from members who can work
 * on them.
 */
async function untilHoldsAnswer(options: OwnPartitionsOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await using _free = await options.holds.acquire(`member/${randomUUID()}`, { signal })
      return
    } catch (error) {
      if (!signal.aborted && concernOf(error) !== 'passing') throw error
    }
    await sleep(PAUSE_BEFORE_REJOINING_MS, { signal }).catch(() => undefined)
  }
}

/**
 * True while the group's coordinator is known to count this process as a member. A process that is not a
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
      const assigned = new Map(partitions.map(target => [`${target.topic}/${target.partition}`, target]))
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
  const tries = new Tries(options, target)
  let hold: Hold | null = null
  let pauseMs = FIRST_PAUSE_MS
  try {
    while (!ending.aborted) {
      const startedAt = performance.now()
      let asidePauseMs = 0
      try {
        if (hold?.held !== true) {
          await hold?.[Symbol.asyncDispose]()
          hold = await patientHold(options, target, ending)
        }
        tries.begins()
        await options.work(worker)
        return
      } catch (error) {
        if (ending.aborted) return
        if (error instanceof WithoutHold) throw error
        asidePauseMs = await tries.failed(error)
      }
      if (performance.now() - startedAt > MAX_PAUSE_MS) pauseMs = FIRST_PAUSE_MS
      await sleep(Math.max(pauseMs, asidePauseMs), { signal: ending }).catch(() => undefined)
      pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)
    }
  } finally {
    tries[Symbol.dispose]()
    await hold?.[Symbol.asyncDispose]()
  }
}

/** Ends the membership, since every partition that this process gets would meet the same failure. */
class WithoutHold extends SluiceError {}

/** Rejects with `WithoutHold` if the keeper of the holds has not answered for some seconds. */
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
