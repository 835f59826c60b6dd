/** A token store in the memory of one process. */
import { randomUUID } from 'node:crypto'
import { elapsedMs } from '@sluice/flow/elapsed-ms'
import type { LeaseAnswer, StoredToken, TokenLease, TokenStore } from '../port.ts'

interface Taken {
  readonly id: string | null
  readonly why: string | null
  readonly untilMs: number
}

export function createLocalTokenStore(options: { readonly now?: () => number } = {}): TokenStore {
  return new LocalTokenStore(options.now ?? elapsedMs)
}

class LocalTokenStore implements TokenStore {
  readonly #now: () => number
  readonly #tokens = new Map<string, { readonly sealed: string; readonly untilMs: number }>()
  readonly #taken = new Map<string, Taken>()

  constructor(now: () => number) {
    this.#now = now
  }

  read(name: string): Promise<StoredToken | null> {
    const kept = this.#tokens.get(name)
    const leftMs = (kept?.untilMs ?? 0) - this.#now()
    if (kept !== undefined && leftMs <= 0) this.#tokens.delete(name)
    return Promise.resolve(kept === undefined || leftMs <= 0 ? null : { sealed: kept.sealed, leftMs })
  }

  lease(name: string, lifeMs: number): Promise<LeaseAnswer> {
    const taken = this.#taken.get(name)
    const leftMs = (taken?.untilMs ?? 0) - this.#now()
    if (taken !== undefined && leftMs > 0) return Promise.resolve({ kind: 'taken', leftMs, why: taken.why })
    const id = randomUUID()
    this.#taken.set(name, { id, why: null, untilMs: this.#now() + lifeMs })
    return Promise.resolve({ kind: 'leased', lease: { name, id } })
  }

  store(lease: TokenLease, sealed: string, lifeMs: number): Promise<boolean> {
    if (!this.#has(lease)) return Promise.resolve(false)
    this.#taken.delete(lease.name)
    this.#tokens.set(lease.name, { sealed, untilMs: this.#now() + lifeMs })
    return Promise.resolve(true)
  }

  end(
    lease: TokenLease,
    { pauseMs, why }: { readonly pauseMs: number; readonly why: string },
  ): Promise<void> {
    if (!this.#has(lease)) return Promise.resolve()
    if (pauseMs <= 0) this.#taken.delete(lease.name)
    else this.#taken.set(lease.name, { id: null, why, untilMs: this.#now() + pauseMs })
    return Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }

  #has({ name, id }: TokenLease): boolean {
    const taken = this.#taken.get(name)
    return taken !== undefined && taken.id === id && taken.untilMs > this.#now()
  }
}
