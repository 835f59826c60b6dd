import type { Health } from '@sluice/domain/answers/health'
import type { Burst } from './burst.ts'
import type { Permits } from './destination-gate.ts'

/** Leave for one request: it ends as finished, or as given back unused. Only the first of the two counts. */
export class Permit {
  readonly #lease: Permits
  readonly #tell: ReturnType<Burst['begin']>
  #isOver = false

  /** `tell` is told whether it was used in time. */
  constructor(lease: Permits, tell: ReturnType<Burst['begin']>) {
    this.#lease = lease
    this.#tell = tell
  }

  get useBeforeMs(): number {
    return this.#lease.useBeforeMs
  }

  finish(health: Health): void {
    if (!this.#ends()) return
    this.#tell('in time')
    this.#lease.finished(health)
  }

  giveBack(): void {
    if (this.#ends()) this.#lease.unused(1)
  }

  /** The same, since it could not be used in time. */
  late(): void {
    if (!this.#ends()) return
    this.#tell('late')
    this.#lease.late()
  }

  #ends(): boolean {
    const ends = !this.#isOver
    this.#isOver = true
    return ends
  }
}
