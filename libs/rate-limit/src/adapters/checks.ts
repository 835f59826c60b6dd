/** Checks of a rate limit's arguments. A wrong argument is a bug of the caller, and throws `internal`. */
import { SluiceError } from '@sluice/contracts/errors'
import type { TakeRequest } from '../port.ts'

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

export function checkTake({ scopes, want, slotLifeMs, owner }: TakeRequest): void {
  if (!isCount(want) || want < 1)
    throw new SluiceError('internal', `take wants 1 permit or more, found ${want}`)
  if (!(slotLifeMs >= 0)) {
    throw new SluiceError('internal', `take wants a slot life of 0 ms or more, found ${slotLifeMs}`)
  }
  if (!Number.isSafeInteger(owner.marker)) throw new SluiceError('internal', `${owner.marker} is no marker`)
  if (scopes.length === 0) throw new SluiceError('internal', 'take wants at least one scope')
}

export function checkParts(parts: { readonly unused: number; readonly finished: number }): void {
  const { unused, finished } = parts
  if (isCount(unused) && isCount(finished)) return
  throw new SluiceError('internal', `giveBack wants counts, found unused ${unused} and finished ${finished}`)
}
