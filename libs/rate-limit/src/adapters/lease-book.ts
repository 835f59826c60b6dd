/**
 * What one process holds of a destination's limits, as far as it knows. The server may know of more: takes
 * whose answers never came. So whenever an answer is missing, the process states what it holds, and the
 * server takes the rest back.
 *
 * A take is pending → granted, refused or lost. A lease that was granted is open until all of it was given
 * back, and is forgotten once the server knows that.
 */
import { SluiceError } from '@sluice/contracts/errors'

/** On its way to the server. Either `arrived` or `lost` is to be called. */
interface Leaving {
  /** For a script: of each lease its name, its open slots, and how much of it came back unused in all. */
  readonly args: readonly string[]
  readonly arrived: () => void
  /** Nobody knows whether the server has heard of it. */
  readonly lost: () => void
}

/**
 * The leases of one destination that came back, and that the server has to be told of. All that came back
 * since the last message goes in one.
 */
export class ReturningLeases {
  readonly #book: LeaseBook
  readonly #nameOf: (take: number) => string
  #takes = new Set<number>()
  #told = Promise.withResolvers<void>()

  constructor(book: LeaseBook, nameOf: (take: number) => string) {
    this.#book = book
    this.#nameOf = nameOf
  }

  get isEmpty(): boolean {
    return this.#takes.size === 0
  }

  /**
   * Parts of a take came back, and are in the book. Resolves once a message with them has an answer, or none.
   */
  add(take: number): Promise<void> {
    this.#takes.add(take)
    return this.#told.promise
  }

  /** Gives the message with all that came back so far. */
  leave(): Leaving {
    const told = this.#told
    const book = this.#book
    const open: (readonly [take: number, left: number])[] = []
    const args: string[] = []
    for (const take of this.#takes) {
      const state = book.stateOf(take)
      if (state === null) continue
      open.push([take, state.open])
      args.push(this.#nameOf(take), String(state.open), String(state.unused))
    }
    this.#takes = new Set()
    this.#told = Promise.withResolvers()
    return {
      args,
      arrived() {
        for (const [take, left] of open) book.told(take, left)
        told.resolve()
      },
      lost() {
        if (open.length > 0) book.untold()
        told.resolve()
      },
    }
  }
}

interface OpenLease {
  /** Slots not given back. */
  open: number
  /** All permits that came back unused so far. */
  unused: number
}

/** The statement for the server, as JSON. Takes are named by their numbers. */
interface Statement {
  readonly instance: string
  /** The last take that was started before this statement. */
  readonly upTo: number
  /** No caller waits for a take up to this one any more. None of these may be granted from now on. */
  readonly void: number
  readonly pending: readonly number[]
  readonly kept: Readonly<Record<string, readonly [open: number, unused: number]>>
}

export class LeaseBook {
  readonly #instance: string
  #last = 0
  readonly #pending = new Set<number>()
  readonly #open = new Map<number, OpenLease>()
  /** The last take whose answer did not come, until the server cannot grant it any more; 0 for none. */
  #lostUpTo = 0
  /** How often a return did not reach the server. */
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
    this.#open.set(take, { open: permits, unused: 0 })
  }

  refused(take: number): void {
    this.#pending.delete(take)
  }

  /** No answer came: the take may have been granted, or may still be. */
  lost(take: number): void {
    this.#pending.delete(take)
    this.#lostUpTo = Math.max(this.#lostUpTo, take)
  }

  /** Notes what came back. False for an unknown lease. Throws if more came back than was open. */
  giveBack(take: number, parts: { readonly unused: number; readonly finished: number }): boolean {
    const lease = this.#open.get(take)
    if (lease === undefined) return false
    const returned = parts.unused + parts.finished
    if (returned > lease.open)
      throw new SluiceError('internal', `lease ${take} has ${lease.open} requests left, not ${returned}`)
    lease.open -= returned
    lease.unused += parts.unused
    return true
  }

  /** The state of a lease for the server; null once the server knows that nothing is left of it. */
  stateOf(take: number): { readonly open: number; readonly unused: number } | null {
    const lease = this.#open.get(take)
    return lease === undefined ? null : { ...lease }
  }

  /** The server knows that so many are open. */
  told(take: number, open: number): void {
    if (open === 0) this.#open.delete(take)
  }

  /** A return did not reach the server. */
  untold(): void {
    this.#untold += 1
  }

  /** What this process holds now, and a function to call once the server has taken note of it. */
  state(): { readonly statement: Statement; readonly noted: () => void } {
    const untold = this.#untold
    const kept = [...this.#open].map(([take, { open, unused }]) => [take, [open, unused] as const] as const)
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
