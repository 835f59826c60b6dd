/**
 * The Avro schemas of all records in records.ts, in namespace `sluice`. The compiler checks each schema
 * against its interface. If a record gets a field, add it here, too. Make it nullable if you can: records
 * that were written before lack it.
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
  record,
  recordOf,
  text,
  type AvroRecordSchema,
  type FieldsOf,
  type Typed,
} from './types.ts'
import { rowSchema } from './row.ts'
import {
  attemptOutcome,
  COMMAND_SCHEMA,
  countsByOp,
  op,
  outcomes,
  PARTITION_REPORT_SCHEMA,
  RUN_EVENT_SCHEMA,
} from './run-schemas.ts'
import type { AlertRecord, DefinitionRecord, ResourceRecord, SecretRecord } from '../document-records.ts'
import type {
  Attempt,
  Captured,
  Change,
  Checkpoint,
  Command,
  Marker,
  MarkerKind,
  NextPart,
  Owned,
  PartitionReport,
  Request,
  RequestRow,
  Retried,
  RetryEntry,
  RowResult,
  RunBegin,
  RunEvent,
  Unrenderable,
  WrittenChange,
} from '../records.ts'
import { TEST_ATTEMPT_SCHEMA, TEST_REQUEST_SCHEMA } from './test-schemas.ts'
import type { DeathsOfRun } from '../runs/run-times.ts'
import type { TestAttempt, TestRequest } from '../test-records.ts'
import type { KeyStateKind, Op, Outcome, ReplayOf } from '../state.ts'
import type { Column, Row } from '../values.ts'

export type { AvroRecordSchema } from './types.ts'

/** The type of a record by the name of its schema, without the namespace. */
export interface RecordTypes {
  Marker: Marker
  Change: Change
  Request: Request
  Unrenderable: Unrenderable
  Attempt: Attempt
  RetryEntry: RetryEntry
  Captured: Captured
  Command: Command
  RunEvent: RunEvent
  PartitionReport: PartitionReport
  ResourceRecord: ResourceRecord
  AlertRecord: AlertRecord
  SecretRecord: SecretRecord
  DefinitionRecord: DefinitionRecord
  TestRequest: TestRequest
  TestAttempt: TestAttempt
}
export type RecordName = keyof RecordTypes

const changeOp = enumOf<Op | 'settled'>('ChangeOp', {
  removed: 'the row left the model',
  changed: 'a compared column differs',
  added: 'the row is new',
  settled: 'a state that is set without a request',
})
const keyState = enumOf<KeyStateKind>('KeyState', {
  absent: 'the destination does not have the row',
  present: 'it has the row',
  'content-uncertain': 'it has a row of that key, perhaps another one',
  'existence-uncertain': 'it may have the row',
})
const outcome = enumOf<Outcome>('Outcome', outcomes)
const markerKind = enumOf<MarkerKind>('MarkerKind', {
  takeover: 'a new owner writes from here on',
  release: 'the owner left after all its work was done',
  'run-begin': 'a run begins',
  'run-end': 'a run ends',
})
const headers = mapOf(text)

const owned: FieldsOf<Owned> = {
  incarnation: field('The life of the sync, from creation or reset to reset.', text),
  owner: field("Offset, in this partition, of the takeover marker of this record's writer.", long),
}

const runBegin = recordOf<RunBegin>('RunBegin', 'A run, as pinned at its start.', {
  run: field('Number of the run within the sync.', long),
  runId: field('ULID of the run.', text),
  definition: field('Hash of the definition that it works by.', text),
  startedAt: field('When it started.', millis),
  first: field("True for a sync's first acquaintance with its model.", boolean),
  removalsFirst: field('True if rows are removed before any is added or changed.', nullable(boolean)),
})

const checkpoint = recordOf<Checkpoint>('Checkpoint', 'How far delivery has come.', {
  offset: field('Lowest offset of requests that is not finished.', long),
  from: field('Lowest offset of attempts with an attempt of a request from there on.', long),
  run: field('The open run.', long),
  counts: field('Its counts, per op, of exactly the finished requests.', countsByOp),
})

const deathsOfRun = recordOf<DeathsOfRun>('DeathsOfRun', 'Deaths of processes at work on a partition.', {
  run: field('In this run.', long),
  count: field('So many in a row.', int),
  all: field('So many in all that came no further than where they began.', nullable(int)),
})

const MARKER_SCHEMA = record<Marker>('Marker', 'Says who writes, or where a run begins and ends.', {
  ...owned,
  kind: field('What it marks.', markerKind),
  begin: field('In run-begin and run-end: the run.', nullable(runBegin)),
  count: field('In run-end: how many seqs this partition has for the run.', nullable(long)),
  sealed: field('True if a later owner closed the run in place of its writer.', boolean),
  checkpoint: field("On attempts: delivery's position once this is written.", nullable(checkpoint)),
  faultedFrom: field('In run-end: the first seq of changes whose fate is not known.', nullable(long)),
  error: field('In run-end: why it is not known.', nullable(text)),
  position: field('The next offset that the writer reads.', nullable(long)),
  deaths: field(
    'In takeover: deaths of owners, with that of this one if it writes nothing more. In run-end: those of the run.',
    nullable(deathsOfRun),
  ),
})

