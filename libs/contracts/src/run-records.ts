/** The records of `commands` and `runs`: commands to a sync, and how its runs go. */
import {
  boolean,
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
  type ValueOf,
} from './avro/types.ts'
import { countsByOp, outcome, replayScope, shownCertificate } from './state.ts'

const runCause = enumOf('RunCause', {
  manual: 'somebody asked for it',
  schedule: 'it was due',
  retry: 'rows that failed are to be tried again',
  resync: 'all rows are to be sent again',
  replay: 'recorded requests are to be sent again',
  discard: 'rows that failed are to be passed over',
  reset: 'the sync begins anew',
})
export type RunCause = ValueOf<typeof runCause>

/** Only fields that belong to the run's cause are set. */
const runScope = recordOf('RunScope', 'What a run is asked to do that is no ordinary one.', {
  /** The trigger that sends every row. */
  as: field(
    'Of a resync: as what every row is sent.',
    nullable(
      enumOf('ResyncAs', {
        added: 'as if it were not certain that it is there',
        changed: 'as if it were not certain what is there',
      }),
    ),
  ),
  key: field('Of a discard or a retry: the row that is meant.', nullable(text)),
  /** 5 stands for all 5xx. Null means any status. */
  status: field('Of a discard or a retry: the status of the answers that are meant.', nullable(int)),
  replay: optional('Of a replay: the recorded requests that are meant.', replayScope),
  /** With it, `status` is 0, so that a detector of an earlier version takes no row for meant. */
  group: optional('Of a discard or a retry: the group of failed rows that is meant.', text),
})
export type RunScope = ValueOf<typeof runScope>

/** Something that a user or the schedule asks of a sync's detector. */
export const command = recordOf('Command', "Something asked of a sync's detector.", {
  id: field('ULID; for a run it becomes its id.', text),
  kind: field(
    'What is asked.',
    enumOf('CommandKind', {
      run: 'start a run',
      cancel: 'end a run',
      approve: 'go on with a held run',
      reset: 'forget the delivered state',
    }),
  ),
  sync: field('Name of the sync.', text),
  cause: field('Why.', runCause),
  run: field('ULID of the run that is meant.', nullable(text)),
  at: field('When it was asked.', millis),
  scope: field('What is asked that is no ordinary run.', nullable(runScope)),
  /** Null if nobody knows. */
  by: optional('Who asked: the name of a token, or of a user.', text),
  /** After an approval as `new`, the run that follows has `new`, too. */
  destination: optional(
    'Of the approval of a run whose destination changed.',
    enumOf('ApprovedDestination', {
      same: 'it is the same API, elsewhere: go on with the delivered state',
      new: 'it is another API: forget the delivered state',
    }),
  ),
})
export type Command = ValueOf<typeof command>

const runStatus = enumOf('RunStatus', {
  queued: 'waits for the run before it',
  running: 'at work',
  held: 'waits for approval',
  success: 'every row was delivered',
  warning: 'a row is invalid or was not delivered',
  failed: 'it could not finish',
  cancelled: 'somebody ended it',
})
export type RunStatus = ValueOf<typeof runStatus>

const invalidSample = recordOf('InvalidSample', 'A row that cannot be sent.', {
  key: field('Primary key.', nullable(text)),
  reason: field('Why.', text),
})
export type InvalidSample = ValueOf<typeof invalidSample>

/** The offsets at which a run ends in one partition: topics are trimmed by them. */
const partitionEnd = recordOf('PartitionEnd', 'Where a run ends in one partition.', {
  partition: field('The partition.', int),
  requests: field('Offset in requests.', long),
  attempts: field('Offset in attempts.', long),
})
export type PartitionEnd = ValueOf<typeof partitionEnd>

/** From seq `from` on, the outcomes of a run's changes in one partition are unknown (PROTOCOL.md §11). */
const fault = recordOf('Fault', 'From this seq on nobody knows what became of the changes in a partition.', {
  partition: field('The partition.', int),
  run: field('Number of the run within the sync.', long),
  from: field('The first seq whose fate is not known.', long),
})
export type Fault = ValueOf<typeof fault>

