/**
 * The breaker of one destination for a process that shares its limits with no other process.
 * breaker-scripts.ts does the same in Redis, and `test/breaker-promises.ts` tests both.
 *
 * States: closed → open (`failures` in a row) → half open (the pause is over, and one probe has a lease) →
 * open again (the probe failed) or closed (a request was served). A process that takes the state over from an
 * earlier one, and has seen no failure itself, may send one request at once.
 */
import type { Broken, BreakerRule, Evidence } from '../port.ts'

/** Evidence is forgotten this long after the last of it. */
export const EVIDENCE_LIFE_MS = 3_600_000
/**
 * After this time a process asks again while the breaker is open. It learns about evidence of others only
 * when it asks.
 */
export const BROKEN_POLL_MS = 1_000

/** A breaker as the file has it. Times are in ms since 1970. */
export interface StoredBreaker {
  readonly failures: number
  readonly openedAt: number
  readonly pausedUntil: number
  readonly failedProbes: number
  readonly lastProbeAt: number | null
}

interface Opening {
  readonly openedAt: number
  pausedUntil: number
  failedProbes: number
  lastProbeAt: number | null
  holder: string | null
}

type BreakerState =
  | { readonly kind: 'closed' }
  | { readonly kind: 'probe' }
  | { readonly kind: 'open'; readonly leftMs: number; readonly broken: Broken }

export class Breaker {
  #failures = 0
  /** The failures that this process has seen since a request of its own was served. */
  #own = 0
  #reportedAt = -Infinity
  #opening: Opening | null = null
  /** The one request of a process without a failure of its own, and the end of its lease. */
  #trial: { readonly lease: string; readonly untilMs: number } | null = null

  static of(stored: StoredBreaker, nowMs: number): Breaker {
    const breaker = new Breaker()
    const { failures, openedAt, pausedUntil, failedProbes, lastProbeAt } = stored
    breaker.#failures = failures
    breaker.#reportedAt = nowMs
    breaker.#opening = { openedAt, pausedUntil, failedProbes, lastProbeAt, holder: null }
    return breaker
  }

  /** The breaker as the file has it; null while it is closed. */
  get stored(): StoredBreaker | null {
    if (this.#opening === null) return null
    const { openedAt, pausedUntil, failedProbes, lastProbeAt } = this.#opening
    return { failures: this.#failures, openedAt, pausedUntil, failedProbes, lastProbeAt }
  }

  ask(rule: BreakerRule, nowMs: number): BreakerState {
    this.#forget(rule, nowMs)
    const opening = this.#opening
    if (opening === null) return { kind: 'closed' }
    // A clock that was set back makes no pause longer.
    if (opening.holder === null) opening.pausedUntil = Math.min(opening.pausedUntil, nowMs + rule.pauseMs)
    if (opening.pausedUntil <= nowMs) return { kind: 'probe' }
    if (this.#own === 0 && (this.#trial === null || this.#trial.untilMs <= nowMs)) return { kind: 'probe' }
    const { openedAt, pausedUntil, failedProbes, lastProbeAt } = opening
    const lastProbeMsAgo = lastProbeAt === null ? null : Math.max(0, nowMs - lastProbeAt)
    const broken = { openedAt, failures: this.#failures, failedProbes, lastProbeMsAgo }
    return { kind: 'open', leftMs: pausedUntil - nowMs, broken }
  }

  /** Notes the lease of the probe that `ask` allowed. The slot of the lease lasts until `untilMs`. */
  probes(lease: string, { nowMs, untilMs }: { readonly nowMs: number; readonly untilMs: number }): void {
    const opening = this.#opening
    if (opening === null) return
    if (opening.pausedUntil > nowMs) {
      this.#trial = { lease, untilMs }
      return
    }
    opening.holder = lease
    opening.pausedUntil = untilMs
  }

  /** Takes evidence. Returns true if the stored breaker changes. */
  report({ rule, served, failures, probe }: Evidence, nowMs: number): boolean {
    this.#forget(rule, nowMs)
    const before = this.#opening
    this.#reportedAt = nowMs
    if (served) {
      this.#failures = 0
      this.#own = 0
      this.#opening = null
      this.#trial = null
    }
    this.#failures += failures
    this.#own += failures
    const opened = this.#opening === null && this.#failures >= rule.failures
    if (probe !== null) this.#probed(probe, rule, nowMs)
    if (opened) {
      const pausedUntil = nowMs + rule.pauseMs
      this.#opening = { openedAt: nowMs, pausedUntil, failedProbes: 0, lastProbeAt: null, holder: null }
    }
    return this.#opening !== before || (probe !== null && this.#opening !== null)
  }

  #probed({ lease, ended }: NonNullable<Evidence['probe']>, rule: BreakerRule, nowMs: number): void {
    if (this.#trial?.lease === lease) this.#trial = null
    const opening = this.#opening
    if (opening?.holder !== lease) return
    opening.holder = null
    opening.pausedUntil = nowMs
    if (ended === 'released') return
    opening.pausedUntil = nowMs + rule.pauseMs
    opening.failedProbes += 1
    opening.lastProbeAt = nowMs
  }

  #forget({ pauseMs }: BreakerRule, nowMs: number): void {
    if (nowMs < this.#reportedAt + Math.max(EVIDENCE_LIFE_MS, 2 * pauseMs)) return
    this.#failures = 0
    this.#opening = null
    this.#trial = null
  }
}
