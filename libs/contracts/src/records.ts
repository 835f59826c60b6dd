/**
 * The records of the topics (PROTOCOL.md §1). Each is declared once, by its Avro schema in namespace
 * `sluice`, and the compiler infers its type. Schemas are registered with the texts of their fields. So a
 * comment adds only what a reader of the code has to know beside them. Offsets, seqs and counts are safe
 * integers, times are milliseconds since 1970.
 *
 * Records of earlier versions lack a new field, so make it nullable if you can.
 */
import {
  boolean,
  bytes,
  double,
  enumOf,
  field,
  int,
  listOf,
  long,
  mapOf,
  millis,
  nullable,
  optional,
  recordOf,
  text,
  type Typed,
  type ValueOf,
  type ValuesOf,
} from './avro/types.ts'
import { attemptOutcome, countsByOp, keyState, op, opMeanings, outcome, replayOf } from './state.ts'
import type { Row } from './values.ts'

/**
 * The records of `commands` and `runs` have a file of their own. Code that reads or writes them imports them
 * here.
 */
export type * from './run-records.ts'

/**
 * The writer of a record. Readers skip other incarnations and, after a takeover marker, other owners
 * (PROTOCOL.md §4).
 */
const owned = {
  incarnation: field('The life of the sync, from creation or reset to reset.', text),
  /** −1 in the takeover marker itself. */
  owner: field("Offset, in this partition, of the takeover marker of this record's writer.", long),
}
export type Owned = ValuesOf<typeof owned>

/** A run as pinned by its `run-begin` marker. */
const runBegin = recordOf('RunBegin', 'A run, as pinned at its start.', {
  run: field('Number of the run within the sync.', long),
  runId: field('ULID of the run.', text),
  definition: field('Hash of the definition that it works by.', text),
  startedAt: field('When it started.', millis),
  /**
   * True if no earlier run has compared the sync's model. If this run is interrupted before all its changes
   * are published, the next run is a first one, too.
   */
  first: field("True for a sync's first acquaintance with its model.", boolean),
  /**
   * In a run with this mark, no row is added or changed before all partitions have finished their removals,
   * since an API may take two keys of the sync for one (PROTOCOL.md §6). Absent or null in earlier versions.
   */
  removalsFirst: optional('True if rows are removed before any is added or changed.', boolean),
})
export type RunBegin = ValueOf<typeof runBegin>

/**
 * Delivery's position: every request below `offset` is finished. `counts` covers exactly the finished
 * requests of the open run (PROTOCOL.md §8).
 */
const checkpoint = recordOf('Checkpoint', 'How far delivery has come.', {
  offset: field('Lowest offset of requests that is not finished.', long),
  from: field('Lowest offset of attempts with an attempt of a request from there on.', long),
  run: field('The open run.', long),
  counts: field('Its counts, per op, of exactly the finished requests.', countsByOp),
})
export type Checkpoint = ValueOf<typeof checkpoint>

/** Processes that died at work on a partition in this run (PROTOCOL.md §11). */
const deathsOfRun = recordOf('DeathsOfRun', 'Deaths of processes at work on a partition.', {
  run: field('In this run.', long),
  /** Deaths in a row without progress: each process died at the position at which it had begun. */
  count: field('So many in a row.', int),
  /** Null in markers of an earlier version. */
  all: optional('So many in all that came no further than where they began.', int),
})
export type DeathsOfRun = ValueOf<typeof deathsOfRun>

const markerKind = enumOf('MarkerKind', {
  takeover: 'a new owner writes from here on',
  release: 'the owner left after all its work was done',
  'run-begin': 'a run begins',
  'run-end': 'a run ends',
})