const deliveredToFields = {
  /** Without secrets. */
  url: field('Origin and path of the base URL.', text),
  /** By their names in lower case. A value that holds a secret is null here. */
  accounts: field('Headers and query parameters that name an account there.', mapOf(nullable(text))),
}
/** The place that rows are delivered to: URL and account, as far as these choose a set of rows. */
const deliveredTo = recordOf('DeliveredTo', 'Where rows are delivered to.', deliveredToFields)
export type DeliveredTo = ValueOf<typeof deliveredTo>

/** The destination that has the rows of a delivered state. */
const stateOwner = recordOf(
  'StateOwner',
  'The destination and the model whose rows the delivered state holds.',
  {
    ...deliveredToFields,
    /** If the events of a sync differ, the event with the highest number counts. */
    change: field('How many times that has changed.', long),
  },
)
export type StateOwner = ValueOf<typeof stateOwner>

/** Set for a run that would send to another destination than the one with the sync's rows. */
const changedDestination = recordOf('ChangedDestination', 'Two destinations that are not the same.', {
  from: field('The one that the delivered state is of.', deliveredTo),
  to: field('The one that the run would send to.', deliveredTo),
})
export type ChangedDestination = ValueOf<typeof changedDestination>

/** A run is held for a destination that changed, or for removals that the removal guard stops (R6). */
const heldRemovals = recordOf('HeldRemovals', 'What is not done until somebody approves it.', {
  removed: field('Rows that would be removed.', long),
  rows: field('Rows that the destination is believed to hold.', long),
  /** At most ten. */
  samples: field('Keys of some of those that would go.', listOf(text)),
  /** Null if the removals are the reason, and in records of earlier versions. */
  destination: optional('The destination, if that has changed.', changedDestination),
})
export type HeldRemovals = ValueOf<typeof heldRemovals>

/**
 * The progress of a run that brings the delivered state up to date from its topics. Records are counted by
 * offset, so records that compaction removed count as read.
 */
const restoring = recordOf('Restoring', 'How far the delivered state has come in its topics.', {
  /** Null if the state file only takes in new records. */
  why: field('Why it is rebuilt, if it is.', nullable(text)),
  records: field('Records read.', long),
  of: field('How many there are to read.', long),
})
export type Restoring = ValueOf<typeof restoring>

/** The progress of a sync's schedule. */
const fired = recordOf('Fired', 'How far the schedule of the sync has started runs.', {
  /** The schedule never starts a run again for this instant or an earlier one. */
  at: field('The last instant that a run answers to.', millis),
  by: field('The schedule, as JSON.', text),
  /** Null if the schedule has no further instant. */
  next: field('The instant after that.', nullable(millis)),
})
export type Fired = ValueOf<typeof fired>

const partitionPhaseFields = {
  renderingFrom: field('When its first request was rendered.', nullable(millis)),
  renderedAt: field('When its last one was.', nullable(millis)),
  sendingFrom: field('When delivery took up the first one.', nullable(millis)),
}
/** The times at which a run entered its phases. A time is null until then. */
const phases = recordOf('PhaseTimes', 'When a run came from one part of its life to the next.', {
  publishingFrom: field('When its first change was published.', nullable(millis)),
  publishedAt: field('When all were.', nullable(millis)),
  ...partitionPhaseFields,
  sentAt: field('When all partitions had reported.', nullable(millis)),
  heldAt: optional('When it began to await approval.', millis),
})
export type PhaseTimes = ValueOf<typeof phases>

/** A process of an earlier version cannot read a report with a kind that it does not know. */
const waitKind = enumOf('WaitKind', {
  queued: 'the run before it', // or its turn to be compared, or removals that go first
  parked: 'a pause, since processes died', // Only earlier versions wrote it.
  approval: 'somebody to approve it',
  detector: 'a change-detector',
  renderer: 'a renderer',
  delivery: 'a delivery',
  takeover: 'the owner before', // It is being replaced, or its last requests may still arrive.
  secret: 'a secret of the destination',
  token: 'an access token',
  throttled: 'a pause that the API asked for',
  limit: 'a limit of rate or concurrency',
  breaker: 'a destination that fails',
  'limits-store': 'what keeps the limits', // Redis does not answer, or may have lost the limits.
  tries: 'the time of the next try',
})
export type WaitKind = ValueOf<typeof waitKind>
export const WAIT_KINDS = waitKind.symbols