const retriedFields: FieldsOf<Retried> = {
  idempotencyKey: field('The key that the last request went under.', nullable(text)),
  outcome: field('What became of it.', outcome),
  answered: field('False when the last attempt had no answer.', boolean),
  requestHash: field('SHA-256, in hex, of method, URL and body.', nullable(text)),
  requestRows: field('How many rows that request had.', long),
  attempts: field('Attempts so far.', long),
  runs: field('Runs so far.', long),
  since: field('When it failed first.', millis),
}
const retried = recordOf<Retried>(
  'Retried',
  'What earlier runs left behind for a row that was not delivered.',
  retriedFields,
)

/**
 * The schema of `sluice.Change` for a model with these columns; `before` and `after` hold its rows as
 * `sluice.Row`.
 */
export function changeSchema(columns: readonly Column[]): AvroRecordSchema {
  const row: Typed<Row> = { schema: rowSchema(columns) }
  return record<WrittenChange>('Change', 'A row that was added, changed or removed in a run.', {
    ...owned,
    run: field('Number of the run.', long),
    seq: field('Place in run and partition.', long),
    op: field('What happened to the row.', changeOp),
    key: field('Primary key as text; a composite one as a JSON array.', text),
    before: field('The row that the destination is believed to hold.', nullable(row)),
    beforeState: field('How certain that is.', keyState),
    after: field('The row in the model, or of the settled state.', nullable(row)),
    settledState: field('For settled: the resulting state.', nullable(keyState)),
    muted: field('For settled: hash of row and op to be passed over.', nullable(text)),
    captured: field("Values captured from the API's answers, as JSON.", nullable(text)),
    retried: field('What earlier runs left behind.', nullable(retried)),
    replayed: field('A recorded request to be sent again, as Avro.', nullable(bytes)),
    unfit: field(
      'Values of before and after that do not fit their columns, as JSON: { before, after } by column.',
      nullable(text),
    ),
  })
}

const requestRow = recordOf<RequestRow>('RequestRow', 'A row inside a request.', {
  key: field('Primary key.', text),
  seq: field("The seq of the row's change.", long),
  op: field('What happened to the row.', op),
  uncertain: field('True if it was uncertain whether the destination holds the row.', boolean),
  captured: field('Values captured from earlier answers, as JSON.', nullable(text)),
  retried: field('What earlier runs left behind.', nullable(retried)),
  named: field('Texts of the columns by which answers name rows, as JSON.', nullable(text)),
})

const rendered: FieldsOf<Omit<Unrenderable, 'error' | 'lacks'>> = {
  ...owned,
  run: field('Number of the run.', long),
  begin: field("Offset, in this partition, of the run's run-begin marker.", long),
  seq: field('Place in run and partition.', long),
  trigger: field('The trigger that it belongs to.', op),
  rows: field('Its rows.', listOf(requestRow)),
  changesStart: field('Offset of the first change that it was made of.', long),
  changesEnd: field('Offset after the last one.', long),
}

const replayOf = recordOf<ReplayOf>('ReplayOf', 'Where a request was recorded that is sent again.', {
  change: field('The seq of the change that carried it.', long),
  command: field('Offset in commands of what asked for it.', long),
  run: field('Number of the run that sent it first.', long),
  runId: field('ULID of that run.', text),
  partition: field('The partition that it stands in.', int),
  seq: field('Its seq there.', long),
  offset: field('Its offset there.', long),
})

const REQUEST_SCHEMA = record<Request>('Request', 'A request to be sent.', {
  ...rendered,
  method: field('HTTP method.', text),
  path: field("Appended to the destination's base URL; percent-encoded.", text),
  headers: field('Headers without secrets.', headers),
  body: field('The body.', nullable(bytes)),
  replayOf: field('Of a request that is sent again: where it was recorded.', nullable(replayOf)),
})

const UNRENDERABLE_SCHEMA = record<Unrenderable>('Unrenderable', 'Rows that could not be rendered.', {
  ...rendered,
  error: field('Why.', text),
  lacks: field('The captured value that it lacks, if that is why.', nullable(text)),
})

const rowResult = recordOf<RowResult>('RowResult', 'What became of one row of a request.', {
  seq: field("The seq of the row's change.", long),
  outcome: field('What became of it.', outcome),
  error: field('Why it failed.', nullable(text)),
  captured: field('Values captured from the answer, as JSON.', nullable(text)),
})

const nextPart = recordOf<NextPart>('NextPart', 'Rows that are sent once more, as a smaller request.', {
  rows: field('Their positions in the request; null: those of the attempt.', nullable(listOf(long))),
  tries: field('Tries that they have used up in the run.', long),
  waitMs: field('How long they wait, in milliseconds.', long),
})

