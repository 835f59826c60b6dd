/** The Avro schemas of commands, run events and reports, beside those of `avro-schemas.ts`. */
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
  record,
  recordOf,
  text,
  type Typed,
} from './types.ts'
import type {
  Command,
  Fault,
  InvalidSample,
  PartitionReport,
  RunCause,
  RunEvent,
  RunScope,
  RunStatus,
} from '../records.ts'
import type { ChangedDestination, DeliveredTo, HeldRemovals, StateOwner } from '../runs/held-removals.ts'
import type { PartitionEnd } from '../runs/partition-ends.ts'
import type { ErrorPlace } from '../runs/error-place.ts'
import type { Restoring } from '../runs/restoring.ts'
import type { Fired, PhaseTimes } from '../runs/run-times.ts'
import type { CountsByOp, Op, OpCounts, Outcome, ShownCertificate, ReplayScope } from '../state.ts'
import type { Wait, WaitKind } from '../runs/waits.ts'

export const op = enumOf<Op>('Op', {
  removed: 'the row left the model',
  changed: 'a compared column differs',
  added: 'the row is new',
})
export const outcomes = {
  delivered: 'the API took it',
  rejected: 'the API said no',
  unknown: 'sent, and no answer came that tells',
  unsent: 'never sent',
  exists: 'the API has a row of that key already',
  missing: 'the API has no row of that key',
} as const
export const attemptOutcome = enumOf<Outcome | 'throttled'>('AttemptOutcome', {
  ...outcomes,
  throttled: 'the API asked to wait; it counts as no failure',
})

const runCause = enumOf<RunCause>('RunCause', {
  manual: 'somebody asked for it',
  schedule: 'it was due',
  retry: 'rows that failed are to be tried again',
  resync: 'all rows are to be sent again',
  replay: 'recorded requests are to be sent again',
  discard: 'rows that failed are to be passed over',
  reset: 'the sync begins anew',
})
const replayScope = recordOf<ReplayScope>('ReplayScope', 'Which recorded requests are to be sent again.', {
  keys: field('Primary keys of rows.', nullable(listOf(text))),
  run: field('ULID of the run that sent them.', nullable(text)),
  since: field('When an attempt began, at the earliest.', nullable(millis)),
  until: field('Before when it began.', nullable(millis)),
  status: field('HTTP status of the answer.', nullable(int)),
  outcome: field('What became of the attempt.', nullable(attemptOutcome)),
  trigger: field('The trigger that they belong to.', nullable(op)),
})
const runScope = recordOf<RunScope>('RunScope', 'What a run is asked to do that is no ordinary one.', {
  as: field(
    'Of a resync: as what every row is sent.',
    nullable(
      enumOf<'added' | 'changed'>('ResyncAs', {
        added: 'as if it were not certain that it is there',
        changed: 'as if it were not certain what is there',
      }),
    ),
  ),
  key: field('Of a discard or a retry: the row that is meant.', nullable(text)),
  status: field('Of a discard or a retry: the status of the answers that are meant.', nullable(int)),
  replay: field('Of a replay: the recorded requests that are meant.', nullable(replayScope)),
})
const runStatus = enumOf<RunStatus>('RunStatus', {
  queued: 'waits for the run before it',
  running: 'at work',
  held: 'waits for approval',
  success: 'every row was delivered',
  warning: 'a row is invalid or was not delivered',
  failed: 'it could not finish',
  cancelled: 'somebody ended it',
})

const triggerCounts = recordOf<OpCounts>('TriggerCounts', 'What became of the rows of one trigger.', {
  detected: field('Rows found.', long),
  delivered: field('Rows that the API took.', long),
  rejected: field('Rows that it, or rendering, refused.', long),
  unknown: field('Rows sent without an answer that tells.', long),
  unsent: field('Rows that were never sent.', long),
  requests: field('Requests made.', long),
  attempts: field('Tries at sending them.', long),
})
export const countsByOp: Typed<CountsByOp> = { schema: mapOf(triggerCounts).schema }