const wait = recordOf('Wait', 'What is waited for.', {
  kind: field('What sort of thing.', waitKind),
  since: field('Since when.', millis),
  /** Null if the end is not known. */
  until: field('Until when at the latest.', nullable(millis)),
  detail: field('The same in a sentence.', text),
})
export type Wait = ValueOf<typeof wait>

/** A wait as a stage sees it now. The reporter adds `since`. */
export type WaitNow = Omit<Wait, 'since'>

/** A place in a resource, or in a file of the machine that read it. */
const errorPlace = recordOf('ErrorPlace', 'A place in a resource, or in a file.', {
  file: field('The file, if the resource only names it.', nullable(text)),
  field: field('The field of the resource.', nullable(text)),
  line: field('The line in the text of the field, from 1.', nullable(int)),
  column: field('The column there, from 1.', nullable(int)),
  message: field('What is wrong.', text),
})
export type ErrorPlace = ValueOf<typeof errorPlace>

const failedRows = recordOf('FailedRows', 'Rows of a partition that failed for one reason.', {
  outcome: field('What became of the first one.', outcome),
  status: field('HTTP status of its answer.', nullable(int)),
  error: field('Its message.', nullable(text)),
  key: field('Its primary key.', text),
  since: field('When it failed.', millis),
  rows: field('How many failed so, and will not be sent again in the run.', long),
  retried: field('How many failed so, and will be sent again in the run.', long),
  /** Null in records of earlier versions. */
  again: optional('How many of `rows` were left by an earlier run.', long),
})
export type FailedRows = ValueOf<typeof failedRows>

const streamMinute = recordOf('StreamMinute', 'A minute of a stream.', {
  at: field('When it began.', millis),
  read: field('Entries read.', long),
  detected: field('Changes found.', long),
  delivered: field('Rows delivered.', long),
  failed: field('Rows that failed.', long),
  lagMs: field('The lag at its end, in milliseconds.', nullable(long)),
})
export type StreamMinute = ValueOf<typeof streamMinute>

/** How a run over a stream stands. The event is written anew while the run goes on. */
const streamProgress = recordOf('StreamProgress', 'How a run over a stream stands.', {
  since: field('When the stream began: its first run without a pause between.', millis),
  /** It compares before it follows the log. This is null once it follows it. */
  comparing: field('Why the whole table is compared, while it is.', nullable(text)),
  read: field('Entries read.', long),
  /** At most ten of their places stand among the invalid rows. */
  unreadable: field('Records set aside since they cannot be read.', long),
  lagRecords: field('Entries behind the last one that was read, as far as known.', nullable(long)),
  lagMs: field('How long ago the oldest entry that is not delivered was committed.', nullable(long)),
  committedAt: field('When the newest delivered entry was committed.', nullable(millis)),
  minutes: field('Its last minutes, at most 60, the oldest first.', listOf(streamMinute)),
})
export type StreamProgress = ValueOf<typeof streamProgress>

