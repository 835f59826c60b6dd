/**
 * The JSON of `sluice … --json` and of the API. Times are ISO 8601 in UTC; `next` is null on the last page.
 */
import { z } from 'zod'
import { ERROR_CODES } from './errors.ts'
import {
  cutBodies,
  errorDetail,
  heldView,
  phaseView,
  tlsShown,
  triggerCounts,
  waitView,
} from './views/run-parts.ts'

const timestamp = z.iso.datetime()
const count = z.int().min(0)
const op = z.enum(['added', 'changed', 'removed'])
const next = z.string().nullable()
const headers = z.record(z.string(), z.string())

export const runStatus = z.enum(['queued', 'running', 'held', 'success', 'warning', 'failed', 'cancelled'])

export const runCause = z.enum(['manual', 'schedule', 'retry', 'resync', 'replay', 'discard', 'reset'])

const failedOutcome = z.enum(['rejected', 'unknown', 'unsent', 'exists', 'missing', 'delivered'])

/** Rows that were not delivered for one reason. Messages that differ in numbers alone are one reason. */
const errorGroup = z.object({
  outcome: failedOutcome,
  status: z.int().nullable(),
  /** The message of the first of them, and its key. */
  error: z.string().nullable(),
  key: z.string(),
  count: z.int().min(1),
})

/** One run. `triggers` has the sync's triggers only. */
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
  /** Why the run failed. */
  error: z.string().nullable(),
  /** Of a failed run: the kind of its error, if that is known. */
  errorCode: z.enum(ERROR_CODES).optional(),
  /**
   * Of a failed run: where the mistake is, if that is known. A server has no files, so it names the fields.
   */
  errorDetails: z.array(errorDetail).optional(),
  triggers: z.object({
    added: triggerCounts.optional(),
    changed: triggerCounts.optional(),
    removed: triggerCounts.optional(),
  }),
  /** Some of the rows that were not taken (for example, with a null or duplicated key), with the reason. */
  invalidRows: z.array(z.object({ key: z.string().nullable(), reason: z.string() })).optional(),
  held: heldView.optional(),
  /**
   * While a running run brings the delivered state up to date from its topics: how many records it has read,
   * and why the state is rebuilt, if it is.
   */
  restoring: z.object({ why: z.string().nullable(), records: count, of: count }).optional(),
  /** While the run is not over: what it waits for. Absent while it waits for nothing. */
  waiting: z.array(waitView).optional(),
  /** What the run went through so far, in order. Absent before it has begun. */
  phases: z.array(phaseView).optional(),
  /** Of a run that the schedule started: the instant that it was due. */
  dueAt: timestamp.optional(),
  /** Who asked for it: the name of a token, or of the user of a command. */
  by: z.string().optional(),
  /** Rows that were left alone, since nobody has decided about them. Absent where there are none. */
  rowsHeldBack: count.optional(),
  /** True for a run that failed since its sync is set aside: no process can work on the sync. */
  setAside: z.literal(true).optional(),
  /** What the run did that its user should know. */
  notices: z.array(z.string()).optional(),
  /** Of one run that has ended: why rows that it did not deliver still wait. Lists of runs lack it. */
  errors: z.array(errorGroup).optional(),
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
/** Milliseconds; null for what was not recorded. */
const attemptTiming = z.object({
  /** From the record of the request, or of the attempt before it, to its start. */
  queuedMs: milliseconds,
  /** How much of that it waited for the limits. */
  limitMs: milliseconds,
  /** From its start to the first byte of the answer. */
  firstByteMs: milliseconds,
  /** From its start to its end. */
  durationMs: milliseconds,
})
/** What became of one row, where that differs from the attempt. */
const rowOutcome = z.object({
  key: z.string().nullable(),
  outcome: attemptOutcome,
  error: z.string().nullable(),
})

/** One try at sending a request, redacted. */
export const attemptView = z.object({
  requestId: z.string(),
  /** Of a test: its own id. */
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
  ...cutBodies,
  /** True for a request that a person tried out, which belongs to no run. */
  test: z.literal(true).optional(),
})
export const attemptsPage = z.object({ attempts: z.array(attemptView), next })