export const COMMAND_SCHEMA = record<Command>('Command', "Something asked of a sync's detector.", {
  id: field('ULID; for a run it becomes its id.', text),
  kind: field(
    'What is asked.',
    enumOf<Command['kind']>('CommandKind', {
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
  by: field('Who asked: the name of a token, or of a user.', nullable(text)),
  destination: field(
    'Of the approval of a run whose destination changed.',
    nullable(
      enumOf<'same' | 'new'>('ApprovedDestination', {
        same: 'it is the same API, elsewhere: go on with the delivered state',
        new: 'it is another API: forget the delivered state',
      }),
    ),
  ),
})

const invalidSample = recordOf<InvalidSample>('InvalidSample', 'A row that cannot be sent.', {
  key: field('Primary key.', nullable(text)),
  reason: field('Why.', text),
})
const partitionEnd = recordOf<PartitionEnd>('PartitionEnd', 'Where a run ends in one partition.', {
  partition: field('The partition.', int),
  requests: field('Offset in requests.', long),
  attempts: field('Offset in attempts.', long),
})
const fault = recordOf<Fault>(
  'Fault',
  'From this seq on nobody knows what became of the changes in a partition.',
  {
    partition: field('The partition.', int),
    run: field('Number of the run within the sync.', long),
    from: field('The first seq whose fate is not known.', long),
  },
)
const deliveredToFields = {
  url: field('Origin and path of the base URL.', text),
  accounts: field('Headers and query parameters that name an account there.', mapOf(nullable(text))),
}
const deliveredTo = recordOf<DeliveredTo>('DeliveredTo', 'Where rows are delivered to.', deliveredToFields)
const stateOwner = recordOf<StateOwner>('StateOwner', 'What the delivered state is of.', {
  ...deliveredToFields,
  change: field('How many times that has changed.', long),
})
const changedDestination = recordOf<ChangedDestination>(
  'ChangedDestination',
  'Two destinations that are not the same.',
  {
    from: field('The one that the delivered state is of.', deliveredTo),
    to: field('The one that the run would send to.', deliveredTo),
  },
)
const heldRemovals = recordOf<HeldRemovals>('HeldRemovals', 'What is not done until somebody approves it.', {
  removed: field('Rows that would be removed.', long),
  rows: field('Rows that the destination is believed to hold.', long),
  samples: field('Keys of some of those that would go.', listOf(text)),
  destination: field('The destination, if that has changed.', nullable(changedDestination)),
})

const restoring = recordOf<Restoring>('Restoring', 'How far the delivered state has come in its topics.', {
  why: field('Why it is rebuilt, if it is.', nullable(text)),
  records: field('Records read.', long),
  of: field('How many there are to read.', long),
})

const fired = recordOf<Fired>('Fired', 'How far the schedule of the sync has started runs.', {
  at: field('The last instant that a run answers to.', millis),
  by: field('The schedule, as JSON.', text),
  next: field('The instant after that.', nullable(millis)),
})
const partitionPhaseFields = {
  renderingFrom: field('When its first request was rendered.', nullable(millis)),
  renderedAt: field('When its last one was.', nullable(millis)),
  sendingFrom: field('When delivery took up the first one.', nullable(millis)),
}
const phases = recordOf<PhaseTimes>('PhaseTimes', 'When a run came from one part of its life to the next.', {
  publishingFrom: field('When its first change was published.', nullable(millis)),
  publishedAt: field('When all were.', nullable(millis)),
  ...partitionPhaseFields,
  sentAt: field('When all partitions had reported.', nullable(millis)),
})
const partitionPhases = recordOf<NonNullable<PartitionReport['phases']>>(
  'PartitionPhases',
  'When a partition of a run came so far.',
  partitionPhaseFields,
)
const wait = recordOf<Wait>('Wait', 'What is waited for.', {
  kind: field(
    'What sort of thing.',
    enumOf<WaitKind>('WaitKind', {
      queued: 'the run before it',
      parked: 'a pause, since processes died',
      approval: 'somebody to approve it',
      detector: 'a change-detector',
      renderer: 'a renderer',
      delivery: 'a delivery',
      takeover: 'the owner before',
      secret: 'a secret of the destination',
      token: 'an access token',
      throttled: 'a pause that the API asked for',
      limit: 'a limit of rate or concurrency',
      breaker: 'a destination that fails',
      'limits-store': 'what keeps the limits',
      tries: 'the time of the next try',
    }),
  ),
  since: field('Since when.', millis),
  until: field('Until when at the latest.', nullable(millis)),
  detail: field('The same in a sentence.', text),
})
const shownCertificate = recordOf<ShownCertificate>(
  'ShownCertificate',
  'A certificate that was shown over a connection to a destination.',
  {
    side: field(
      'Who showed it.',
      enumOf<ShownCertificate['side']>('CertificateSide', {
        server: 'the server of the destination',
        client: 'Sluice, as its client',
      }),
    ),
    subject: field('Whose it is.', text),
    expiresAt: field('When it ends.', millis),
  },
)
const errorPlace = recordOf<ErrorPlace>('ErrorPlace', 'A place in a resource, or in a file.', {
  file: field('The file, if the resource only names it.', nullable(text)),
  field: field('The field of the resource.', nullable(text)),
  line: field('The line in the text of the field, from 1.', nullable(int)),
  column: field('The column there, from 1.', nullable(int)),
  message: field('What is wrong.', text),
})
const shownCertificates = nullable(listOf(shownCertificate))

export const RUN_EVENT_SCHEMA = record<RunEvent>('RunEvent', 'The state of a run.', {
  sync: field('Name of the sync.', text),
  incarnation: field('The life of the sync, from creation or reset to reset.', text),
  runId: field('ULID of the run.', text),
  run: field('Number of the run within the sync.', nullable(long)),
  status: field('Where it stands.', runStatus),
  cause: field('Why it runs.', runCause),
  scope: field('What it is asked to do that is no ordinary run.', nullable(runScope)),
  marker: field("Offset of the writer's takeover marker in partition 0 of changes.", long),
  command: field('Offset in commands of what caused it.', long),
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
  undecided: field('Rows passed over since nobody has decided about them.', nullable(long)),
  counts: field('What became of its rows, per op.', countsByOp),
  error: field('Why it failed.', nullable(text)),
  errorCode: field('The kind of error.', nullable(text)),
  notices: field('What its user should know.', listOf(text)),
  ends: field('Where it ends, for trimming.', listOf(partitionEnd)),
  faults: field('Where changes were lost track of.', listOf(fault)),
  held: field('Why it is held, while it is.', nullable(heldRemovals)),
  approved: field('How many removals somebody has approved.', nullable(long)),
  upTo: field('What was asked for is about what runs up to this one left.', nullable(long)),
  asked: field('Offset of the command that asked for it, if `command` is an approval.', nullable(long)),
  restoring: field('How far the delivered state is brought up to date, while it is.', nullable(restoring)),
  deaths: field(
    'So many processes in a row died at work on the sync, if this is the last event of the run.',
    nullable(int),
  ),
  by: field('Who asked for it.', nullable(text)),
  fired: field('How far the schedule has started runs.', nullable(fired)),
  aside: field('True if it failed since no process can work on its sync.', nullable(boolean)),
  phases: field('When it came so far.', nullable(phases)),
  certificates: field('Of each side, the certificate that ends first.', shownCertificates),
  errorPlaces: field('Where the mistake is that failed it.', nullable(listOf(errorPlace))),
  deliveredTo: field('What the delivered state is of.', nullable(stateOwner)),
})

export const PARTITION_REPORT_SCHEMA = record<PartitionReport>(
  'PartitionReport',
  'What delivery says of one partition of a run.',
  {
    sync: field('Name of the sync.', text),
    incarnation: field('The life of the sync, from creation or reset to reset.', text),
    run: field('Number of the run within the sync.', long),
    partition: field('The partition.', int),
    marker: field("Offset of the reporter's takeover marker in attempts.", long),
    counts: field('What became of its rows, per op.', countsByOp),
    ended: field("True once the run's end is reached.", boolean),
    faultedFrom: field('The first seq of changes whose fate is not known.', nullable(long)),
    error: field('Why it is not known.', nullable(text)),
    errorCode: field('The kind of error.', nullable(text)),
    requestsEnd: field('Where the run ends in requests.', long),
    attemptsEnd: field('Where the run ends in attempts.', long),
    waits: field('What it waits for.', nullable(listOf(wait))),
    phases: field('When it came so far.', nullable(partitionPhases)),
    certificates: field('What its connections have shown.', shownCertificates),
    removalsFinished: field('True once its removals are finished.', nullable(boolean)),
    deaths: field('So many processes died at work on it in this run.', nullable(int)),
  },
)
