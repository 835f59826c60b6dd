/**
 * The way to a destination for one partition. It waits for leases of the destination's limits, in turn with
 * the other partitions of this process.
 */
import { isSluiceError } from '@sluice/contracts/errors'
import type { WaitNow } from '@sluice/contracts/run-records'
import { sleep } from '@sluice/flow/sleep'
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

/** How soon to look again whether the group, or the keeper of the limits, answers. */
const PAUSE_MS = 500
/**
 * How long the keeper of the limits may be out of reach before another process is left to try. To replace a
 * dead connection takes less.
 */
const CUT_OFF_AFTER_MS = 15_000

const ONE_FINISHED: ReturnedParts = { unused: 0, finished: 1 }

/** People are not told of shorter waits. */
export const TOLD_FROM_MS = 1_000
/** Why the limits let nothing through, where people should know. */
const WAITS_TOLD: { readonly [reason in LimitWait['reason']]?: Pick<WaitNow, 'kind' | 'detail'> } = {
  rate: { kind: 'limit', detail: 'the rate limit is used up' },
  concurrency: { kind: 'limit', detail: 'other requests use all of the concurrency limit' },
  paused: { kind: 'throttled', detail: 'the API asked for a pause' },
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

/**
 * Leave for `permits` requests, to be handed to sockets until `useBeforeMs` (`elapsedMs`). Every permit
 * ends as finished or unused.
 */
export interface Permits {
  readonly permits: number
  readonly useBeforeMs: number
  /** One request ended. `health` is what it says of the destination. */
  finished(health: Health): void
  unused(permits: number): void
  /** One was not used in time. */
  late(): void
}

export class DestinationGate {
  readonly #queue: LeaseQueue
  readonly #target: Target
  readonly #owner: LeaseOwner
  readonly #shared: boolean
  readonly #onError: (error: unknown) => void
  readonly #mayAct: () => boolean
  readonly #onCutOff: (error: unknown) => void
  /** Since when the keeper of the limits has not answered; null while it does. */
  #cutOffSinceMs: number | null = null
  #cutOffWhy = ''
  #restUntilMs = -Infinity
  /** The last returns that the limits hear of together. */
  #returning: Promise<void> | null = null

  /**
   * `mayAct` is false while another process may be at work on the partition: nothing is sent then. `onError`
   * is told once when the keeper of the limits does not answer, and of each lease that could not be given
   * back. `onCutOff` is told when the outage has lasted for so long that another process should try. The gate
   * goes on waiting until its signal aborts.
   */
  constructor(
    queue: LeaseQueue,
    of: {
      readonly target: Target
      readonly owner: LeaseOwner
      /** True if other syncs send to the destination, too. */
      readonly shared?: boolean
      readonly onError: (error: unknown) => void
      readonly mayAct: () => boolean
      readonly onCutOff: (error: unknown) => void
    },
  ) {
    this.#queue = queue
    this.#target = of.target
    this.#owner = of.owner
    this.#shared = of.shared ?? false
    this.#onError = of.onError
    this.#mayAct = of.mayAct
    this.#onCutOff = of.onCutOff
  }

  /**
   * Waits for at least one permit and at most `want`, and for an answer of the keeper of the limits. Rejects
   * with the signal's reason, and with `fenced` if a newer owner has the partition. `onBroken` is told
   * whenever the breaker of the destination is found open.
   */
  async acquire(
    want: number,
    { signal, onBroken }: { readonly signal: AbortSignal; readonly onBroken?: (broken: Broken) => void },
  ): Promise<Permits> {
    for (;;) {
      const restMs = this.#restUntilMs - performance.now()
      if (restMs > 0) await sleep(restMs, { signal })
      while (!this.#mayAct()) await sleep(PAUSE_MS, { signal })
      const lease = await this.#lease({ want, onBroken }, signal)
      if (lease === null) await sleep(PAUSE_MS, { signal })
      // A process that was frozen while it waited may have a successor by now.
      else if (this.#mayAct()) return this.#permitsOf(lease)
      else this.#permitsOf(lease).unused(lease.permits)
    }
  }

  /** What is waited for; null while there is nothing to tell. `underWay`: how many requests are. */
  waitsFor(underWay: number): WaitNow | null {
    if (this.#cutOffSinceMs !== null) return { kind: 'limits-store', until: null, detail: this.#cutOffWhy }
    const { scopes, sync: line } = this.#target
    const wait = this.#queue.waitOf({ scopes, line })
    if (wait === null || wait.leftMs < TOLD_FROM_MS) return null
    const until = Date.now() + wait.leftMs
    if (wait.broken !== null) return { kind: 'breaker', until, detail: brokenText(wait.broken) }
    // Whoever uses up the limit of concurrency is sending.
    if (wait.reason === 'concurrency' && underWay > 0) return null
    const told = WAITS_TOLD[wait.reason]
    return told === undefined ? null : { ...told, until }
  }

  /** When the pause is over that this process has asked for, in ms since 1970; null where there is none. */
  get restsUntil(): number | null {
    const leftMs = this.#restUntilMs - performance.now()
    return leftMs > 0 ? Date.now() + leftMs : null
  }

  /** Null if the keeper of the limits does not answer. */
  async #lease(
    { want, onBroken }: { readonly want: number; readonly onBroken: ((broken: Broken) => void) | undefined },
    signal: AbortSignal,
  ): Promise<Lease | null> {
    const { scopes, slotLifeMs, breaker, sync: line } = this.#target
    try {
      const ofBreaker = breaker === null ? {} : { breaker, ...(onBroken === undefined ? {} : { onBroken }) }
      const wanted = {
        scopes,
        line,
        shared: this.#shared,
        owner: this.#owner,
        want,
        slotLifeMs,
        ...ofBreaker,
      }
      const lease = await this.#queue.acquire(wanted, { signal })
      this.#cutOffSinceMs = null
      return lease
    } catch (error) {
      if (signal.aborted || !isSluiceError(error) || !error.retryable) throw error
      if (this.#cutOffSinceMs === null) this.#onError(error)
      this.#cutOffSinceMs ??= performance.now()
      this.#cutOffWhy = error.message
      if (performance.now() - this.#cutOffSinceMs >= CUT_OFF_AFTER_MS) this.#onCutOff(error)
      return null
    }
  }

  #permitsOf(lease: Lease): Permits {
    const giveBackUnused = (unused: number, late: boolean): void => {
      if (lease.isProbe) this.#tell(lease, 'untold')
      this.#giveBack(lease, { unused, finished: 0, late })
    }
    return {
      permits: lease.permits,
      useBeforeMs: lease.useBeforeMs,
      // Evidence goes first: a slot that is free is taken at once.
      finished: health => {
        this.#tell(lease, health)
        this.#giveBack(lease, ONE_FINISHED)
      },
      unused: permits => giveBackUnused(permits, false),
      late: () => giveBackUnused(1, true),
    }
  }

  #giveBack(lease: Lease, parts: ReturnedParts): void {
    const returning = this.#queue.giveBack(lease, parts)
    if (returning !== this.#returning) returning.catch(this.#onError)
    this.#returning = returning
  }

  /**
   * Tells what a request says of the destination. Only a request that was served ends a row of failures. A
   * probe also shows by a refusal that the destination is back. If it was not sent, or was throttled, it
   * tells nothing.
   */
  #tell({ lease, isProbe }: Lease, health: Health): void {
    const { breaker: rule, scopes } = this.#target
    const [destination] = scopes
    if (rule === null || destination === undefined) return
    const failures = health === 'failed' ? 1 : 0
    const probe: Evidence['probe'] = isProbe ? { lease, ended: failures > 0 ? 'failed' : 'released' } : null
    const served = health === 'served' || (isProbe && health === 'refused')
    if (!served && failures === 0 && probe === null) return
    this.#queue.tell(destination.name, { rule, served, failures, probe }).catch(this.#onError)
  }

  /**
   * Pauses the whole destination for so long. Nothing is sent from here, even if the keeper of the limits
   * does not hear of the pause.
   */
  pause(forMs: number): void {
    this.#restUntilMs = Math.max(this.#restUntilMs, performance.now() + Math.min(forMs, MAX_PAUSE_MS))
    const [destination] = this.#target.scopes
    if (destination !== undefined) this.#queue.pause(destination.name, forMs).catch(this.#onError)
  }
}

/** After so many probes that failed, one after another, a run ends. */
const MAX_FAILED_PROBES = 3

/**
 * The destination is dead if three probes have failed. One of them is after the start of the run, so that a
 * run which finds the breaker open ends only by evidence of its own time. `ageMs` is how old the run is.
 */
export function isDead({ failedProbes, lastProbeMsAgo }: Broken, ageMs: number): boolean {
  return failedProbes >= MAX_FAILED_PROBES && lastProbeMsAgo !== null && lastProbeMsAgo < ageMs
}

/** Why nothing goes to a destination whose breaker is open. */
export function brokenText({ openedAt, failures, failedProbes }: Broken): string {
  const since = `${new Date(openedAt).toISOString().slice(0, 19)}Z`
  const probes =
    failedProbes === 0 ? '' : `, ${failedProbes === 1 ? 'a probe' : `${failedProbes} probes`} among them`
  return `the breaker is open since ${since}, after ${failures} failures of the destination in a row${probes}`
}

/**
 * Tells operators of breakers that open and close: in the log once, and as a figure.
 */
export function tellOfBreakers(of: {
  readonly logger: Logger
  readonly stageMetrics?: StageMetrics | undefined
}): OnBreaker {
  const { logger, stageMetrics } = of
  return (scope, broken) => {
    const destination = scope.replace(/^destination\//, '')
    stageMetrics?.breaker(destination, broken !== null)
    if (broken === null)
      logger.info({ destination }, 'the breaker is closed: requests go to the destination again')
    else logger.warn({ destination, ...broken }, `nothing is sent but probes: ${brokenText(broken)}`)
  }
}
