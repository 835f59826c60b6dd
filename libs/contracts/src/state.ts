/** Parts that records of several topics have in common. */
import {
  enumOf,
  field,
  int,
  listOf,
  long,
  mapOf,
  millis,
  nullable,
  recordOf,
  text,
  type Typed,
  type ValueOf,
} from './avro/types.ts'

/**
 * The three changes that can trigger a request (ARCHITECTURE.md), in the order in which a run writes them
 * (R17).
 */
export const opMeanings = {
  removed: 'the row left the model',
  changed: 'a compared column differs',
  added: 'the row is new',
} as const
export const op = enumOf('Op', opMeanings)
export type Op = ValueOf<typeof op>
export const OPS = op.symbols

/** The state that a key is believed to have at the destination. The row itself is stored beside it. */
export const keyState = enumOf('KeyState', {
  absent: 'the destination does not have the row',
  present: 'it has the row',
  'content-uncertain': 'it has a row of that key, perhaps another one',
  'existence-uncertain': 'it may have the row',
})
export type KeyStateKind = ValueOf<typeof keyState>

const outcomes = {
  delivered: 'the API took it',
  rejected: 'the API said no',
  unknown: 'sent, and no answer came that tells',
  unsent: 'never sent',
  exists: 'the API has a row of that key already',
  missing: 'the API has no row of that key',
} as const

/** The outcome of a request or of one of its rows. */
export const outcome = enumOf('Outcome', outcomes)
export type Outcome = ValueOf<typeof outcome>

export const attemptOutcome = enumOf('AttemptOutcome', {
  ...outcomes,
  throttled: 'the API asked to wait; it counts as no failure',
})

/** A certificate that was shown over a connection to a destination. */
export const shownCertificate = recordOf(
  'ShownCertificate',
  'A certificate that was shown over a connection to a destination.',
  {
    side: field(
      'Who showed it.',
      enumOf('CertificateSide', {
        server: 'the server of the destination',
        client: 'Sluice, as its client',
      }),
    ),
    /** In one line. */
    subject: field('Whose it is.', text),
    expiresAt: field('When it ends.', millis),
  },
)
export type ShownCertificate = ValueOf<typeof shownCertificate>

/** The counts of a run per trigger: detected = delivered + rejected + unknown + unsent (R14). */
const opCounts = recordOf('TriggerCounts', 'What became of the rows of one trigger.', {
  detected: field('Rows found.', long),
  delivered: field('Rows that the API took.', long),
  rejected: field('Rows that it, or rendering, refused.', long),
  unknown: field('Rows sent without an answer that tells.', long),
  unsent: field('Rows that were never sent.', long),
  requests: field('Requests made.', long),
  attempts: field('Tries at sending them.', long),
})
export type OpCounts = ValueOf<typeof opCounts>

/** Counts per op; an op that never occurred may be missing. */
export type CountsByOp = { readonly [O in Op]?: OpCounts }
export const countsByOp: Typed<CountsByOp> = mapOf(opCounts)

/**
 * The place where a request was recorded that a replay sends again (PROTOCOL.md §12). Its rows keep the seqs
 * that they had there.
 */
export const replayOf = recordOf('ReplayOf', 'Where a request was recorded that is sent again.', {
  change: field('The seq of the change that carried it.', long),
  command: field('Offset in commands of what asked for it.', long),
  run: field('Number of the run that sent it first.', long),
  runId: field('ULID of that run.', text),
  partition: field('The partition that it stands in.', int),
  seq: field('Its seq there.', long),
  /** In that partition of `requests`. */
  offset: field('Its offset there.', long),
})
export type ReplayOf = ValueOf<typeof replayOf>

/**
 * Chooses recorded requests for a replay. A request is chosen if one of its attempts fits all fields. Null
 * fits any.
 */
export const replayScope = recordOf('ReplayScope', 'Which recorded requests are to be sent again.', {
  /** The request has to hold one of these rows. */
  keys: field('Primary keys of rows.', nullable(listOf(text))),
  run: field('ULID of the run that sent them.', nullable(text)),
  /** Inclusive. */
  since: field('When an attempt began, at the earliest.', nullable(millis)),
  /** Exclusive. */
  until: field('Before when it began.', nullable(millis)),
  status: field('HTTP status of the answer.', nullable(int)),
  outcome: field('What became of the attempt.', nullable(attemptOutcome)),
  trigger: field('The trigger that they belong to.', nullable(op)),
})
export type ReplayScope = ValueOf<typeof replayScope>
