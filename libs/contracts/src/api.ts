/**
 * The JSON of `sluice … --json` and of the API. Times are ISO 8601 in UTC; `next` is null on the last page.
 */
import { z } from 'zod'
import { ERROR_CODES } from './errors.ts'
import {
  count,
  errorDetail,
  failedOutcome,
  heldView,
  op,
  phaseView,
  progressView,
  streamOfRunView,
  streamView,
  throughputView,
  timestamp,
  tlsShown,
  triggerCounts,
  truncatedBodies,
  waitView,
} from './views/run-parts.ts'

const next = z.string().nullable()
const headers = z.record(z.string(), z.string())

export const runStatus = z.enum(['queued', 'running', 'held', 'success', 'warning', 'failed', 'cancelled'])

export const runCause = z.enum(['manual', 'schedule', 'retry', 'resync', 'replay', 'discard', 'reset'])

/** Rows that were not delivered for one reason. Messages that differ only in numbers count as one. */
const errorGroup = z.object({
  outcome: failedOutcome,
  status: z.int().nullable(),
  /** The message and the key of the first such row. */
  error: z.string().nullable(),
  key: z.string(),
  count: z.int().min(1),
  /**
   * While the run is under way: the number of these rows that it will send again. Absent if there are none.
   */
  retried: count.optional(),
  /** The time of the first such failure, if it is known. */
  since: timestamp.optional(),
  /**
   * Names the group of these rows, for a list, a retry or a discard. Rows that fail for the first time later
   * are not in it. Absent while the run is under way, and in a list of one key, whose group may have other
   * rows.
   */
  id: z.string().optional(),
})

/** One run. `triggers` has only the triggers that the sync has. */
export const runView = z.object({
  id: z.string(),
  sync: z.string(),
  status: runStatus,
  cause: runCause,
  /** Null while the run is queued. */
  startedAt: timestamp.nullable(),
  endedAt: timestamp.nullable(),
  rowsRead: count,
  rowsInvalid: count,
  /** The reason why the run failed. */
  error: z.string().nullable(),
  /** The kind of the error of a failed run, if it is known. */
  errorCode: z.enum(ERROR_CODES).optional(),
  /**
   * The places of the mistake that made the run fail, if they are known. A server names fields, not files.
   */
  errorDetails: z.array(errorDetail).optional(),
  triggers: z.object({
    added: triggerCounts.optional(),
    changed: triggerCounts.optional(),
    removed: triggerCounts.optional(),
  }),
  /** Some of the invalid rows (for example, with a null or duplicated key), each with the reason. */
  invalidRows: z.array(z.object({ key: z.string().nullable(), reason: z.string() })).optional(),
  held: heldView.optional(),
  /**
   * Present while the run brings the delivered state up to date from its topics. It has read `records` of
   * `of` records. `why` says why the state is rebuilt; null if it is not.
   */
  restoring: z.object({ why: z.string().nullable(), records: count, of: count }).optional(),
  /** The waits of an open run. Absent while it waits for nothing. */
  waiting: z.array(waitView).optional(),
  /** The phases of the run so far, in order. Absent before it has begun. */
  phases: z.array(phaseView).optional(),
  /** The instant at which a run of the schedule was due. */
  dueAt: timestamp.optional(),
  /** The name of the token, or of the user of a command, that asked for it. */
  by: z.string().optional(),
  /** Rows that wait for somebody's decision, so that the run skipped them. Absent without such rows. */
  rowsHeldBack: count.optional(),
  /** True for a run that failed because its sync is suspended: no process can work on the sync. */
  setAside: z.literal(true).optional(),
  /** Sentences for people about the run. */
  notices: z.array(z.string()).optional(),
  /**
   * The reasons for which rows failed, the largest group first. While the run is under way, these are a few
   * reasons of rows that failed so far. Later, these are the reasons of rows that still wait, or a few
   * reasons that the run keeps if none waits any more. Absent in lists of runs.
   */
  errors: z.array(errorGroup).optional(),
  /** The first failure of its rows, which usually caused the others. */
  firstError: errorGroup.optional(),
  /** True while some rows of the run failed and no row was delivered. */
  failing: z.literal(true).optional(),
  /** Present while the run is under way, once its rows are compared. */
  progress: progressView.optional(),
  /** Present while the run sends. */
  throughput: throughputView.optional(),
  /** Present for a run of a stream, once it has begun to stream. */
  stream: streamOfRunView.optional(),
  /**
   * In a list of runs: the number of runs that this entry stands for, if a stream could not start and failed
   * for the same reason each time. It starts when the first of them did.
   */
  failedStarts: count.optional(),
})
export const runsPage = z.object({ runs: z.array(runView), next })

