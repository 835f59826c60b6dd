/**
 * The leases of one process on a destination's limits. The server may have granted more leases, since the
 * answers to some takes may be lost. So whenever an answer is missing, the process sends a statement of its
 * leases, and the server takes the rest back.
 *
 * A take is pending → granted, refused or lost. A granted lease is open until all of it was given back, and
 * is forgotten once the server knows that.
 */
import { SluiceError } from '@sluice/contracts/errors'

/** A message on its way to the server. The sender calls either `arrived` or `lost`. */
interface ReturnMessage {
  /** The arguments of the script: for each lease its name, its open slots, and all its unused permits. */
  readonly args: readonly string[]
  readonly arrived: () => void
  /** The server may or may not have the message. */
  readonly lost: () => void
}

/**
 * The leases of one destination with returned parts that the server does not know yet. All of them go in one
 * message.
 */
export class ReturningLeases {
  readonly #book: LeaseBook
  readonly #nameOf: (take: number) => string
  #takes = new Set<number>()
  #sent = Promise.withResolvers<void>()

  constructor(book: LeaseBook, nameOf: (take: number) => string) {
    this.#book = book
    this.#nameOf = nameOf
  }

  get isEmpty(): boolean {
    return this.#takes.size === 0
  }

  /**
   * Adds a take whose returned parts are in the book. Resolves once a message with these parts is answered or
   * lost.
   */
  add(take: number): Promise<void> {
    this.#takes.add(take)
    return this.#sent.promise
  }

  /** Returns the message with all parts that came back so far. */
  leave(): ReturnMessage {
    const sent = this.#sent
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
    this.#sent = Promise.withResolvers()
    return {
      args,
      arrived() {
        for (const [take, left] of open) book.known(take, left)
        sent.resolve()
      },
      lost() {
        if (open.length > 0) book.lostReturn()
        sent.resolve()
      },
    }
  }
}

interface OpenLease {
  /** The slots that are not given back. */
  open: number
  /** The permits that came back unused so far. */
  unused: number
}

/** The statement for the server, as JSON, which names takes by their numbers. */
interface Statement {
  readonly instance: string
  /** The last take before this statement. */
  readonly upTo: number
  /** Callers have given up all takes up to this one, so the server no longer grants them. */
  readonly void: number
  readonly pending: readonly number[]
  readonly kept: Readonly<Record<string, readonly [open: number, unused: number]>>
}

export class LeaseBook {
  readonly #instance: string
  #last = 0
  readonly #pending = new Set<number>()
  readonly #open = new Map<number, OpenLease>()
  /**
   * The last take whose answer was lost; 0 for none. It becomes 0 once the server can no longer grant that
   * take.
   */
  #lostUpTo = 0
  /** Counts the messages with returns that were lost. */
  #lostReturns = 0
  /** A later statement covers the lost messages up to this number. */
  #knownReturns = 0

  constructor(instance: string) {
    this.#instance = instance
  }

  /** True while the server may count more leases of this process than it has. */
  get isUncertain(): boolean {
    return this.#lostUpTo > 0 || this.#lostReturns > this.#knownReturns
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

  /** No answer came. The server may have granted the take, or may still grant it. */
  lost(take: number): void {
    this.#pending.delete(take)
    this.#lostUpTo = Math.max(this.#lostUpTo, take)
  }

  /** Notes returned parts. Returns false for an unknown lease. Throws if more came back than was open. */
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

  /**
   * Returns the state of a lease for the server; null once the server knows that none of its requests is
   * open.
   */
  stateOf(take: number): { readonly open: number; readonly unused: number } | null {
    const lease = this.#open.get(take)
    return lease === undefined ? null : { ...lease }
  }

  /** The server knows the number of open slots. */
  known(take: number, open: number): void {
    if (open === 0) this.#open.delete(take)
  }

  /** A message with returns was lost. */
  lostReturn(): void {
    this.#lostReturns += 1
  }

  /** Returns the statement of the present leases, and a function to call once the server has it. */
  state(): { readonly statement: Statement; readonly noted: () => void } {
    const lostReturns = this.#lostReturns
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
      this.#knownReturns = Math.max(this.#knownReturns, lostReturns)
      for (const [take, [open]] of kept) this.known(take, open)
    }
    return { statement, noted }
  }
}