/**
 * A request with all attempts at it, from the first to the last. It says of each attempt what it took besides
 * the answer, as far as that was recorded.
 */
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
      /** Those of the trigger, without secrets. */
      headers,
      body: z.string().nullable(),
      rows: z.array(z.object({ key: z.string(), op })),
      /** When the renderer wrote it. */
      renderedAt: timestamp,
      /** Why it could not be rendered. */
      error: z.string().nullable(),
    })
    .nullable(),
  attempts: z.array(attemptView.extend({ timing: attemptTiming, rows: z.array(rowOutcome) })),
})

/** A row that was not delivered, and that the next run tries again unless its page says otherwise. */
const failedRow = z.object({
  key: z.string(),
  op,
  outcome: failedOutcome,
  status: z.int().nullable(),
  error: z.string().nullable(),
  attempts: count,
  /** In how many runs it was tried. */
  runs: count,
  since: timestamp,
})
export const failedPage = z.object({
  rows: z.array(failedRow),
  next,
  /** All rows that match, not those of the page alone, by their reason. The largest group first. */
  groups: z.array(errorGroup).optional(),
  /** True for a sync with `delivery: at-most-once`: rows with the outcome `unknown` wait for somebody. */
  atMostOnce: z.boolean().optional(),
})

const certificate = z.object({
  subject: z.string(),
  issuer: z.string(),
  /** The names and addresses that it is for. */
  names: z.array(z.string()),
  validFrom: timestamp,
  validUntil: timestamp,
})

export const validateView = z.object({
  ok: z.literal(true),
  resources: count,
  /** The environment that the project was read for; absent without one. */
  environment: z.string().optional(),
  /** Files with documents that other tools wrote, relative to the project folder. */
  skipped: z.array(z.string()),
  /** Warnings, such as of a credential in a file, or of a login that may do more than read. */
  warnings: z.array(z.string()).optional(),
  /** With `--connect`: the destinations that are reached over TLS. */
  destinations: z
    .array(
      z.object({
        name: z.string(),
        /** Such as `TLSv1.3`. */
        protocol: z.string().nullable(),
        server: certificate.nullable(),
        /** What is shown to a server that asks for it. */
        client: certificate.nullable(),
      }),
    )
    .optional(),
})

/** What the next run of a sync would send. */
export const previewView = z.object({
  sync: z.string(),
  /** Rows per trigger; 0 for a trigger that the sync does not have. All rows count, however few are shown. */
  counts: z.object({ added: count, changed: count, removed: count }),
  /**
   * Requests as they would be sent, with secrets masked. The idempotency key is missing, since an attempt
   * gets it.
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
      /** True if no row of the trigger waits, and a row of the model stands for one. */
      sample: z.literal(true).optional(),
    }),
  ),
  /** Rows that cannot become a request, with the reason. */
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
  /** True if all that is shown are samples. */
  sample: z.literal(true).optional(),
  /** As in a run. */
  invalidRows: runView.shape.invalidRows,
  /** From a server: how many rows were read and were invalid, and what else people should know. */
  rowsRead: count.optional(),
  rowsInvalid: count.optional(),
  notices: z.array(z.string()).optional(),
  /** True if there are more requests than were asked for. */
  more: z.boolean().optional(),
})

/** Recorded requests that a replay would send again, and the rows in them. */
const replayCounts = z.object({ requests: count, rows: count })

/** What a replay would send. */
export const replayView = z.object({
  sync: z.string(),
  ...replayCounts.shape,
  /** By trigger; a trigger of which nothing is recorded is missing. */
  triggers: z.object({
    added: replayCounts.optional(),
    changed: replayCounts.optional(),
    removed: replayCounts.optional(),
  }),
  /** The first requests, in the order in which they would be sent. */
  first: z.array(
    z.object({
      /** As attempts name it. */
      requestId: z.string(),
      run: z.string(),
      trigger: op,
      method: z.string(),
      path: z.string(),
      keys: z.array(z.string()),
    }),
  ),
  /** Known runs that fit, and whose requests are not recorded any more. */
  notRecorded: z.object({ runs: count, requests: count }),
  /** What else people should know. */
  notices: z.array(z.string()),
})

/** A run in figures, for a small picture of the last ones. */
const runFigures = z.object({
  id: z.string(),
  status: runStatus,
  startedAt: timestamp.nullable(),
  endedAt: timestamp.nullable(),
  detected: count,
  delivered: count,
  failed: count,
})