export const attemptOutcome = z.enum([
  'delivered',
  'rejected',
  'unknown',
  'unsent',
  'throttled',
  'exists',
  'missing',
])

const milliseconds = z.number().min(0).nullable()
/** Durations in milliseconds; null if they were not recorded. */
const attemptTiming = z.object({
  /** From the record of the request, or of the attempt before this one, to the start of this attempt. */
  queuedMs: milliseconds,
  /** The part of that time in which it waited for the limits. */
  limitMs: milliseconds,
  /** From the attempt's start to the first byte of the answer. */
  firstByteMs: milliseconds,
  /** From the attempt's start to its end. */
  durationMs: milliseconds,
})
/** The outcome of one row, if it differs from the attempt's. */
const rowOutcome = z.object({
  key: z.string().nullable(),
  outcome: attemptOutcome,
  error: z.string().nullable(),
})

/** One attempt at sending a request, redacted. */
export const attemptView = z.object({
  requestId: z.string(),
  /** A test has its own id here. */
  run: z.string(),
  sync: z.string(),
  trigger: op,
  /** From 1; 0 for a request that was never sent. */
  attempt: count,
  /** The keys of the rows in the request, as text. */
  keys: z.array(z.string()),
  method: z.string(),
  url: z.string(),
  status: z.int().nullable(),
  outcome: attemptOutcome,
  startedAt: timestamp,
  durationMs: z.number().min(0),
  requestHeaders: headers,
  requestBody: z.string().nullable(),
  responseHeaders: headers,
  responseBody: z.string().nullable(),
  error: z.string().nullable(),
  ...truncatedBodies,
  /** True for a test request that a person sent. It belongs to no run. */
  test: z.literal(true).optional(),
})
export const attemptsPage = z.object({ attempts: z.array(attemptView), next })

/** A request with all attempts at it, from the first to the last, and with their timing. */
export const requestView = z.object({
  requestId: z.string(),
  run: z.string(),
  sync: z.string(),
  trigger: op,
  /** Null once Sluice no longer holds the request. Its attempts may be held for longer. */
  request: z
    .object({
      method: z.string(),
      /** Appended to the destination's base URL. */
      path: z.string(),
      /** The headers of the trigger, without secrets. */
      headers,
      body: z.string().nullable(),
      rows: z.array(z.object({ key: z.string(), op })),
      /** The time at which the renderer wrote it. */
      renderedAt: timestamp,
      /** The reason why it could not be rendered. */
      error: z.string().nullable(),
    })
    .nullable(),
  attempts: z.array(attemptView.extend({ timing: attemptTiming, rows: z.array(rowOutcome) })),
})

/** A row that was not delivered. The next run tries it again, unless it waits for somebody (`atMostOnce`). */
export const failedRow = z.object({
  key: z.string(),
  op,
  outcome: failedOutcome,
  status: z.int().nullable(),
  error: z.string().nullable(),
  attempts: count,
  /** The number of runs that tried it. */
  runs: count,
  since: timestamp,
  /**
   * The columns of the row as its request had them, if they were asked for. Null if they are no longer held.
   */
  row: z.record(z.string(), z.unknown()).nullable().optional(),
})
export const failedPage = z.object({
  rows: z.array(failedRow),
  next,
  /** All matching rows by their reason, the largest group first. Rows of other pages count, too. */
  groups: z.array(errorGroup).optional(),
  /**
   * Names all matching rows, for a retry or a discard. Rows that fail for the first time later are not in it.
   * Absent in a list of one run or of one group.
   */
  group: z.string().optional(),
  /** True for a sync with `delivery: at-most-once`: rows with the outcome `unknown` wait for somebody. */
  atMostOnce: z.boolean().optional(),
})

