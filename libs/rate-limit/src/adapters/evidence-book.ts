/**
 * The evidence of one process on a destination, as totals for the server of the limits. So evidence that
 * arrives twice, late or with a later statement counts once. A process whose requests are served reports
 * nothing, unless some process has seen failures.
 */
import type { BreakerRule, Evidence } from '../port.ts'

/** A statement for the server, see breaker-scripts.ts. */
interface Statement {
  /** Counts the requests that were served after some process had seen failures. */
  readonly streak: number
  /** The failures since then. */
  readonly failures: number
  readonly rule: BreakerRule
  readonly probe?: Evidence['probe']
}

export class EvidenceBook {
  #streak = 0
  #failures = 0
  /** True while some process may have seen failures. */
  #hasFailures = false
  #rule: BreakerRule | null = null
  #probes: NonNullable<Evidence['probe']>[] = []

  /** Some process may have seen failures, so the next request that is served will be reported. */
  failuresSeen(): void {
    this.#hasFailures = true
  }

  /** Notes evidence. Returns false if there is nothing to report. */
  note({ rule, served, failures, probe }: Evidence): boolean {
    const isNews = served && (this.#hasFailures || this.#failures > 0 || probe !== null)
    if (isNews) {
      this.#streak += 1
      this.#failures = 0
      this.#hasFailures = false
    }
    this.#failures += failures
    if (probe !== null) this.#probes.push(probe)
    if (!isNews && failures === 0 && probe === null) return false
    this.#rule = rule
    return true
  }

  /** Returns the statements to send now: one, or one for each probe that has ended. */
  statements(): readonly Statement[] {
    if (this.#rule === null) return []
    const totals = { streak: this.#streak, failures: this.#failures, rule: this.#rule }
    const probes = this.#probes
    this.#probes = []
    return probes.length === 0 ? [totals] : probes.map(probe => ({ ...totals, probe }))
  }
}