/** A record without data: it says who writes, or where a run begins and ends. */
export const marker = recordOf('Marker', 'Says who writes, or where a run begins and ends.', {
  ...owned,
  kind: field('What it marks.', markerKind),
  begin: field('In run-begin and run-end: the run.', nullable(runBegin)),
  count: field('In run-end: how many seqs this partition has for the run.', nullable(long)),
  /**
   * In `run-end`: true if the run was interrupted before all its changes were published. Somebody cancelled
   * it, or a later owner ended it in place of its writer.
   */
  sealed: field('True if a later owner closed the run in place of its writer.', boolean),
  checkpoint: field("On attempts: delivery's position once this is written.", nullable(checkpoint)),
  /** Set if a gap or a wrong count ended the run here. */
  faultedFrom: field('In run-end: the first seq of changes whose fate is not known.', nullable(long)),
  error: field('In run-end: why it is not known.', nullable(text)),
  /**
   * Null in markers of the detector, which reads no topic as its input. A `takeover` has it if its writer
   * counts deaths: it is the offset at which that writer goes on.
   */
  position: field('The next offset that the writer reads.', nullable(long)),
  /**
   * Set in a `takeover` of renderer and delivery, and in a `run-end` of the renderer if processes died. Null
   * in all other markers, and in markers of earlier versions.
   */
  deaths: field(
    'In takeover: deaths of owners, with that of this one if it writes nothing more. In run-end: those of the run.',
    nullable(deathsOfRun),
  ),
})
export type Marker = ValueOf<typeof marker>

const retriedFields = {
  idempotencyKey: field('The key that the last request went under.', nullable(text)),
  outcome: field('What became of it.', outcome),
  answered: field('False when the last attempt had no answer.', boolean),
  requestHash: field('SHA-256, in hex, of method, URL and body.', nullable(text)),
  requestRows: field('How many rows that request had.', long),
  attempts: field('Attempts so far.', long),
  runs: field('Runs so far.', long),
  since: field('When it failed first.', millis),
}
const retried = recordOf(
  'Retried',
  'What earlier runs left behind for a row that was not delivered.',
  retriedFields,
)
export type Retried = ValueOf<typeof retried>

/**
 * A place in the log of a source that streams, in each of its partitions. The detector continues from it. It
 * is written inside of a slice marker.
 */
export const streamPosition = recordOf('StreamPosition', 'How far the log of a source has been read.', {
  /** A comparison with the whole table begins an epoch. Orders count within one. */
  epoch: field('The number of the comparison that it follows.', long),
  history: field('What the orders belong to, such as a system and its timeline, or the id of a topic.', text),
  model: field('Hash of the model, and of the columns that are compared.', text),
  guarded: optional(
    'True if the removals behind it have to be counted before anything is published.',
    boolean,
  ),
  partitions: field(
    'The partitions of the log.',
    listOf(
      recordOf('StreamPlace', 'How far one partition of the log has been read.', {
        partition: field('The partition.', int),
        offset: field('The next entry to be read, as the source names it.', text),
        /** Null if it has had none since the comparison. */
        highest: field(
          'The highest order of the entries before it. No entry up to it is new.',
          nullable(text),
        ),
      }),
    ),
  ),
})
export type StreamPosition = ValueOf<typeof streamPosition>

/**
 * The end of a slice in one partition: all its records of the slice are before it. The detector writes it on
 * `changes`, the renderer on `requests`, and delivery on `retry`, once all effects before it are
 * acknowledged. A process of an earlier version knows no slices, and takes no sync that has them.
 */
export const slice = recordOf('Slice', 'The end of a slice of a run over a stream.', {
  ...owned,
  run: field('Number of the run.', long),
  slice: field('Number of the slice within the run, from 1.', long),
  begin: field("On changes and requests: offset of the run's run-begin marker.", nullable(long)),
  count: field('On changes and requests: the seqs of this partition so far.', nullable(long)),
  /** A `StreamPosition` in Avro. Everything before it is acknowledged in `changes`. */
  position: field('On changes: where a successor reads on.', nullable(bytes)),
  input: field('On requests: the next offset of changes.', nullable(long)),
  requestsEnd: field('On retry: where the slice ends in requests.', nullable(long)),
  attemptsEnd: field('On retry: where it ends in attempts.', nullable(long)),
  committedAt: field('When its newest entry was committed at the source.', nullable(millis)),
})
export type Slice = ValueOf<typeof slice>

