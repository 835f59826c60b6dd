/** What happened to a run over time, and to a row. */
import { z } from 'zod'
import { attemptOutcome, attemptView } from '../api.ts'

const timestamp = z.iso.datetime()
const count = z.int().min(0)
const op = z.enum(['added', 'changed', 'removed'])
const shownRow = z.record(z.string(), z.unknown()).nullable()
const keyState = z.enum(['absent', 'present', 'content-uncertain', 'existence-uncertain'])
const failure = z.object({
  op,
  outcome: z.enum(['rejected', 'unknown', 'unsent', 'exists', 'missing', 'delivered']),
  status: z.int().nullable(),
  error: z.string().nullable(),
  attempts: count,
  runs: count,
  since: timestamp,
})
/**
 * All that happened to one row, as far as it is held. Rows are JSON: numbers that JSON's readers would round,
 * decimals and JSON columns are text, bytes are base64.
 */
export const rowLifeView = z.object({
  sync: z.string(),
  key: z.string(),
  /** What the destination is believed to hold. Null once no change of the key is held. */
  state: z
    .object({
      /** `under-way`: a request of it may be on its way. `row` is then the one before. */
      is: z.enum([...keyState.options, 'under-way']),
      certain: z.boolean(),
      row: shownRow,
      /** When the change was published that says so. */
      since: timestamp,
    })
    .nullable(),
  /** True if runs pass over it, since it was given up or discarded, until it differs. */
  muted: z.boolean(),
  /** While it waits for another try: what failed last. */
  retry: failure.nullable(),
  /** Values of answers that are kept with the row. */
  captured: z.record(z.string(), z.unknown()).nullable(),
  /** The newest first. */
  changes: z.array(
    z.object({
      at: timestamp,
      /** Null once the run is forgotten. */
      run: z.string().nullable(),
      runNumber: count,
      partition: count,
      /** `settled`: its state was set without a request. */
      op: z.enum(['added', 'changed', 'removed', 'settled']),
      before: shownRow,
      beforeState: keyState,
      after: shownRow,
      settledState: keyState.nullable(),
      muted: z.boolean(),
      /** Of the last change: why it has not arrived. */
      failed: failure.nullable(),
    }),
  ),
  /** The newest first. */
  attempts: z.array(attemptView),
  /** True if there is more than is shown. */
  more: z.boolean(),
})

const share = z.number().min(0).nullable()
const summedAttempts = {
  attempts: count,
  /** How many ended how; an outcome that none had is missing. */
  outcomes: z.partialRecord(attemptOutcome, count),
  /** Percentiles of how long attempts took, to within 5 %. Null without attempts that were sent. */
  latencyMs: z.object({ p50: share, p90: share, p99: share }),
}
const figuresBucket = z.object({ at: timestamp, ...summedAttempts })
/** The attempts of a run over time, for charts. Each bucket begins `at`, and has one of equal lengths. */
export const runFiguresView = z.object({
  run: z.string(),
  sync: z.string(),
  bucketSeconds: z.int().min(1),
  ...summedAttempts,
  buckets: z.array(figuresBucket),
})

export type RowLife = z.output<typeof rowLifeView>
export type FiguresBucket = z.output<typeof figuresBucket>
export type RunFigures = z.output<typeof runFiguresView>
