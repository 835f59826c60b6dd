/**
 * What one process has seen of a destination, as totals for the server of the limits. So evidence that
 * arrives twice, late or with a later statement counts once. A process whose requests are served has nothing
 * to tell, unless somebody has seen failures.
 */
import type { BreakerRule, Evidence } from '../port.ts'

/** For the server, see breaker-scripts.ts. */
interface Statement {
  /** How often a request was served after somebody had seen failures. */
  readonly streak: number
  /** Failures since. */
  readonly failures: number
  readonly rule: BreakerRule
  readonly probe?: Evidence['probe']
}

export class EvidenceBook {
  #streak = 0
  #failures = 0
  /** True while some process may have seen failures. */
  #isDoubted = false
  #rule: BreakerRule | null = null
  #probes: NonNullable<Evidence['probe']>[] = []

  /** Some process may have seen failures: the next request that is served is to be told. */
  doubted(): void {
    this.#isDoubted = true
  }

  /** False if there is nothing to tell. */
  note({ rule, served, failures, probe }: Evidence): boolean {
    const tells = served && (this.#isDoubted || this.#failures > 0 || probe !== null)
    if (tells) {
      this.#streak += 1
      this.#failures = 0
      this.#isDoubted = false
    }
    this.#failures += failures
    if (probe !== null) this.#probes.push(probe)
    if (!tells && failures === 0 && probe === null) return false
    this.#rule = rule
    return true
  }

  /** What is to be told now; a statement for each probe that has ended. */
  statements(): readonly Statement[] {
    if (this.#rule === null) return []
    const totals = { streak: this.#streak, failures: this.#failures, rule: this.#rule }
    const probes = this.#probes
    this.#probes = []
    return probes.length === 0 ? [totals] : probes.map(probe => ({ ...totals, probe }))
  }
}
