/**
 * The gate to a destination for one partition. It waits for leases of the destination's limits, in turn with
 * the other partitions of this process, and returns them with the health that the answers show. It decides
 * how many requests go out within one lease.
 */
import { isSluiceError } from '@sluice/contracts/errors'
import type { WaitNow } from '@sluice/contracts/records'
import { nextTurn, sleep } from '@sluice/flow/sleep'
import type { Health } from '@sluice/domain/answers/health'
import {
  MAX_PAUSE_MS,
  type Broken,
  type Evidence,
  type LeaseOwner,
  type ReturnedParts,
} from '@sluice/rate-limit/port'
import type { Lease, LeaseQueue, LimitWait, OnBreaker } from '@sluice/rate-limit/lease-queue'
import type { StageMetrics } from '@sluice/partition/stage-metrics'
import type { Logger } from '@sluice/runtime/logger'
import type { Target } from '../destination/target.ts'
import { LastAnswers } from './last-answers.ts'
import { Burst, Permit, type PermitEnd } from './permit.ts'

/** The pause before the gate asks the group, or the limits store, again. */
const PAUSE_MS = 500
/**
 * If the limits store is out of reach for longer, another process should take over. A dead connection is
 * replaced in less time.
 */
const UNREACHABLE_AFTER_MS = 15_000

const ONE_FINISHED: ReturnedParts = { unused: 0, finished: 1 }

/** People do not see shorter waits. */
export const MIN_SHOWN_WAIT_MS = 1_000
/** The reasons for waits that people see. */
const SHOWN_WAITS: { readonly [reason in LimitWait['reason']]?: Pick<WaitNow, 'kind' | 'detail'> } = {
  rate: { kind: 'limit', detail: 'the rate limit is used up' },
  concurrency: { kind: 'limit', detail: 'other requests use all of the concurrency limit' },
  newcomer: {
    kind: 'limits-store',
    detail:
      'a process that has just begun is granted nothing for its first seconds, while limits of more than a minute hold',
  },
  forgotten: {
    kind: 'limits-store',
    detail:
      'Redis was restarted, emptied or replaced, and what it may have forgotten of the limits has to run out',
  },
}

export class DestinationGate {
  readonly #queue: LeaseQueue
  readonly #target: Target
  readonly #owner: LeaseOwner
  readonly #shared: boolean
  readonly #answers: LastAnswers
  readonly #onError: (error: unknown) => void
  readonly #mayAct: () => boolean
  readonly #onUnreachable: (error: unknown) => void
  /** The time since which the limits store has not answered; null while it does. */
  #unreachableSinceMs: number | null = null
  #unreachableError = ''
  #restUntilMs = -Infinity
  /** The last batch of returned permits. The queue returns permits of a short time together. */
  #returning: Promise<void> | null = null
  readonly #burst = new Burst()
  /**
   * Resolves once the requests of the last lease had time to reach their connections. The next lease begins
   * only then.
   */
  #lastBurst = Promise.resolve()

  /**
   * `mayAct` returns false while another process may be at work on the partition: nothing is sent then.
   * `onError` is called once when the limits store does not answer, and for each lease that could not be
   * given back. `onUnreachable` is called when the outage has lasted so long that another process should take
   * over. The gate goes on waiting until its signal aborts.
   */
  constructor(
    queue: LeaseQueue,
    options: {
      readonly target: Target
      readonly owner: LeaseOwner
      /** True if other syncs send to the destination, too. */
      readonly shared?: boolean
      /** The last answers of destinations to this process. */
      readonly answers?: LastAnswers
      readonly onError: (error: unknown) => void
      readonly mayAct: () => boolean
      readonly onUnreachable: (error: unknown) => void
    },
  ) {
    this.#queue = queue
    this.#target = options.target
    this.#owner = options.owner
    this.#shared = options.shared ?? false
    this.#answers = options.answers ?? new LastAnswers()
    this.#onError = options.onError
    this.#mayAct = options.mayAct
    this.#onUnreachable = options.onUnreachable
  }

