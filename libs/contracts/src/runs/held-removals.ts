/** Why a run is held until somebody approves it. */
import { z } from 'zod'

/** The place that rows are delivered to, as far as it tells one set of rows from another. */
export interface DeliveredTo {
  /** Origin and path of the base URL, without secrets. */
  readonly url: string
  /**
   * Headers and query parameters that name an account, by their names in lower case. Null for a value that
   * holds a secret, of which nothing is known here.
   */
  readonly accounts: { readonly [name: string]: string | null }
}

/** The destination that has the rows of a delivered state. */
export interface StateOwner extends DeliveredTo {
  /** How many times that has changed: of two events of a sync, the higher number tells. */
  readonly change: number
}

/** A run would send to another destination than the one that the delivered state is of. */
export interface ChangedDestination {
  readonly from: DeliveredTo
  readonly to: DeliveredTo
}

/** A run is held for a destination that changed, or for removals that the removal guard stops (R6). */
export interface HeldRemovals {
  /** Rows that it would remove from the destination. */
  readonly removed: number
  /** Rows that the destination is believed to hold. */
  readonly rows: number
  /** Keys of at most ten of the rows that would go. */
  readonly samples: readonly string[]
  /** Null where the removals are the reason. Earlier versions had none. */
  readonly destination?: ChangedDestination | null
}

const count = z.int().min(0)

/**
 * People see this of a held run: it would remove `removed` of the `rows` at the destination. `samples` has
 * some of their keys. With `destination`, the run would send to another one than the one that has these rows.
 */
export const heldView = z.object({
  removed: count,
  rows: count,
  samples: z.array(z.string()),
  destination: z.object({ from: z.string(), to: z.string(), why: z.string() }).optional(),
})
