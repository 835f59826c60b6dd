/**
 * Decides when the detector ends the captured values of keys that it settles (PROTOCOL.md §3). The values
 * name an object, and end with it. Delivery ends the values of the rows that it removes.
 */
import type { DetectedChange } from '@sluice/delivered-state/port'

/**
 * True if the values name an object that is certainly gone: a process died before it could end the values.
 * The row that has the key now must not get these values. They are ended before the row's change is
 * published, since delivery may write new values from then on.
 */
export function hasAnothersValues({ beforeState, captured }: DetectedChange): boolean {
  return beforeState === 'absent' && captured !== null
}

/**
 * True if the change itself takes the object away. Its values are ended once the change is acknowledged.
 * Without the values, nobody could name the object any more.
 */
export function endsValues({ op, settledState, beforeState, captured }: DetectedChange): boolean {
  return op === 'settled' && settledState === 'absent' && beforeState !== 'absent' && captured !== null
}

/** Returns the change without captured values of an earlier object. */
export function withOwnValues(change: DetectedChange): DetectedChange {
  return hasAnothersValues(change) ? { ...change, captured: null } : change
}
