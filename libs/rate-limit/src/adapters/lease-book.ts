/**
 * What one process holds of a destination's limits, as far as it knows. The server may know of more: takes
 * whose answers never came. So whenever an answer is missing, the process states what it holds, and the
 * server takes the rest back.
 *
 * A take is pending → granted, refused or lost. A lease that was granted is open until all of it was given
 * back, and is forgotten once the server knows that.
 */
import { SluiceError } from '@sluice/contracts/errors'

interface HeldLease {
  /** Slots not given back. */
  open: number
  /** Permits that came back unused, in all. */
  unused: number
}

/** What the server is told, as JSON. All takes are meant by their numbers. */
export interface Statement {
  readonly instance: string
  /** The last take that was begun before this was said. */
  readonly upTo: number
  /** Nobody waits for a take up to this one any more: none may be granted from now on. */
  readonly void: number
  readonly pending: readonly number[]
  readonly kept: Readonly<Record<string, readonly [open: number, unused: number]>>
}

export class LeaseBook {
  readonly #instance: string
  #last = 0
  readonly #pending = new Set<number>()
  readonly #held = new Map<number, HeldLease>()
  /** The last take whose answer did not come, until the server can grant it no more; 0 for none. */
  #lostUpTo = 0
  /** How often a return could not be told. */
  #untold = 0
  #toldUpTo = 0

  constructor(instance: string) {
    this.#instance = instance
  }

  /** True while the server may think that this process holds more than it does. */
  get isInDoubt(): boolean {
    return this.#lostUpTo > 0 || this.#untold > this.#toldUpTo
  }

  begin(): number {
    this.#last += 1
    this.#pending.add(this.#last)
    return this.#last
  }

  granted(take: number, permits: number): void {
    this.#pending.delete(take)
    this.#held.set(take, { open: permits, unused: 0 })
  }

  refused(take: number): void {
    this.#pending.delete(take)
  }

  /** No answer came: it may have been granted, or may be yet. */
  lost(take: number): void {
    this.#pending.delete(take)
    this.#lostUpTo = Math.max(this.#lostUpTo, take)
  }

  /** Notes what came back. False for a lease that is not held; throws where it is more than was open. */
  giveBack(take: number, parts: { readonly unused: number; readonly finished: number }): boolean {
    const lease = this.#held.get(take)
    if (lease === undefined) return false
    const returned = parts.unused + parts.finished
    if (returned > lease.open)
      throw new SluiceError('internal', `lease ${take} has ${lease.open} requests left, not ${returned}`)
    lease.open -= returned
    lease.unused += parts.unused
    return true
  }

  /** What the server is to be told of a lease; null once it knows that nothing is left of it. */
  stateOf(take: number): { readonly open: number; readonly unused: number } | null {
    const lease = this.#held.get(take)
    return lease === undefined ? null : { ...lease }
  }

  /** The server was told that so many are open. */
  told(take: number, open: number): void {
    if (open === 0) this.#held.delete(take)
  }

  /** A return could not be told. */
  untold(): void {
    this.#untold += 1
  }

  /** What is held now, and what to call once the server has taken note of it. */
  state(): { readonly statement: Statement; readonly noted: () => void } {
    const untold = this.#untold
    const kept = [...this.#held].map(([take, { open, unused }]) => [take, [open, unused] as const] as const)
    const firstPending = Math.min(...this.#pending, this.#last + 1)
    const statement = {
      instance: this.#instance,
      upTo: this.#last,
      void: firstPending - 1,
      pending: [...this.#pending],
      kept: Object.fromEntries(kept),
    }
    const noted = (): void => {
      if (this.#lostUpTo <= statement.void) this.#lostUpTo = 0
      this.#toldUpTo = Math.max(this.#toldUpTo, untold)
      for (const [take, [open]] of kept) this.told(take, open)
    }
    return { statement, noted }
  }
}