  /**
   * Waits for at least one permit and at most `want`. Waits out an outage of the limits store. Rejects with
   * the signal's reason, and with `fenced` if a newer owner has the partition. `onBroken` is called whenever
   * the breaker of the destination is open. The caller ends every permit.
   */
  async acquire(
    want: number,
    { signal, onBroken }: { readonly signal: AbortSignal; readonly onBroken?: (broken: Broken) => void },
  ): Promise<readonly [Permit, ...Permit[]]> {
    await this.#lastBurst
    for (;;) {
      const restMs = this.#restUntilMs - performance.now()
      if (restMs > 0) await sleep(restMs, { signal })
      while (!this.#mayAct()) await sleep(PAUSE_MS, { signal })
      const lease = await this.#lease({ want: Math.min(want, this.#burst.size), onBroken }, signal)
      if (lease === null) await sleep(PAUSE_MS, { signal })
      // A process that was frozen while it waited may have a successor by now.
      else if (this.#mayAct()) return this.#permitsOf(lease)
      else for (const permit of this.#permitsOf(lease)) permit.end('unused')
    }
  }

  /** Returns the wait that people should see; null if there is none. `underWay` is the number of requests. */
  waitsFor(underWay: number): WaitNow | null {
    if (this.#unreachableSinceMs !== null)
      return { kind: 'limits-store', until: null, detail: this.#unreachableError }
    const { scopes, sync: line } = this.#target
    const wait = this.#queue.waitOf({ scopes, line })
    if (wait === null || wait.leftMs < MIN_SHOWN_WAIT_MS) return null
    const until = Date.now() + wait.leftMs
    if (wait.broken !== null) return { kind: 'breaker', until, detail: this.brokenText(wait.broken) }
    if (wait.reason === 'paused') return { kind: 'throttled', until, detail: this.pauseText }
    // A run that uses up the concurrency limit itself is sending.
    if (wait.reason === 'concurrency' && underWay > 0) return null
    const shown = SHOWN_WAITS[wait.reason]
    return shown === undefined ? null : { ...shown, until }
  }

  /** The reason for a pause, for people. */
  get pauseText(): string {
    return this.#answers.pauseText(this.#target.destination)
  }

  /** Returns the reason for an open breaker, for people. */
  brokenText(broken: Broken): string {
    return this.#answers.brokenText(this.#target.destination, broken)
  }

  /** The end of the pause that this process has asked for, in ms since 1970; null if there is none. */
  get restsUntil(): number | null {
    const leftMs = this.#restUntilMs - performance.now()
    return leftMs > 0 ? Date.now() + leftMs : null
  }

  /** Acquires a lease. Returns null if the limits store does not answer. */
  async #lease(
    { want, onBroken }: { readonly want: number; readonly onBroken: ((broken: Broken) => void) | undefined },
    signal: AbortSignal,
  ): Promise<Lease | null> {
    const { scopes, slotLifeMs, breaker, sync: line } = this.#target
    try {
      const watched = breaker === null ? {} : { breaker, ...(onBroken === undefined ? {} : { onBroken }) }
      const wanted = {
        scopes,
        line,
        shared: this.#shared,
        owner: this.#owner,
        want,
        slotLifeMs,
        ...watched,
      }
      const lease = await this.#queue.acquire(wanted, { signal })
      this.#unreachableSinceMs = null
      return lease
    } catch (error) {
      if (signal.aborted || !isSluiceError(error) || !error.retryable) throw error
      if (this.#unreachableSinceMs === null) this.#onError(error)
      this.#unreachableSinceMs ??= performance.now()
      this.#unreachableError = error.message
      if (performance.now() - this.#unreachableSinceMs >= UNREACHABLE_AFTER_MS) this.#onUnreachable(error)
      return null
    }
  }

  #permitsOf(lease: Lease): readonly [Permit, ...Permit[]] {
    // The bound may have become smaller during the wait for the lease.
    const count = Math.min(lease.permits, this.#burst.size)
    const burstEnds = this.#burst.begin(count)
    const onEnd = (end: PermitEnd): void => {
      burstEnds(end)
      const isUsed = end !== 'unused' && end !== 'late'
      // The health is reported before the slot is freed, since a free slot is taken at once.
      if (isUsed || lease.isProbe) this.#report(lease, isUsed ? end : 'unclear')
      this.#giveBack(lease, isUsed ? ONE_FINISHED : { unused: 1, finished: 0, late: end === 'late' })
    }
    if (count < lease.permits) this.#giveBack(lease, { unused: lease.permits - count, finished: 0 })
    if (this.#burst.isBounded) this.#lastBurst = nextTurn()
    const permit = (): Permit => new Permit(lease.useBeforeMs, onEnd)
    return [permit(), ...Array.from({ length: count - 1 }, permit)]
  }

  #giveBack(lease: Lease, parts: ReturnedParts): void {
    const returning = this.#queue.giveBack(lease, parts)
    if (returning !== this.#returning) returning.catch(this.#onError)
    this.#returning = returning
  }

  /**
   * Reports the health of the destination to the breaker. Only a request that was served ends a series of
   * failures. A probe that is refused also shows that the destination is back. A probe that was not sent, or
   * was throttled, shows nothing.
   */
  #report({ lease, isProbe }: Lease, health: Health): void {
    const { breaker: rule, scopes } = this.#target
    const [destination] = scopes
    if (rule === null || destination === undefined) return
    const failures = health === 'failed' ? 1 : 0
    const probe: Evidence['probe'] = isProbe ? { lease, ended: failures > 0 ? 'failed' : 'released' } : null
    const served = health === 'served' || (isProbe && health === 'refused')
    if (!served && failures === 0 && probe === null) return
    this.#queue.report(destination.name, { rule, served, failures, probe }).catch(this.#onError)
  }

  /**
   * Pauses the whole destination for `forMs`. This gate keeps the pause even if the limits store does not
   * hear of it.
   */
  pause(forMs: number): void {
    this.#restUntilMs = Math.max(this.#restUntilMs, performance.now() + Math.min(forMs, MAX_PAUSE_MS))
    const [destination] = this.#target.scopes
    if (destination !== undefined) this.#queue.pause(destination.name, forMs).catch(this.#onError)
  }
}

/** A run ends after this many failed probes in a row. */
const MAX_FAILED_PROBES = 3

/**
 * Returns true if the destination is dead: three probes have failed, at least one of them since the start of
 * the run. So old probes do not end a run that finds the breaker open. `ageMs` is the age of the run.
 */
export function isDead({ failedProbes, lastProbeMsAgo }: Broken, ageMs: number): boolean {
  return failedProbes >= MAX_FAILED_PROBES && lastProbeMsAgo !== null && lastProbeMsAgo < ageMs
}

/** Reports breakers that open and close to operators, in the log and as a metric. */
export function reportBreakers({
  logger,
  stageMetrics,
}: {
  readonly logger: Logger
  readonly stageMetrics?: StageMetrics | undefined
}): OnBreaker {
  return (scope, broken) => {
    const destination = scope.replace(/^destination\//, '')
    stageMetrics?.breaker(destination, broken !== null)
    if (broken === null)
      logger.info({ destination }, 'the breaker is closed: requests go to the destination again')
    else
      logger.warn(
        { destination, ...broken },
        `nothing is sent to it but single requests after pauses: ${broken.failures} requests in a row failed`,
      )
  }
}