/** A sync, and how it is. */
export const syncView = z.object({
  name: z.string(),
  model: z.string(),
  destination: z.string(),
  /** As its author wrote it, such as `{ "every": "15m" }`. */
  schedule: z.union([
    z.literal('manual'),
    z.object({ every: z.string() }),
    z.object({ cron: z.string(), timezone: z.string().optional() }),
  ]),
  paused: z.boolean(),
  state: z.enum(['running', 'parked', 'queued', 'held', 'set-aside', 'paused', 'idle']),
  /** The newest run that took its place in the queue, ended or not. */
  lastRun: runView.nullable(),
  /** The next instant of its schedule; null without one, while it is paused, and where nothing runs it. */
  nextRunAt: timestamp.nullable(),
  /** What its open run waits for; empty where it waits for nothing. */
  waiting: z.array(waitView),
  /** Rows that were not delivered: those that the next run tries again, and those that wait for somebody. */
  rows: z.object({ failed: count, heldBack: count }),
  certificates: tlsShown,
  /** The last runs that began, the newest first, where they are asked for. */
  runs: z.array(runFigures).optional(),
})
export const syncsPage = z.object({ syncs: z.array(syncView), next })

/** A resource as its author wrote it. Its secrets are references. */
export const resourceView = z.object({
  ...{ kind: z.enum(['source', 'model', 'destination', 'sync', 'alert']), name: z.string() },
  /** The resource's fields, by name. */
  spec: z.record(z.string(), z.unknown()),
  /** The YAML that its author wrote, with comments. Absent where fields alone were written. */
  text: z.string().optional(),
  /** The project whose folder it comes from; empty for one that was written on a server. */
  project: z.string().optional(),
  /** Grows with each change. Absent where the folder's files are shown as they are. */
  version: count.optional(),
  ...{ changedAt: timestamp.nullable().optional(), changedBy: z.string().nullable().optional() },
})
export const resourcesPage = z.object({ resources: z.array(resourceView), next })

/** A secret of the vault. No document has its value. */
const secretView = z.object({
  /** A login is what Sluice keeps of a destination, such as its refresh token. */
  kind: z.enum(['secret', 'login']),
  name: z.string(),
  /** The hosts that it may go to; null if nobody has said. */
  for: z.string().nullable(),
  since: timestamp,
  /** Who set it: the name of a token, or of the user of a command; null if nobody has said. */
  by: z.string().nullable().optional(),
  /** The id of the key that it is encrypted with. */
  key: z.string(),
})
export const secretsView = z.object({ secrets: z.array(secretView) })
/** A secret that was set, by the name that it has in the vault. */
export const secretSetView = z.object({ name: z.string(), for: z.string().nullable(), replaced: z.boolean() })
export const secretRemovedView = z.object({ removed: z.string() })
export const secretsResealedView = z.object({ resealed: count })

/** Who asks a server, and what they may do. */
export const sessionView = z.object({
  /** The name of the token; `operator` where none is wanted. */
  name: z.string(),
  /** `session`: by a cookie; `local`: no token is wanted, so that nobody need log in or out. */
  by: z.enum(['session', 'token', 'local']),
  roles: z.array(z.enum(['view', 'read', 'edit', 'run', 'approve', 'operate', 'secrets'])),
  /** When the session ends at the latest, and when if nobody uses it; null without a session. */
  endsAt: timestamp.nullable(),
  idleUntil: timestamp.nullable(),
})
/** False if there was no session. */
export const sessionEndedView = z.object({ ended: z.boolean() })

const errorDetails = z.array(errorDetail)

/** What went wrong, with the places in the user's files. */
export const errorBody = z.object({
  error: z.object({ code: z.string(), message: z.string(), details: errorDetails }),
})

/** The same as the API tells it (RFC 9457). */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.enum(ERROR_CODES),
  /** True if the same request may succeed later though nobody changes anything. */
  retryable: z.boolean(),
  errors: errorDetails,
  /** Of a change that is based on an earlier version: that one, and the present one (0: none). */
  versions: z.object({ yours: count, present: count }).optional(),
})

export type RunView = z.output<typeof runView>
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
export type SyncView = z.output<typeof syncView>
export type ReplayView = z.output<typeof replayView>
export type SyncsPage = z.output<typeof syncsPage>
export type ResourceView = z.output<typeof resourceView>
export type ResourcesPage = z.output<typeof resourcesPage>
export type SecretsView = z.output<typeof secretsView>
export type SessionView = z.output<typeof sessionView>
export type Problem = z.output<typeof problem>
export type ErrorBody = z.output<typeof errorBody>