export const certificateView = z.object({
  subject: z.string(),
  issuer: z.string(),
  /** The host names and addresses that the certificate is valid for. */
  names: z.array(z.string()),
  validFrom: timestamp,
  validUntil: timestamp,
})

export const validateView = z.object({
  ok: z.literal(true),
  resources: count,
  /** The environment that the project was read for; absent without one. */
  environment: z.string().optional(),
  /** Files that hold documents of other tools, relative to the project folder. */
  skipped: z.array(z.string()),
  /** Warnings: for example, a file contains a credential, or a login may do more than read. */
  warnings: z.array(z.string()).optional(),
  /** Present with `--connect`: the destinations that are reached over TLS. */
  destinations: z
    .array(
      z.object({
        name: z.string(),
        /** For example `TLSv1.3`. */
        protocol: z.string().nullable(),
        server: certificateView.nullable(),
        /** The certificate that Sluice shows to a server that asks for one. */
        client: certificateView.nullable(),
      }),
    )
    .optional(),
})

/** The requests that the next run of a sync would send. */
export const previewView = z.object({
  sync: z.string(),
  /** Rows per trigger, 0 for a trigger that the sync does not have. Rows that are not shown count, too. */
  counts: z.object({ added: count, changed: count, removed: count }),
  /**
   * Requests as they would be sent, with secrets masked. They have no idempotency key, since only an attempt
   * gets one.
   */
  requests: z.array(
    z.object({
      trigger: op,
      method: z.string(),
      url: z.string(),
      headers,
      body: z.string().nullable(),
      /** The keys of the rows in the request, as text. */
      keys: z.array(z.string()),
      /** True if the trigger has no row to send, so that some row of the model serves as an example. */
      sample: z.literal(true).optional(),
    }),
  ),
  /** Rows for which no request can be rendered, with the reason. */
  rejected: z
    .array(
      z.object({
        trigger: op,
        keys: z.array(z.string()),
        error: z.string(),
        sample: z.literal(true).optional(),
      }),
    )
    .optional(),
  /** True if all requests are examples. */
  sample: z.literal(true).optional(),
  invalidRows: runView.shape.invalidRows,
  /** A server also counts the rows that it read, and adds notices for people. */
  rowsRead: count.optional(),
  rowsInvalid: count.optional(),
  notices: z.array(z.string()).optional(),
  /** True if there are more requests than were asked for. */
  more: z.boolean().optional(),
})

/** Recorded requests that a replay would send again, and the rows in them. */
const replayCounts = z.object({ requests: count, rows: count })

/** The recorded requests that a replay would send. */
export const replayView = z.object({
  sync: z.string(),
  ...replayCounts.shape,
  /** The counts of each trigger. A trigger without recorded requests has no field. */
  triggers: z.object({
    added: replayCounts.optional(),
    changed: replayCounts.optional(),
    removed: replayCounts.optional(),
  }),
  /** The first requests, in the order in which they would be sent. */
  first: z.array(
    z.object({
      /** The id that attempts have, too. */
      requestId: z.string(),
      run: z.string(),
      trigger: op,
      method: z.string(),
      path: z.string(),
      keys: z.array(z.string()),
    }),
  ),
  /** Matching runs whose requests are not held any more, and how many requests these were. */
  notRecorded: z.object({ runs: count, requests: count }),
  /** Sentences for people. */
  notices: z.array(z.string()),
})

/** Status and counts of a run, for a small chart of the last runs. */
const runTotals = z.object({
  id: z.string(),
  status: runStatus,
  startedAt: timestamp.nullable(),
  endedAt: timestamp.nullable(),
  detected: count,
  delivered: count,
  failed: count,
})

/** A run that a person asked for, and that was refused before it began. */
const refusedRun = z.object({ at: timestamp, by: z.string().nullable(), error: z.string() })

