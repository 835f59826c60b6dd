/**
 * The leases of one destination that came back, and that the server has to be told of. All that came back
 * since the last message goes in one.
 */
import type { LeaseBook } from './lease-book.ts'

/** On its way to the server. Either `arrived` or `lost` is to be called. */
export interface Leaving {
  /** For a script: of each lease its name, its open slots, and how much of it came back unused in all. */
  readonly args: readonly string[]
  readonly arrived: () => void
  /** Nobody knows whether the server has heard of it. */
  readonly lost: () => void
}

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
