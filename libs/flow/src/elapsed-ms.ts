/**
 * A clock for times that other machines count too: the life of a lease, a hold, a membership. It never says
 * less than has passed.
 *
 * `performance.now()` does, on Linux: it stands still while the machine is suspended. So a process that wakes
 * up after an hour would take its lease for its own. The wall clock counts that hour, but somebody may set
 * it. So this clock advances with the one of the two that went further. A wall clock that is set forward
 * makes it run ahead, and the lease is looked at again. One that is set back changes nothing.
 */

/** Differences up to this are the clocks' own: the wall clock counts whole milliseconds, and is slewed. */
const JITTER_MS = 10

export interface Clocks {
  readonly steadyMs: () => number
  readonly wallMs: () => number
}

/** Makes such a clock out of two. */
export function elapsedClock({ steadyMs, wallMs }: Clocks): () => number {
  /** How far the wall clock is ahead of the other, as long as nothing happens. */
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
 * Milliseconds since some moment, with fractions. Only differences mean something, and only between readings
 * of this clock.
 */
export const elapsedMs = elapsedClock({ steadyMs: () => performance.now(), wallMs: () => Date.now() })
