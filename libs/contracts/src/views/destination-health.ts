/** The health of a destination as people see it. */
import { z } from 'zod'
import type { DestinationState } from './destination-states.ts'
import { count, timestamp } from './run-parts.ts'

const state = z.enum([
  ...(['healthy', 'degraded', 'failing', 'paused', 'breaker-open', 'unusable'] as const),
  ...(['unused', 'idle'] as const),
]) satisfies z.ZodType<DestinationState>

/** The health of a destination. It quotes no answer, since people who may not read answers see it, too. */
export const destinationHealth = z.object({
  state,
  /** A sentence. */
  reason: z.string(),
  /** Until when the state lasts at the latest, if that is known, such as the end of a pause. */
  until: timestamp.nullable(),
  /** The act of a person that mends it, if Sluice knows one. `name` is the secret, or the destination. */
  fix: z.object({ act: z.enum(['set-secret', 'log-in']), name: z.string() }).nullable(),
  /** The time at which the last attempt ended. Null if none is known. */
  lastAttemptAt: timestamp.nullable(),
})
export type DestinationHealth = z.output<typeof destinationHealth>

/** The attempts of the last hour in which something was sent. */
export const destinationHour = z.object({
  attempts: count,
  delivered: count,
  throttled: count,
  /** Attempts that failed, by `HTTP 422`, `ECONNREFUSED` or the like, the most frequent first. */
  errors: z.array(z.object({ kind: z.string(), count })),
  /** Null if nothing was sent. */
  latencyMs: z.object({
    p50: z.number().nullable(),
    p90: z.number().nullable(),
    p99: z.number().nullable(),
  }),
})
export type DestinationHour = z.output<typeof destinationHour>