/** Set in a run over a stream alone. */
const streamed = recordOf('Streamed', 'The entry of the log that a change comes from.', {
  slice: field('Number of its slice within the run.', long),
  epoch: field('The comparison that the entry follows.', long),
  order: field('Its order in the log; empty for a row of the comparison.', text),
  committedAt: field('When it was committed at the source.', nullable(millis)),
})

function changeFields<R>(row: Typed<R>) {
  return {
    ...owned,
    run: field('Number of the run.', long),
    seq: field('Place in run and partition.', long),
    op: field(
      'What happened to the row.',
      enumOf('ChangeOp', { ...opMeanings, settled: 'a state that is set without a request' }),
    ),
    key: field('Primary key as text; a composite one as a JSON array.', text),
    before: field('The row that the destination is believed to hold.', nullable(row)),
    beforeState: field('How certain that is.', keyState),
    /** Null for `removed`. */
    after: field('The row in the model, or of the settled state.', nullable(row)),
    settledState: field('For settled: the resulting state.', nullable(keyState)),
    /** Runs skip the row until its hash differs from this one. Null if nothing is muted. */
    muted: field('For settled: hash of row and op to be passed over.', nullable(text)),
    captured: field("Values captured from the API's answers, as JSON.", nullable(text)),
    retried: field('What earlier runs left behind.', nullable(retried)),
    /** Set in a replay only. */
    replayed: field('A recorded request to be sent again, as Avro.', nullable(bytes)),
    streamed: optional('The entry of the log, in a run over a stream.', streamed),
    /**
     * A `settled` change has it in a run over a stream. If it is null, the source has no row. For any other
     * op the source has `after`.
     */
    wanted: optional('For settled: the row that the source has.', row),
  }
}
/** A change as stages use it. A reader may leave its rows encoded: R then includes `EncodedRow`. */
export type Change<R = Row> = ValuesOf<ReturnType<typeof changeFields<R>>>

/** A change as its topic holds it. Its schema depends on the columns of the model. */
export function changeOf<R>(row: Typed<R>) {
  return recordOf('Change', 'A row that was added, changed or removed in a run.', {
    ...changeFields(row),
    /** Their columns had another type when the row was delivered. In the rows, null takes their place. */
    unfit: field(
      'Values of before and after that do not fit their columns, as JSON: { before, after } by column.',
      nullable(text),
    ),
  })
}
export type WrittenChange<R = Row> = ValueOf<ReturnType<typeof changeOf<R>>>

/** A row inside a request. */
const requestRow = recordOf('RequestRow', 'A row inside a request.', {
  key: field('Primary key.', text),
  seq: field("The seq of the row's change.", long),
  op: field('What happened to the row.', op),
  /** For an uncertain row, 404 or 410 confirms a removal. */
  uncertain: field('True if it was uncertain whether the destination holds the row.', boolean),
  captured: field('Values captured from earlier answers, as JSON.', nullable(text)),
  retried: field('What earlier runs left behind.', nullable(retried)),
  /** Null in records of earlier versions. */
  named: field('Texts of the columns by which answers name rows, as JSON.', nullable(text)),
})
export type RequestRow = ValueOf<typeof requestRow>

const rendered = {
  ...owned,
  run: field('Number of the run.', long),
  begin: field("Offset, in this partition, of the run's run-begin marker.", long),
  seq: field('Place in run and partition.', long),
  trigger: field('The trigger that it belongs to.', op),
  rows: field('Its rows.', listOf(requestRow)),
  changesStart: field('Offset of the first change that it was made of.', long),
  changesEnd: field('Offset after the last one.', long),
}

/** A record of the topic `requests`. */
export const request = recordOf('Request', 'A request to be sent.', {
  ...rendered,
  method: field('HTTP method.', text),
  path: field("Appended to the destination's base URL; percent-encoded.", text),
  headers: field('Headers without secrets.', mapOf(text)),
  /** UTF-8 text, or null for no body. */
  body: field('The body.', nullable(bytes)),
  /** Null in records of earlier versions. */
  replayOf: field('Of a request that is sent again: where it was recorded.', nullable(replayOf)),
})
export type Request = ValueOf<typeof request>