/** The state of a run, on `runs`, keyed by sync/run; the last one written counts. */
export const runEvent = recordOf('RunEvent', 'The state of a run.', {
  sync: field('Name of the sync.', text),
  incarnation: field('The life of the sync, from creation or reset to reset.', text),
  runId: field('ULID of the run.', text),
  run: field('Number of the run within the sync.', nullable(long)),
  status: field('Where it stands.', runStatus),
  cause: field('Why it runs.', runCause),
  scope: field('What it is asked to do that is no ordinary run.', nullable(runScope)),
  /** −1 before it has one. */
  marker: field("Offset of the writer's takeover marker in partition 0 of changes.", long),
  /** −1 if no command did. */
  command: field('Offset in commands of what caused it.', long),
  /** Its requests that are not sent yet become unsent. */
  cancelling: field('True once somebody asked to cancel it.', boolean),
  definition: field('Hash of the definition that it works by.', nullable(text)),
  first: field('True if the sync had never been through its model when it started.', boolean),
  complete: field('True once all its changes are published, or there were none.', boolean),
  partitions: field("How many partitions the sync's topics have.", int),
  queuedAt: field('When it was asked for.', millis),
  startedAt: field('When it started.', nullable(millis)),
  endedAt: field('When it ended.', nullable(millis)),
  rowsRead: field('Rows that the model gave.', long),
  rowsInvalid: field('Rows of these that cannot be sent.', long),
  invalidSamples: field('Some of them.', listOf(invalidSample)),
  /** Null in events of earlier versions. */
  undecided: field('Rows passed over since nobody has decided about them.', nullable(long)),
  /** Per op with a trigger: the changes that were found, and once the run has ended their outcomes. */
  counts: field('What became of its rows, per op.', countsByOp),
  error: field('Why it failed.', nullable(text)),
  /** An ErrorCode. */
  errorCode: field('The kind of error.', nullable(text)),
  notices: field('What its user should know.', listOf(text)),
  ends: field('Where it ends, for trimming.', listOf(partitionEnd)),
  /** Faults of earlier runs stay here until a complete run has taken them into account. */
  faults: field('Where changes were lost track of.', listOf(fault)),
  held: field('The removals, or the destination, for which it is held.', nullable(heldRemovals)),
  /** Null if no removals were approved. */
  approved: field('How many removals somebody has approved.', nullable(long)),
  /** Set for a retry, a discard or a resync. Null for other runs, and in events of earlier versions. */
  upTo: field('The command is about the rows that runs up to this number have left.', nullable(long)),
  /** Null for other runs, and in events of earlier versions. */
  asked: field('Offset of the command that asked for it, if `command` is an approval.', nullable(long)),
  /** Set once restoring has taken longer than a second. */
  restoring: field('The progress of bringing the delivered state up to date.', nullable(restoring)),
  /**
   * The count includes this process: if it dies before it writes another event, the count is right. Null in
   * events of earlier versions.
   */
  deaths: field(
    'The number of processes in a row that have died at work on the sync, if this is the last event of the run.',
    nullable(int),
  ),
  /** Copied from the command. Null if no command asked for the run, and in events of earlier versions. */
  by: field('Who asked for it.', nullable(text)),
  /** `at` is the instant that a run of the schedule is due for. */
  fired: field('How far the schedule has started runs.', nullable(fired)),
  aside: field('True if it failed since no process can work on its sync.', nullable(boolean)),
  phases: field('The time at which it reached each phase.', nullable(phases)),
  /** Null until the run ends, and in events of earlier versions. */
  certificates: field('Of each side, the certificate that ends first.', nullable(listOf(shownCertificate))),
  /** Null in events of earlier versions. */
  errorPlaces: field('The places of the mistake because of which it failed.', nullable(listOf(errorPlace))),
  deliveredTo: field(
    'The destination and the model whose rows the delivered state holds.',
    nullable(stateOwner),
  ),
  /**
   * Set once the run has ended, since reports are of the sync's last run. The first cause, and a few more.
   */
  failures: optional('The reasons for which its rows failed.', listOf(failedRows)),
  /** Absent in a run over a table. */
  stream: optional('How the stream stands.', streamProgress),
  /** With `upTo`, over a stream: the last slice of that run, by partition, that the command is about. */
  upToSlices: optional('Of run `upTo`: the last slice meant, by partition.', listOf(long)),
})
export type RunEvent = ValueOf<typeof runEvent>

const lately = recordOf('Lately', 'The rows of a partition that were finished just now.', {
  at: field('When they were counted.', millis),
  forMs: field('In how many milliseconds before that.', long),
  delivered: field('The delivered ones.', long),
  failed: field('The others that somebody tried to send.', long),
})
export type Lately = ValueOf<typeof lately>

