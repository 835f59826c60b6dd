/** Parts that several JSON documents share: counts of a run, its waits and phases, places of mistakes. */
import { z } from 'zod'
import { WAIT_KINDS } from '../run-records.ts'

export const timestamp = z.iso.datetime()
export const count = z.int().min(0)
export const op = z.enum(['added', 'changed', 'removed'])
export const failedOutcome = z.enum(['rejected', 'unknown', 'unsent', 'exists', 'missing', 'delivered'])

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

/** Something that a run waits for. */
export const waitView = z.object({
  kind: z.enum(WAIT_KINDS),
  since: timestamp,
  /** The latest end of the wait, if it is known. */
  until: timestamp.nullable(),
  /** The same in a sentence. */
  detail: z.string(),
})

/** A phase of a run. Phases overlap: a run renders and sends while it publishes. */
export const phaseView = z.object({
  phase: z.enum(['detecting', 'publishing', 'rendering', 'sending', 'finishing']),
  startedAt: timestamp,
  /** Null while it goes on. */
  endedAt: timestamp.nullable(),
  /** True for the phase in which the run failed, or in which all of its rows did. */
  failed: z.literal(true).optional(),
})

/**
 * The progress of a run: `of` counts the rows that differ, and `finished` counts those that are delivered or
 * given up so far.
 */
export const progressView = z.object({
  finished: count,
  of: count,
  /** From 0 to 100. */
  percent: z.number().min(0).max(100),
  /** At the present speed. Null while that is not known. */
  remainingSeconds: count.nullable(),
})

/**
 * The rows of a run that were finished in the last ten seconds, by second. Rows that are never sent are left
 * out.
 */
export const throughputView = z.object({
  deliveredPerSecond: z.number().min(0),
  failedPerSecond: z.number().min(0),
})

/** How a stream stands, as its last run has told. */
export const streamProgressView = z.object({
  /** The time since when it streams, without a pause. */
  since: timestamp,
  /** Why the whole table is compared. Null while it follows the log. */
  comparing: z.string().nullable(),
  /** Entries that this run has read, and records that were set aside since they cannot be read. */
  read: count,
  unreadable: count,
  /** Records behind the last one that was read. Null if the source does not tell. */
  lagRecords: count.nullable(),
  /** The age of the oldest change that is not delivered. Null if nothing waits. */
  lagSeconds: z.number().min(0).nullable(),
  /** The time of the commit of the newest change that was delivered. */
  committedAt: timestamp.nullable(),
})

/** A stream over its runs. */
export const streamView = streamProgressView.extend({
  /**
   * Rows that were delivered in the last whole minute, or in the one that goes on if it had none, by second.
   */
  rowsPerSecond: z.number().min(0),
  /** The minutes of the last hour in which its runs were at work, the oldest first. */
  minutes: z.array(
    z.object({
      at: timestamp,
      read: count,
      detected: count,
      delivered: count,
      failed: count,
      lagSeconds: z.number().min(0).nullable(),
    }),
  ),
})

/** A run shows this of its stream. The last run of a sync lacks the speed and the minutes. */
export const streamOfRunView = streamProgressView.extend({
  rowsPerSecond: streamView.shape.rowsPerSecond.optional(),
  minutes: streamView.shape.minutes.optional(),
  /**
   * In a list of runs: the number of hourly runs that this entry stands for. It has their counts, and starts
   * when the stream began. Its id, status and error are those of the newest one.
   */
  runs: count.optional(),
  /**
   * Rows that were not delivered, and wait for another try or for somebody. The counts of its triggers have
   * each try of a row. Present while the run is at work.
   */
  waiting: count.optional(),
})

/**
 * The certificates that a sync's last run over TLS has seen. For the destination's server, and for Sluice as
 * its client, it has the certificate that ends first. Servers of earlier versions do not answer it.
 */
export const tlsShown = z
  .array(
    z.object({
      side: z.enum(['server', 'client']),
      /** The name in the certificate, in one line. */
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
/** The bytes that a truncated body had as a whole, or null if they are unknown. Absent for a whole body. */
export const truncatedBodies = { requestBodyBytes: wholeBytes, responseBodyBytes: wholeBytes }

/**
 * The reason why a run is held: it would remove `removed` of the `rows` at the destination, and `samples` has
 * some of their keys. With `destination`, the run would send to another destination than the destination that
 * has these rows.
 */
export const heldView = z.object({
  removed: count,
  rows: count,
  samples: z.array(z.string()),
  destination: z.object({ from: z.string(), to: z.string(), why: z.string() }).optional(),
})
