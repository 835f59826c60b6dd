/**
 * Gives the large cache of a process to one of its states at a time: the busiest. All others have a small
 * one. So the memory of many streams is bounded, and a comparison or a backlog has what it needs.
 */

const SMALL_KIB = 2 * 1024
const LARGE_KIB = 64 * 1024
/** Work counts half after this time. */
const HALVED_MS = 10_000
/** A state with less work than this many keys needs no large cache. */
const MIN_WORK = 1_000
/**
 * The holder keeps its turn until another state has so many times its work, so that turns do not go to and
 * fro.
 */
const MUCH_BUSIER = 2

/** A state that has a cache. */
export interface Cached {
  setCache(kib: number): void
}

interface Work {
  keys: number
  at: number
}

export class CacheTurns {
  readonly #now: () => number
  readonly #work = new Map<Cached, Work>()
  #holder: Cached | null = null

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  enter(state: Cached): void {
    this.#work.set(state, { keys: 0, at: this.#now() })
    state.setCache(SMALL_KIB)
  }

  leave(state: Cached): void {
    this.#work.delete(state)
    if (this.#holder === state) this.#holder = null
  }

  /** To be called for work on so many keys, before it is done. */
  work(state: Cached, keys: number): void {
    const now = this.#now()
    const own = this.#workOf(state, now) + keys
    this.#work.set(state, { keys: own, at: now })
    if (this.#holder === state || own < MIN_WORK) return
    if (this.#holder !== null && own < MUCH_BUSIER * this.#workOf(this.#holder, now)) return
    this.#holder?.setCache(SMALL_KIB)
    this.#holder = state
    state.setCache(LARGE_KIB)
  }

  #workOf(state: Cached, now: number): number {
    const { keys, at } = this.#work.get(state) ?? { keys: 0, at: now }
    return keys * 2 ** ((at - now) / HALVED_MS)
  }
}