/** The trouble of a sync: the cause, for how long it lasts, and what mends it. */
const syncTrouble = z.object({
  /** Sentences for people. Text in backticks is a name. */
  text: z.string(),
  /** True if the text quotes the API. */
  quotesAnswer: z.literal(true).optional(),
  /** The source that could not be read. Absent if something else is wrong. */
  source: z.string().optional(),
  /** True if nothing arrives. */
  isFailing: z.boolean(),
  /** The act of a person that mends it, if Sluice knows one. `name` is the secret, or the destination. */
  fix: z.object({ act: z.enum(['set-secret', 'log-in']), name: z.string() }).nullable(),
  /** The id of the run that shows it. Null for a run that was refused. */
  run: z.string().nullable(),
  /** The time since when rows are missing at the destination, and the runs that have ended since. */
  since: timestamp.nullable(),
  runs: count,
})

/** A sync and its state. */
export const syncView = z.object({
  name: z.string(),
  /** A name for people. Absent if its author gave none. */
  title: z.string().optional(),
  /** Absent if it has none. */
  labels: z.array(z.string()).optional(),
  model: z.string(),
  destination: z.string(),
  /** The schedule as its author wrote it, such as `{ "every": "15m" }`. */
  schedule: z.union([
    z.literal('manual'),
    z.literal('continuous'),
    z.object({ every: z.string() }),
    z.object({ cron: z.string(), timezone: z.string().optional() }),
  ]),
  paused: z.boolean(),
  state: z.enum(['running', 'parked', 'queued', 'held', 'set-aside', 'paused', 'idle']),
  /** The run that is running or held. Without one, the newest run, be it queued or ended. */
  lastRun: runView.nullable(),
  /** The number of runs that are queued behind it. Absent if there are none. */
  queuedRuns: count.optional(),
  /** Present for a stream, once it has begun. */
  stream: streamView.optional(),
  /** Its trouble. Absent if nothing is wrong with it. */
  trouble: syncTrouble.optional(),
  /**
   * The next instant of its schedule. Null without one, while it is paused, while a run is held, and if no
   * server runs it.
   */
  nextRunAt: timestamp.nullable(),
  /** The waits of its open run. Empty if it waits for nothing. */
  waiting: z.array(waitView),
  /** Rows that were not delivered: `failed` are tried again by the next run, `heldBack` wait for somebody. */
  rows: z.object({ failed: count, heldBack: count }),
  certificates: tlsShown,
  /**
   * The time since when the destination lacks rows of the model: the start of the first run after the last
   * run that delivered all rows. Null if the newest run did. Servers of earlier versions do not answer it.
   */
  behindSince: timestamp.nullable().optional(),
  /**
   * The rows that runs delivered since the time that the caller asked about, to the quarter of an hour. With
   * `isWhole: false` there may be more, since some of the runs are no longer known.
   */
  delivered: z.object({ rows: count, isWhole: z.boolean() }).optional(),
  /**
   * The last request for a run, if it was refused for a reason that still holds, such as a missing secret.
   */
  refused: refusedRun.optional(),
  /** The last runs that began, the newest first. Present if the caller asks for them. */
  runs: z.array(runTotals).optional(),
})
export const syncsPage = z.object({ syncs: z.array(syncView), next })

/** A resource as its author wrote it. Its secrets are references. */
export const resourceView = z.object({
  ...{ kind: z.enum(['source', 'model', 'destination', 'sync', 'alert']), name: z.string() },
  /** The resource's fields, by name. */
  spec: z.record(z.string(), z.unknown()),
  /** The YAML that its author wrote, with comments. Absent if only the fields were written. */
  text: z.string().optional(),
  /** The project whose folder it comes from. Empty for a resource that was written on a server. */
  project: z.string().optional(),
  /**
   * The version, which grows with each change. Absent for a resource that comes straight from a file of the
   * folder.
   */
  version: count.optional(),
  ...{ changedAt: timestamp.nullable().optional(), changedBy: z.string().nullable().optional() },
})
export const resourcesPage = z.object({ resources: z.array(resourceView), next })

