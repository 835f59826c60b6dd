import { SluiceError } from '@sluice/contracts/errors'
import type { TakeRequest } from '../port.ts'

/**
 * The life of a permit is the time for which it may stay unused. The permit counts in its windows from the
 * last moment at which it may be used, so a long life costs throughput. With a short life, permits lapse
 * whenever the process, or the opening of a connection, takes long. So each permit that is used in time
 * shrinks the life by this factor, and a permit that lapses sets it to the longest.
 */
const SHRINKS_TO = 0.98

export class LeaseLife {
  readonly mostMs: number
  readonly #leastMs: number
  #ms: number

  constructor({ leastMs, mostMs }: { readonly leastMs: number; readonly mostMs: number }) {
    this.mostMs = mostMs
    this.#leastMs = Math.min(leastMs, mostMs)
    this.#ms = mostMs
  }

  get ms(): number {
    return this.#ms
  }

  /** Adapts the life to permits that came back. */
  cameBack(parts: { readonly finished: number; readonly late?: boolean }): void {
    if (parts.late === true) this.#ms = this.mostMs
    else if (parts.finished > 0) this.#ms = Math.max(this.#leastMs, this.#ms * SHRINKS_TO ** parts.finished)
  }
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

/** Throws `internal` for a wrong argument, which is a bug of the caller. */
export function checkTake({ scopes, want, slotLifeMs, owner }: TakeRequest): void {
  if (!isCount(want) || want < 1)
    throw new SluiceError('internal', `take wants 1 permit or more, found ${want}`)
  if (!(slotLifeMs >= 0)) {
    throw new SluiceError('internal', `take wants a slot life of 0 ms or more, found ${slotLifeMs}`)
  }
  if (!Number.isSafeInteger(owner.marker)) throw new SluiceError('internal', `${owner.marker} is no marker`)
  if (scopes.length === 0) throw new SluiceError('internal', 'take wants at least one scope')
}

/** Throws as `checkTake` does. */
export function checkParts(parts: { readonly unused: number; readonly finished: number }): void {
  const { unused, finished } = parts
  if (isCount(unused) && isCount(finished)) return
  throw new SluiceError('internal', `giveBack wants counts, found unused ${unused} and finished ${finished}`)
}
