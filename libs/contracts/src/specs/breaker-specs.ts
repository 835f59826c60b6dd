/** When a destination counts as dead. */
import { z } from 'zod'
import { count, durationWithin } from './quantities.ts'

/** A breaker that opens later than that guards nothing. */
const MAX_FAILURES = 1_000_000
const MAX_PAUSE_MS = 3_600_000

export const breaker = z
  .union([
    z.strictObject({
      failures: count(MAX_FAILURES)
        .default(50)
        .describe('It opens after so many failures in a row without a success.'),
      pause: durationWithin(MAX_PAUSE_MS, '1h')
        .default(30_000)
        .describe('After each pause one request is tried; after three that failed, runs end.'),
    }),
    z.literal(false),
  ])
  .describe(
    'Stops sending to a destination that fails (default: after 50 failures in a row, with pauses of 30s); false: never.',
  )
