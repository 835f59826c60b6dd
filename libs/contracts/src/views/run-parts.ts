/** Parts of a run's JSON: its counts, what it waits for, what it goes through, and where a mistake is. */
import { z } from 'zod'
import { WAIT_KINDS } from '../run-records.ts'

const timestamp = z.iso.datetime()
const count = z.int().min(0)

/**
 * The counts of one trigger in a run: detected = delivered + rejected + unknown + unsent once the run has
 * ended (R14).
 */
export const triggerCounts = z.object({
  detected: count,
  delivered: count,
  rejected: count,
  unknown: count,
  unsent: count,
  requests: count,
  attempts: count,
})

/** The thing that a run waits for, while it does. */
export const waitView = z.object({
  kind: z.enum(WAIT_KINDS),
  since: timestamp,
  /** When the wait is over at the latest, if that is known. */
  until: timestamp.nullable(),
  /** In a sentence. */
  detail: z.string(),
})

/** A part of a run's life. Parts overlap: a run renders and sends while it publishes. */
export const phaseView = z.object({
  phase: z.enum(['detecting', 'publishing', 'rendering', 'sending', 'finishing']),
  startedAt: timestamp,
  /** Null while it goes on. */
  endedAt: timestamp.nullable(),
})

/**
 * What the connections of a sync's last run over TLS have shown: of the destination's server, and of Sluice
 * as its client, the certificate that ends first. Absent from servers of earlier versions.
 */
export const tlsShown = z
  .array(
    z.object({
      side: z.enum(['server', 'client']),
      /** Whose it is, in one line. */
      subject: z.string(),
      expiresAt: timestamp,
    }),
  )
  .optional()

/** A place in a user's file, with what is wrong there. */
export const errorDetail = z.object({
  file: z.string().exactOptional(),
  line: z.int().exactOptional(),
  column: z.int().exactOptional(),
  field: z.string().exactOptional(),
  message: z.string(),
})

const wholeBytes = z.int().min(0).nullable().optional()
/**
 * Of a body of which only the beginning is held: how many bytes the whole one had, or null if nobody knows.
 * Absent for a whole body.
 */
export const cutBodies = { requestBodyBytes: wholeBytes, responseBodyBytes: wholeBytes }

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
