/** Parts of a run's JSON: what it waits for, and what it goes through. */
import { z } from 'zod'
import { WAIT_KINDS } from './waits.ts'

const timestamp = z.iso.datetime()

/** What a run waits for, while it does. */
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
