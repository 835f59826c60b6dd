/**
 * A clock for times that other machines count, too: the life of a lease, a lock, a membership. It never
 * advances by less than the time that has passed.
 *
 * On Linux, `performance.now()` stops while the machine is suspended: a process that wakes up after an hour
 * would still use its lease. The wall clock counts that hour, but somebody may set it. So this clock advances
 * with whichever of the two clocks went further. A wall clock that is set forward makes it run ahead, and
 * the lease is checked again. A wall clock that is set back changes nothing.
 */

/** Smaller differences are normal: the wall clock counts whole milliseconds, and is slewed. */
const JITTER_MS = 10

export interface Clocks {
  readonly steadyMs: () => number
  readonly wallMs: () => number
}

/** Makes this clock from a steady clock and a wall clock. */
export function elapsedClock({ steadyMs, wallMs }: Clocks): () => number {
  /** The time by which the wall clock is ahead of the other. */
  let aheadMs = wallMs() - steadyMs()
  let missedMs = 0
  return () => {
    const steady = steadyMs()
    const jumpMs = wallMs() - steady - aheadMs
    if (jumpMs > JITTER_MS) missedMs += jumpMs
    if (jumpMs > JITTER_MS || jumpMs < 0) aheadMs += jumpMs
    return steady + missedMs
  }
}

/**
 * Returns milliseconds since some moment, with fractions. Only differences between readings of this clock are
 * meaningful.
 */
export const elapsedMs = elapsedClock({ steadyMs: () => performance.now(), wallMs: () => Date.now() })