/** A secret of the vault, without its value, which no answer has. */
const secretView = z.object({
  /** A `login` is kept by Sluice for a destination, such as its refresh token. */
  kind: z.enum(['secret', 'login']),
  name: z.string(),
  /** The hosts that it may go to. Null if nobody has named any. */
  for: z.string().nullable(),
  since: timestamp,
  /** The name of the token, or of the user of a command, that set it. Null if nobody gave a name. */
  by: z.string().nullable().optional(),
  /** The id of the key that it is encrypted with. */
  key: z.string(),
})
/** A secret that a resource names. Processes look it up in their environment first, and then in the vault. */
const namedSecretView = z.object({
  name: z.string(),
  /** `missing`: it is not set. `unknown`: only other processes may have it. */
  from: z.enum(['environment', 'vault', 'missing', 'unknown']),
  /** The variable of the server's environment that sets it. Null if none does. */
  variable: z.string().nullable(),
  usedBy: z.array(z.object({ kind: z.enum(['source', 'destination', 'alert']), name: z.string() })),
})
export const secretsView = z.object({
  secrets: z.array(secretView),
  /** The secrets that resources name. Absent in earlier versions, and if the project is wrong. */
  named: z.array(namedSecretView).optional(),
})
/**
 * A secret that was set; `replaced` is true if the vault had one of that name. `variable` is the variable of
 * the server's environment that goes before the vault, if there is one.
 */
export const secretSetView = z.object({
  ...{ name: z.string(), for: z.string().nullable(), replaced: z.boolean() },
  variable: z.string().optional(),
})
export const secretRemovedView = z.object({ removed: z.string() })
export const secretsResealedView = z.object({ resealed: count })

/** The caller of a server, and its roles. */
export const sessionView = z.object({
  /** The name of the token or the person; `operator` if the server wants no token. */
  name: z.string(),
  /** `session`: the caller sent a cookie. `local`: the server wants no token, and nobody logs in or out. */
  by: z.enum(['session', 'token', 'local']),
  roles: z.array(z.enum(['view', 'read', 'edit', 'run', 'approve', 'operate', 'secrets'])),
  /**
   * `endsAt` is the latest end of the session. `idleUntil` is its end if nobody uses it. Both are null
   * without a session.
   */
  endsAt: timestamp.nullable(),
  idleUntil: timestamp.nullable(),
})
/** `ended` is false if there was no session. */
export const sessionEndedView = z.object({ ended: z.boolean() })

const errorDetails = z.array(errorDetail)

/** An error of a command, with the places in the user's files. */
export const errorBody = z.object({
  error: z.object({ code: z.string(), message: z.string(), details: errorDetails }),
})

/** An error of the API (RFC 9457). */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.enum(ERROR_CODES),
  /** True if the same request may succeed later even if nobody changes anything. */
  retryable: z.boolean(),
  errors: errorDetails,
  /**
   * Present if the caller's change is based on an old version: that version and the present one (0: none).
   */
  versions: z.object({ yours: count, present: count }).optional(),
})

export type RunView = z.output<typeof runView>
export type SyncTrouble = z.output<typeof syncTrouble>
export type RefusedRun = z.output<typeof refusedRun>
export type RunsPage = z.output<typeof runsPage>
export type AttemptView = z.output<typeof attemptView>
export type AttemptsPage = z.output<typeof attemptsPage>
export type RequestView = z.output<typeof requestView>
export type AttemptOutcome = z.output<typeof attemptOutcome>
export type FailedRow = z.output<typeof failedRow>
export type FailedPage = z.output<typeof failedPage>
export type PreviewView = z.output<typeof previewView>
export type ValidateView = z.output<typeof validateView>
export type WaitView = z.output<typeof waitView>
export type StreamView = z.output<typeof streamView>
export type SyncView = z.output<typeof syncView>
export type ReplayView = z.output<typeof replayView>
export type SyncsPage = z.output<typeof syncsPage>
export type ResourceView = z.output<typeof resourceView>
export type ResourcesPage = z.output<typeof resourcesPage>
export type SecretsView = z.output<typeof secretsView>
export type SessionView = z.output<typeof sessionView>
export type Problem = z.output<typeof problem>
export type ErrorBody = z.output<typeof errorBody>
