/**
 * What becomes of captured values where the detector settles (PROTOCOL.md §3): they name an object, and
 * end with it. Delivery ends those of the rows that it removes.
 */
import type { DetectedChange } from '@sluice/delivered-state/port'

/**
 * True if the values are of an object that is gone for certain, left behind by somebody who died before they
 * could be ended: nothing of the key's new life may see them, and they are ended before the change is
 * published, since delivery may write new ones from then on.
 */
export function hasAnothersValues({ beforeState, captured }: DetectedChange): boolean {
  return beforeState === 'absent' && captured !== null
}

/**
 * True if the change itself takes the object away. Its values are ended once the change is acknowledged: with
 * the values alone gone, the object could not be named any more.
 */
export function endsValues({ op, settledState, beforeState, captured }: DetectedChange): boolean {
  return op === 'settled' && settledState === 'absent' && beforeState !== 'absent' && captured !== null
}

/** The change without values of another object. */
export function withOwnValues(change: DetectedChange): DetectedChange {
  return hasAnothersValues(change) ? { ...change, captured: null } : change
}