const ATTEMPT_SCHEMA = record<Attempt>('Attempt', 'One try at sending a request; 0 if it was never sent.', {
  ...owned,
  run: field('Number of the run.', long),
  runId: field('ULID of the run.', text),
  seq: field("The request's seq.", long),
  requestOffset: field("The request's offset in requests.", long),
  attempt: field('Number of the attempt.', long),
  part: field('Positions of its rows in the request; null: all.', nullable(listOf(long))),
  partBody: field('Of a part: at most 64 KiB of its body.', nullable(text)),
  trigger: field('The trigger that it belongs to.', op),
  outcome: field('What became of it.', attemptOutcome),
  final: field('True for the attempt that finishes the request.', boolean),
  parts: field('The parts in which its open rows go on.', nullable(listOf(nextPart))),
  nextTryAt: field('When it may be tried again in the run, at the earliest.', nullable(millis)),
  answered: field('True if the API answered.', boolean),
  status: field('HTTP status.', nullable(int)),
  error: field('Why it failed.', nullable(text)),
  method: field('HTTP method.', text),
  url: field('The URL, redacted.', text),
  requestHash: field('SHA-256, in hex, of method, URL and body.', text),
  idempotencyKey: field('The key that it went under.', nullable(text)),
  requestHeaders: field('Headers as sent, redacted.', headers),
  responseHeaders: field('Headers as received, redacted.', headers),
  responseBody: field('At most 64 KiB of the answer, redacted.', nullable(text)),
  startedAt: field('When it was sent.', millis),
  durationMs: field('How long it took, in milliseconds.', double),
  rows: field('What became of single rows, where it differs.', listOf(rowResult)),
  checkpoint: field("Delivery's position once this is written.", nullable(checkpoint)),
})

const RETRY_ENTRY_SCHEMA = record<RetryEntry>('RetryEntry', 'Says that a row was not delivered.', {
  ...owned,
  ...retriedFields,
  run: field('Number of the run of its change.', long),
  seq: field('The seq of its change.', long),
  op: field('What happened to the row.', op),
  status: field('HTTP status of the last answer.', nullable(int)),
  error: field('Why it failed.', nullable(text)),
})

const CAPTURED_SCHEMA = record<Captured>('Captured', 'Values captured from an answer.', {
  ...owned,
  run: field('Number of the run of its change.', long),
  seq: field('The seq of its change.', long),
  values: field('JSON: name and value.', text),
})

const RESOURCE_SCHEMA = record<ResourceRecord>('ResourceRecord', 'A resource as applied.', {
  kind: field('Its kind.', text),
  name: field('Its name.', text),
  project: field('The project that it belongs to.', text),
  spec: field('The resource, as JSON.', text),
  version: field('Grows with each change of the name.', nullable(long)),
  at: field('When it was changed.', nullable(millis)),
  by: field('Who changed it.', nullable(text)),
  text: field('The YAML that the resource was read from.', nullable(text)),
  folder: field('The folder of a project that is called like it.', nullable(text)),
})

const SECRET_SCHEMA = record<SecretRecord>('SecretRecord', 'A secret of the vault, sealed.', {
  kind: field('Who set it: secret (a person) or login (Sluice).', text),
  name: field('Its name.', text),
  version: field('Grows with each change.', long),
  grants: field('Where it may go.', nullable(text)),
  since: field('When it was set.', millis),
  sealedBy: field('Id of the key that it is sealed with.', text),
  sealed: field('Nonce, ciphertext and tag of AES-256-GCM.', bytes),
  by: field('Who set it.', nullable(text)),
})

const ALERT_SCHEMA = record<AlertRecord>('AlertRecord', 'What is known of an alert and a sync.', {
  alert: field('The name of the alert.', text),
  sync: field('The name of the sync.', text),
  state: field('The state, as JSON.', text),
})

const DEFINITION_SCHEMA = record<DefinitionRecord>('DefinitionRecord', 'What a run works by.', {
  hash: field('Hash of the spec.', text),
  spec: field('Sync, model, source and destination, as JSON.', text),
})

/** The schemas that are the same for all syncs. The schema of a change depends on its model. */
export const SCHEMAS = {
  Marker: MARKER_SCHEMA,
  Request: REQUEST_SCHEMA,
  Unrenderable: UNRENDERABLE_SCHEMA,
  Attempt: ATTEMPT_SCHEMA,
  RetryEntry: RETRY_ENTRY_SCHEMA,
  Captured: CAPTURED_SCHEMA,
  Command: COMMAND_SCHEMA,
  RunEvent: RUN_EVENT_SCHEMA,
  PartitionReport: PARTITION_REPORT_SCHEMA,
  ResourceRecord: RESOURCE_SCHEMA,
  SecretRecord: SECRET_SCHEMA,
  DefinitionRecord: DEFINITION_SCHEMA,
  AlertRecord: ALERT_SCHEMA,
  TestRequest: TEST_REQUEST_SCHEMA,
  TestAttempt: TEST_ATTEMPT_SCHEMA,
} as const satisfies { readonly [N in Exclude<RecordName, 'Change'>]: AvroRecordSchema }