/** The attempts of one run, or of several, that were made within five minutes. */
const attemptsSpan = recordOf('AttemptsSpan', 'How attempts of a short time ended.', {
  from: field('When the first of them ended.', millis),
  /** The last run among them. */
  run: field('Number of the run within the sync.', long),
  delivered: field('Attempts that the API took.', long),
  throttled: field('Attempts after which the API asked to wait.', long),
  /** By a kind such as `HTTP 422` or `ECONNREFUSED`, which quotes nothing of an answer. */
  errors: field('Attempts that failed, by kind.', mapOf(long)),
  rowsDelivered: field('Rows of answered attempts that were delivered.', long),
  rowsRejected: field('Rows of answered attempts that were rejected for good.', long),
  /** By the bins of `latency-bins.ts`. */
  latency: field('Attempts that were sent, by how long they took.', mapOf(long)),
})
export type AttemptsSpan = ValueOf<typeof attemptsSpan>

/** Counts of the answers to the last attempts of a partition. Each run passes them on to the next run. */
const recentAttempts = recordOf('RecentAttempts', 'How a destination answered lately.', {
  destination: field('Name of the destination.', text),
  /** Null if none was made yet. */
  at: field('When the last attempt ended.', nullable(millis)),
  spans: field('The attempts of the last hour before that, the oldest first.', listOf(attemptsSpan)),
  stopped: field(
    'Why the rest of its last run was not sent, until something is sent again.',
    nullable(
      recordOf('StoppedSending', 'What ended the sending of a run.', {
        by: field(
          'What sort of thing.',
          enumOf('StoppedBy', {
            breaker: 'the destination failed again and again',
            unusable: 'a secret, a certificate or a token is missing or wrong',
          }),
        ),
        at: field('When.', millis),
        detail: field('The same in a sentence.', text),
      }),
    ),
  ),
})
export type RecentAttempts = ValueOf<typeof recentAttempts>

/**
 * A report on one partition of a run, on `runs`, keyed by sync/partition. Delivery writes it, seldom another
 * stage.
 */
export const partitionReport = recordOf('PartitionReport', 'What delivery says of one partition of a run.', {
  sync: field('Name of the sync.', text),
  incarnation: field('The life of the sync, from creation or reset to reset.', text),
  run: field('Number of the run within the sync.', long),
  partition: field('The partition.', int),
  /** Readers skip a report whose offset is smaller than one that they have seen. */
  marker: field("Offset of the reporter's takeover marker in attempts.", long),
  counts: field('What became of its rows, per op.', countsByOp),
  /** Also true if delivery will never reach the `run-end`. False in a report of progress. */
  ended: field("True once the run's end is reached.", boolean),
  /**
   * Set if a gap in seq or a wrong count ended the run, or if a stage cannot go on. In a report of progress,
   * the renderer cannot go on, and asks delivery to end the partition.
   */
  faultedFrom: field('The first seq of changes whose fate is not known.', nullable(long)),
  error: field('Why it is not known.', nullable(text)),
  errorCode: field('The kind of error.', nullable(text)),
  /** 0 if the partition's part of the run is over and its `run-end` was not reached. */
  requestsEnd: field('Where the run ends in requests.', long),
  attemptsEnd: field('Where the run ends in attempts.', long),
  /** Null in reports of earlier versions, as are `phases`. */
  waits: field('What it waits for.', nullable(listOf(wait))),
  phases: field(
    'The time at which it reached each phase.',
    nullable(recordOf('PartitionPhases', 'When a partition of a run came so far.', partitionPhaseFields)),
  ),
  /** Null in reports of progress, and in those of earlier versions. */
  certificates: field('What its connections have shown.', nullable(listOf(shownCertificate))),
  /**
   * Set in a run whose removals go first, once none of the partition's removals can arrive any more. Absent
   * or null in other runs, and in reports of earlier versions.
   */
  removalsFinished: optional('True once its removals are finished.', boolean),
  /** Null if none died, and while the run goes on. */
  deaths: optional('So many processes died at work on it in this run.', int),
  /** At most a few reasons, in the order in which they came. */
  failures: optional('The reasons for which its rows failed.', listOf(failedRows)),
  /** Absent in the report of the partition's end. */
  lately: optional('How fast it is.', lately),
  /** Null before the run's destination is known, and in reports of other stages. */
  recent: optional('How the destination has answered lately.', recentAttempts),
  slice: optional('Of a run over a stream: the last slice that was passed on.', long),
})
export type PartitionReport = ValueOf<typeof partitionReport>