/** Rows that could not be rendered. They have a seq of their own in `requests`. */
export const unrenderable = recordOf('Unrenderable', 'Rows that could not be rendered.', {
  ...rendered,
  error: field('Why.', text),
  lacks: field('The captured value that it lacks, if that is why.', nullable(text)),
})
export type Unrenderable = ValueOf<typeof unrenderable>

/** The outcome of one row, if it differs from the request's. */
const rowResult = recordOf('RowResult', 'What became of one row of a request.', {
  seq: field("The seq of the row's change.", long),
  outcome: field('What became of it.', outcome),
  error: field('Why it failed.', nullable(text)),
  captured: field('Values captured from the answer, as JSON.', nullable(text)),
})
export type RowResult = ValueOf<typeof rowResult>

/** Some rows of a request that are sent once more, after an attempt that left them open (PROTOCOL.md §8). */
const nextPart = recordOf('NextPart', 'Rows that are sent once more, as a smaller request.', {
  rows: field('Their positions in the request; null: those of the attempt.', nullable(listOf(long))),
  tries: field('Tries that they have used up in the run.', long),
  /** Counted from the end of that attempt. */
  waitMs: field('How long they wait, in milliseconds.', long),
})
export type NextPart = ValueOf<typeof nextPart>

/** One attempt at sending a request or a part of it. Attempt 0 says that a request was not sent. */
export const attempt = recordOf('Attempt', 'One try at sending a request; 0 if it was never sent.', {
  ...owned,
  run: field('Number of the run.', long),
  runId: field('ULID of the run.', text),
  seq: field("The request's seq.", long),
  requestOffset: field("The request's offset in requests.", long),
  attempt: field('Number of the attempt.', long),
  /** In ascending order. Null in records of earlier versions, too, which had no parts. */
  part: field('Positions of its rows in the request; null: all.', nullable(listOf(long))),
  partBody: field('Of a part: at most 64 KiB of its body.', nullable(text)),
  trigger: field('The trigger that it belongs to.', op),
  outcome: field('What became of it.', attemptOutcome),
  final: field('True for the attempt that finishes the request.', boolean),
  /** Null if all open rows go on together, or none does; `final` says which. */
  parts: field('The parts in which its open rows go on.', nullable(listOf(nextPart))),
  /**
   * Set on a failed attempt if another attempt follows in the same run. Null in records of earlier versions.
   */
  nextTryAt: field('When it may be tried again in the run, at the earliest.', nullable(millis)),
  answered: field('True if the API answered.', boolean),
  status: field('HTTP status.', nullable(int)),
  error: field('Why it failed.', nullable(text)),
  method: field('HTTP method.', text),
  url: field('The URL, redacted.', text),
  requestHash: field('SHA-256, in hex, of method, URL and body.', text),
  idempotencyKey: field('The key that it went under.', nullable(text)),
  requestHeaders: field('Headers as sent, redacted.', mapOf(text)),
  responseHeaders: field('Headers as received, redacted.', mapOf(text)),
  responseBody: field('At most 64 KiB of the answer, redacted.', nullable(text)),
  startedAt: field('When it was sent.', millis),
  durationMs: field('How long it took, in milliseconds.', double),
  rows: field('What became of single rows, where it differs.', listOf(rowResult)),
  checkpoint: field("Delivery's position once this is written.", nullable(checkpoint)),
})
export type Attempt = ValueOf<typeof attempt>

/** A row that was not delivered: a record of `retry`, keyed by primary key. */
export const retryEntry = recordOf('RetryEntry', 'Says that a row was not delivered.', {
  ...owned,
  ...retriedFields,
  run: field('Number of the run of its change.', long),
  seq: field('The seq of its change.', long),
  op: field('What happened to the row.', op),
  status: field('HTTP status of the last answer.', nullable(int)),
  error: field('Why it failed.', nullable(text)),
})
export type RetryEntry = ValueOf<typeof retryEntry>

/** Values captured from an answer: a record of `captured`, keyed by primary key. */
export const captured = recordOf('Captured', 'Values captured from an answer.', {
  ...owned,
  run: field('Number of the run of its change.', long),
  seq: field('The seq of its change.', long),
  values: field('JSON: name and value.', text),
})
export type Captured = ValueOf<typeof captured>
