/** The history of a row, and the attempts of a run over time. */
import { z } from 'zod'
import { attemptOutcome, attemptView, failedRow } from '../api.ts'
import { keyState } from '../state.ts'
import { count, op, timestamp } from './run-parts.ts'

const shownRow = z.record(z.string(), z.unknown()).nullable()
const failure = failedRow.omit({ key: true })
/**
 * The history of one row, as far as it is held. Rows are JSON. Decimals, JSON columns and numbers that
 * readers of JSON would round are text, and bytes are Base64.
 */
export const rowLifeView = z.object({
  sync: z.string(),
  key: z.string(),
  /** The delivered state of the row. Null if no change of the key is held. */
  state: z
    .object({
      /**
       * With `under-way`, a request with the row may be on its way, and `row` is the row before that request.
       */
      is: z.enum([...keyState.symbols, 'under-way']),
      certain: z.boolean(),
      row: shownRow,
      /** The time of the change that led to this state. A change that failed leads to none. */
      since: timestamp,
    })
    .nullable(),
  /** True if the row was given up or discarded: runs skip it until it differs. */
  muted: z.boolean(),
  /** The last failure, while the row waits for another attempt. */
  retry: failure.nullable(),
  captured: z.record(z.string(), z.unknown()).nullable(),
  /** The newest first. */
  changes: z.array(
    z.object({
      at: timestamp,
      /** Null if the run is no longer known. */
      run: z.string().nullable(),
      runNumber: count,
      partition: count,
      /** `settled`: the state of the row was set without a request. */
      op: z.enum([...op.options, 'settled']),
      before: shownRow,
      beforeState: z.enum(keyState.symbols),
      after: shownRow,
      settledState: z.enum(keyState.symbols).nullable(),
      muted: z.boolean(),
      /** Set on the last change if it was not delivered. */
      failed: failure.nullable(),
      /**
       * In a run over a stream, the entry of the log that the change comes from. Absent for a row of a
       * comparison. Positions of one log sort as the entries do.
       */
      source: z.object({ committedAt: timestamp.nullable(), position: z.string() }).optional(),
    }),
  ),
  /** The newest first. */
  attempts: z.array(attemptView),
  /** True if the row has more changes or attempts. */
  more: z.boolean(),
})

const share = z.number().min(0).nullable()
const summedAttempts = {
  attempts: count,
  /** The attempts by outcome. An outcome without attempts is missing. */
  outcomes: z.partialRecord(attemptOutcome, count),
  /** Percentiles of the duration of attempts, accurate to 5 %. Null if none was sent. */
  latencyMs: z.object({ p50: share, p90: share, p99: share }),
}
const figuresBucket = z.object({ at: timestamp, ...summedAttempts })
/** The attempts of a run over time, for charts, in buckets of equal length. A bucket begins at `at`. */
export const runFiguresView = z.object({
  run: z.string(),
  sync: z.string(),
  bucketSeconds: z.int().min(1),
  ...summedAttempts,
  buckets: z.array(figuresBucket),
})

/** The answers to the requests of a run, by status and by reason. */
export const runAnswersView = z.object({
  run: z.string(),
  sync: z.string(),
  /** By status; null for attempts without an answer. */
  statuses: z.array(z.object({ status: z.int().nullable(), attempts: count })),
  /** Attempts that failed for one reason, the most frequent first. Numbers in a message do not count. */
  errors: z.array(
    z.object({
      outcome: attemptOutcome,
      status: z.int().nullable(),
      error: z.string().nullable(),
      attempts: count,
    }),
  ),
  /** False if the run has more attempts than were counted. */
  isWhole: z.boolean(),
})

export type RunAnswers = z.output<typeof runAnswersView>
export type RowLife = z.output<typeof rowLifeView>
export type FiguresBucket = z.output<typeof figuresBucket>
export type RunFigures = z.output<typeof runFiguresView>
