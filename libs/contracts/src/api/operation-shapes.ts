/**
 * The input and the answer of each operation. A query is text, so numbers in it are parsed. Unknown names are
 * errors, since a misspelt filter would show everything.
 */
import { z } from 'zod'
import {
  attemptOutcome,
  attemptsPage,
  attemptView,
  failedPage,
  previewView,
  replayView,
  requestView,
  resourcesPage,
  resourceView,
  runCause,
  runsPage,
  runStatus,
  runView,
  secretRemovedView,
  secretSetView,
  secretsResealedView,
  secretsView,
  sessionEndedView,
  sessionView,
  syncsPage,
  syncView,
} from '../api.ts'
import { resourceName } from '../resources.ts'
import { alertsView, alertTestedView } from '../specs/alert-views.ts'
import { topicFields } from '../specs/topic-specs.ts'
import { rowLifeView, runAnswersView, runFiguresView } from '../views/history-views.ts'
import { op } from '../views/run-parts.ts'
import { MAX_SIGN_IN_PATH, type OperationName } from './operations.ts'
import * as operating from './operating.ts'
import * as resources from './resources.ts'

export interface Shape {
  readonly summary: string
  /** The parameters of the path. */
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  readonly body?: z.ZodObject
  /** Replaces `body` if the whole body, of any kind, is one field of the input. */
  readonly document?: z.ZodType
  readonly answer: z.ZodType
}

const MAX_PER_PAGE = 1000
const DEFAULT_LIMIT = 50
/** Services keep only the last runs of a sync. */
const MAX_RECENT = 50
/** The key of a row has up to 8 KB, and so has a cursor that holds one. */
const MAX_TEXT = 16_384
const MAX_NAME = 200
/** The most keys in the filter of a replay. */
const MAX_KEYS = 1000
const MAX_SEARCHED = 500
const MAX_BUCKETS = 1_000
const BUCKETS = 120
/** The most requests that a preview shows at once. */
export const MAX_PREVIEWED = 10_000
const PREVIEWED = 100
const MAX_TIMES = 20
const TIMES = 5
const MAX_YAML = 1_000_000
const MAX_DOCUMENTS = 1_000
/** The most resources of one apply. */
const MAX_APPLIED = 100_000

const text = z.string().min(1).max(MAX_TEXT)
const name = z.string().min(1).max(MAX_NAME)
const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, `expected a whole number from ${min} to ${max}`)
    .transform(Number)
    .pipe(z.int().min(min).max(max))
    // The OpenAPI document describes it as a number, since a query is text in any case.
    .meta({ type: 'integer', minimum: min, maximum: max })
const yesOrNo = z.enum(['true', 'false']).transform(value => value === 'true')
const paging = {
  limit: wholeNumber(1, MAX_PER_PAGE)
    .optional()
    .transform(limit => limit ?? DEFAULT_LIMIT),
  after: text.optional().describe('The `next` of the page before.'),
}
const key = z
  .string()
  .max(MAX_TEXT)
  .describe('The primary key of a row as text; a composite key as a JSON array.')
const STATUS_OR_CLASS = 'An HTTP status such as 422, or the first digit of a class: 5 for 5xx.'
const trigger = op
const label = text.optional().describe('Only syncs with this label.')
const runs = wholeNumber(1, MAX_RECENT).optional().describe('Adds the counts of this many recent runs.')

const page = z.strictObject(paging)
const named = z.strictObject({ name })
const aRun = z.strictObject({ id: name })
const aResource = z.strictObject({
  kind: resourceView.shape.kind,
  name,
})

const group = z
  .string()
  .regex(
    /^([0-9a-f]{12}|[1-5](\d\d)?|all)\.\d{1,15}-\d{1,15}$/,
    'expected the `id` of a group of failed rows',
  )
  .optional()
  .describe(
    'Only rows of the group with this `id`, or of the list with this `group`. A decision takes no `status` beside it.',
  )

/** Chooses rows that were not delivered; without fields, all of them. */
const failedRows = z.strictObject({
  key: key.optional(),
  status: z
    .union([z.int().min(100).max(599), z.int().min(1).max(5)])
    .describe(STATUS_OR_CLASS)
    .optional(),
  group,
})

/** Chooses recorded requests. A request is chosen if one of its attempts fits all fields. */
const replayed = z.strictObject({
  keys: z.array(key).min(1).max(MAX_KEYS).optional().describe('Only requests with one of these rows.'),
  run: name.optional().describe('Only requests that this run sent.'),
  since: z.iso.datetime().optional().describe('Only attempts that started at this time or later.'),
  until: z.iso.datetime().optional().describe('Only attempts that started before this time.'),
  status: failedRows.shape.status,
  outcome: attemptOutcome.optional(),
  trigger: trigger.optional(),
})

/** Chooses rows of a list of failed rows. */
const listedRows = z.strictObject({
  run: name.optional().describe('Only rows that this run tried last.'),
  key: key.optional(),
  status: z
    .union([wholeNumber(100, 599), wholeNumber(1, 5)])
    .describe(STATUS_OR_CLASS)
    .optional(),
  group,
})

const preview = z.strictObject({
  sync: name,
  trigger: trigger.optional(),
  key: key.optional(),
  rows: wholeNumber(1, 1_000_000).optional().describe('Only the first rows.'),
  limit: wholeNumber(1, MAX_PREVIEWED)
    .optional()
    .transform(limit => limit ?? PREVIEWED)
    .describe('Maximum number of requests in the answer.'),
})

const version = z
  .int()
  .min(0)
  .optional()
  .describe('The version that the change is based on; 0: there must be none. Absent: any version.')
const takeOver = z
  .boolean()
  .optional()
  .describe('True: change the resource even if a project’s folder owns it, and make it the server’s own.')
const fields = z.record(z.string(), z.unknown())
const yaml = z.string().max(MAX_YAML)
/** A document as somebody writes it: the text of one YAML document, or its fields. */
const document = z
  .looseObject({
    yaml: yaml.optional().describe('The text of YAML documents.'),
    spec: fields.optional().describe('The fields of a resource, as an answer has them.'),
  })
  .describe('`yaml`; or `kind`, `name` and `spec`; or `kind`, `name` and the fields beside them.')
const documents = z
  .array(document.extend({ file: z.string().max(1_000).optional().describe('Its name in problems.') }))
  .max(MAX_DOCUMENTS)
const removal = z.strictObject({
  takeOver: yesOrNo.optional().describe('As in the body, for a body of YAML.'),
  version: z
    .string()
    .regex(/^\d{1,15}$/, 'expected a version')
    .transform(Number)
    .optional()
    .describe('The version to remove. Absent: any version.'),
})
const project = z.strictObject({
  project: z.string().min(1).max(200).describe('The project that the resources belong to.'),
  folder: z
    .string()
    .max(4_096)
    .nullish()
    .describe(
      'The folder of a project that is named after its folder. Folders of the same name elsewhere are other projects.',
    ),
  resources: z.array(z.strictObject({ kind: aResource.shape.kind, name, spec: fields })).max(MAX_APPLIED),
  prune: z.boolean().optional().describe('True: delete resources of the project that are not among these.'),
  takeOver: z
    .boolean()
    .optional()
    .describe(
      'True: also change resources that belong to another project, or that were written on the server.',
    ),
})

const certificateText = z.string().min(1)
const received = {
  summary: 'Receive a request of the sample project, and answer with its body',
  answer: operating.sampleReceivedView,
}
const oneReceived = z.strictObject({ id: z.string().max(MAX_TEXT) })

export const SHAPES = {
  getSession: { summary: 'The caller and its roles', answer: sessionView },
  logIn: {
    summary: 'Log in with a token: the answer sets a cookie',
    body: z.strictObject({
      token: z
        .string()
        .min(1)
        .max(MAX_NAME * 10),
    }),
    answer: sessionView,
  },
  logOut: { summary: 'Log out', answer: sessionEndedView },
  getSignIn: { summary: 'The ways to sign in to this server', answer: operating.signInView },
  beginSignIn: {
    summary:
      'Begin a sign-in with the OpenID provider: the answer has the address for the person, and sets a cookie',
    body: z.strictObject({
      to: z.string().max(MAX_SIGN_IN_PATH).optional().describe('The page to go to afterwards: its path.'),
    }),
    answer: operating.signInBegunView,
  },
  finishSignIn: {
    summary: 'Finish a sign-in with the address that the browser was sent back to: the answer sets a cookie',
    body: z.strictObject({ redirected: z.url({ protocol: /^https?$/ }).max(MAX_TEXT) }),
    answer: operating.signedInView,
  },

  listSyncs: {
    summary: 'All syncs and their states, by name',
    query: z.strictObject({
      runs,
      deliveredSince: z.iso
        .datetime()
        .optional()
        .describe('Adds the rows that were delivered at this time or later, within the last day.'),
      label,
      ...paging,
    }),
    answer: syncsPage,
  },
  getSync: {
    summary: 'One sync and its state',
    params: named,
    query: z.strictObject({ runs }),
    answer: syncView,
  },
  listFailedRows: {
    summary: 'The failed rows of a sync, by key',
    params: named,
    query: listedRows.extend({
      columns: yesOrNo
        .optional()
        .describe(
          '`true`: with the columns of each row. A page with wide rows may be shorter than its limit.',
        ),
      ...paging,
    }),
    answer: failedPage,
  },
  exportFailedRows: {
    summary: 'The failed rows of a sync as a file, with the columns of each row',
    params: named,
    query: listedRows.extend({ format: z.enum(['csv', 'json']) }),
    answer: z.string(),
  },
  listRuns: {
    summary: 'The runs, the newest first',
    query: z.strictObject({
      sync: name.optional(),
      status: runStatus.optional(),
      cause: runCause.optional(),
      label,
      since: z.iso.datetime().optional().describe('Only runs that were asked for at this time or later.'),
      until: z.iso.datetime().optional().describe('Only runs that were asked for before this time.'),
      each: yesOrNo
        .optional()
        .describe('True: each run of a stream by itself. Otherwise one entry stands for them all.'),
      ...paging,
    }),
    answer: runsPage,
  },
  getRow: {
    summary: 'The history of one row, and its delivered state',
    params: named,
    query: z.strictObject({ key }),
    answer: rowLifeView,
  },
  getRunFigures: {
    summary: 'The attempts of a run over time, by outcome and latency',
    params: aRun,
    query: z.strictObject({
      buckets: wholeNumber(2, MAX_BUCKETS)
        .optional()
        .transform(buckets => buckets ?? BUCKETS)
        .describe('Maximum number of buckets in the answer.'),
    }),
    answer: runFiguresView,
  },
  getRunAnswers: {
    summary: 'The answers to the requests of a run, by status and by reason',
    params: aRun,
    answer: runAnswersView,
  },
  getRun: { summary: 'One run', params: aRun, answer: runView },
  followRun: {
    summary: 'The state of a run, and each later state as an event `run`, until the run has ended',
    params: aRun,
    answer: runView,
  },
  listAttempts: {
    summary: 'Requests and answers as sent and received, the newest first',
    query: z.strictObject({
      run: name.optional(),
      sync: name.optional(),
      key: key.optional(),
      trigger: trigger.optional(),
      status: z
        .string()
        .regex(/^[1-5](\d\d|xx)$/, 'expected a status such as 422, or a class such as 4xx')
        .optional()
        .describe('A status such as 422, or a class such as 4xx.'),
      outcome: attemptOutcome.optional(),
      since: z.iso.datetime().optional().describe('Only attempts that started at this time or later.'),
      until: z.iso.datetime().optional().describe('Only attempts that started before this time.'),
      q: text
        .max(MAX_SEARCHED)
        .optional()
        .describe('Only attempts whose error contains this text, in upper or lower case.'),
      bodies: yesOrNo.optional().describe('`true`: `q` also searches bodies that are still held.'),
      details: yesOrNo.optional().describe('`false`: without headers and bodies, which is faster.'),
      ...paging,
    }),
    answer: attemptsPage,
  },
  getRequest: {
    summary: 'One request with its rows, and all attempts at it with their answers and timing',
    params: z.strictObject({ requestId: name }),
    answer: requestView,
  },
  preview: {
    summary: 'The requests that the next run of a sync would send',
    query: preview,
    answer: previewView,
  },
  listResources: { summary: 'All resources, by kind and name', query: page, answer: resourcesPage },

  run: {
    summary: 'Ask for a run',
    params: named,
    body: z.strictObject({
      queues: z
        .boolean()
        .optional()
        .describe('False: refuse if a run of the sync is queued or at work. Default: wait for it.'),
    }),
    answer: runView,
  },
  retry: {
    summary: 'Ask for a run that tries rows again; without a key, status or group, an ordinary run',
    params: named,
    body: failedRows,
    answer: runView,
  },
  resync: {
    summary: 'Ask for a run that sends every row',
    params: named,
    body: z.strictObject({
      as: z
        .enum(['added', 'changed'])
        .optional()
        .describe('The trigger that sends the rows. Default: added.'),
    }),
    answer: runView,
  },
  discard: { summary: 'Discard rows that wait', params: named, body: failedRows, answer: runView },
  reset: { summary: 'Forget what was delivered', params: named, answer: runView },
  sendTest: {
    summary: 'Send the request of one row, and record it as a test that changes no state',
    params: named,
    /** The row whose request is sent, and the trigger that makes it. */
    body: z.strictObject({ key, trigger }),
    answer: attemptView,
  },
  approve: {
    summary: 'Let a held run go on',
    params: aRun,
    body: z.strictObject({
      destination: z
        .enum(['same', 'new'])
        .optional()
        .describe(
          'For a run whose destination changed: `same` keeps the delivered state; `new` forgets it and sends every row.',
        ),
    }),
    answer: runView,
  },
  cancel: { summary: 'End a run in good order', params: aRun, answer: runView },

  getResource: { summary: 'One resource', params: aResource, answer: resourceView },
  putResource: {
    summary: 'Write a resource, as JSON or as YAML',
    params: aResource,
    query: removal.pick({ takeOver: true }),
    document: z.union([
      yaml.describe('The YAML text of one document, sent as application/yaml.'),
      document.extend({ version, takeOver }),
    ]),
    answer: resources.resourceSetView,
  },
  removeResource: {
    summary:
      'Remove a resource that no other uses. With a sync, its topics and the delivered state of its rows go',
    params: aResource,
    query: removal,
    answer: resources.resourceRemovedView,
  },
  getResourceHistory: {
    summary: 'The versions of a resource, the newest first',
    params: aResource,
    answer: resources.resourceHistoryView,
  },
  rollbackResource: {
    summary: 'Change a resource back to an earlier version',
    params: aResource,
    body: z.strictObject({
      to: z
        .int()
        .min(1)
        .optional()
        .describe('The version to go back to. Default: the one before the current version.'),
      version,
      takeOver,
    }),
    answer: resources.resourceSetView,
  },
  diffResources: {
    summary: 'The changes that applying the resources of a project would make',
    body: project,
    answer: resources.changesView,
  },
  applyResources: {
    summary: 'Apply the resources of a project, all or none',
    body: project,
    answer: resources.changesView,
  },
  validateDocuments: {
    summary: 'Check documents, stored or not, together with the stored resources',
    body: z.strictObject({ documents }),
    answer: resources.documentsView,
  },
  previewDocuments: {
    summary: 'The requests that the next run of a sync would send, with documents that are not stored',
    body: z.strictObject({
      ...{ sync: name, trigger: trigger.optional(), key: key.optional() },
      rows: z.int().min(1).max(1_000_000).optional().describe('Only the first rows.'),
      limit: z
        .int()
        .min(1)
        .max(MAX_PREVIEWED)
        .optional()
        .describe('Maximum number of requests in the answer; default 100.'),
      sample: z
        .boolean()
        .optional()
        .describe(
          'True: show the first rows of the model (`rows`, 3 by default, at most 100) as added, changed and removed, whatever was delivered. Rows are cached for some seconds.',
        ),
      documents: documents
        .optional()
        .describe(
          'Documents that are not stored. They take the place of stored ones of the same kind and name.',
        ),
    }),
    answer: previewView,
  },
  sendTestOfDocuments: {
    summary: 'Send the request of one row as a test, with documents that are not stored',
    body: z.strictObject({ sync: name, key, trigger, documents }),
    answer: attemptView,
  },
  sampleRows: {
    summary: 'The first rows of a query, a table or a topic, with their columns, or the topics of a source',
    params: named,
    body: z
      .strictObject({
        sql: z
          .string()
          .min(1)
          .max(MAX_YAML)
          .optional()
          .describe('A query, or with `table` or `topic` a query of their rows, as in a model.'),
        table: z.string().min(1).max(1_000).optional(),
        topic: topicFields.topic.describe(
          'A topic of a source of type kafka. Without it, the rows are the names of the topics.',
        ),
        format: topicFields.format,
        primaryKey: z.array(z.string().min(1)).min(1).optional().describe('With `topic`, as in a model.'),
        limit: z.int().min(1).max(100).optional().describe('Maximum number of rows; default 20.'),
        documents: documents.optional().describe('A source that is not stored.'),
      })
      .refine(
        ({ topic, format }) => (topic === undefined) === (format === undefined),
        'wanted `format` beside `topic`, and only there',
      )
      .refine(
        ({ table, topic }) => table === undefined || topic === undefined,
        'wanted either `table` or `topic`',
      ),
    answer: resources.rowsView,
  },

  replay: {
    summary: 'Ask for a run that sends recorded requests again; with `dryRun`, see which',
    params: named,
    body: replayed.extend({
      dryRun: z.boolean().optional().describe('True: answer what would be sent, and send nothing.'),
    }),
    answer: z.union([runView, replayView]),
  },
  dryRunReplay: {
    summary: 'See which recorded requests a replay sends again',
    params: named,
    body: replayed.extend({ dryRun: z.literal(true) }),
    answer: replayView,
  },

  listSecrets: {
    summary: 'The secrets and logins of the vault, by kind and name, without values',
    answer: secretsView,
  },
  setSecret: {
    summary: 'Store a secret in the vault, encrypted',
    params: named,
    /** A value is only in the body, since proxies log paths and queries. */
    body: z.strictObject({
      value: z
        .string()
        .min(1)
        .refine(value => value.isWellFormed(), 'expected text in Unicode'),
      for: z
        .string()
        .max(MAX_TEXT)
        .nullable()
        .optional()
        .describe('The hosts that it may go to. Absent: they stay as they are. Null: none are named.'),
    }),
    answer: secretSetView,
  },
  removeSecret: {
    summary: 'Remove a secret, or a login, from the vault',
    params: named,
    query: z.strictObject({
      kind: z.enum(['secret', 'login']).optional().describe('`login`: the name is that of a destination.'),
    }),
    answer: secretRemovedView,
  },
  resealSecrets: { summary: 'Encrypt the vault again, with the first key', answer: secretsResealedView },

  listAlerts: {
    summary: 'The alerts by name, with conditions that hold now and notices that could not be sent',
    answer: alertsView,
  },
  testAlert: {
    summary: 'Send a test notice to the target of an alert',
    params: named,
    answer: alertTestedView,
  },

  nextTimes: {
    summary: 'The next times of a schedule, stored or not',
    /** The schedule as its author writes it. */
    query: z.strictObject({
      every: name.optional().describe('An interval such as 15m.'),
      cron: name.optional().describe('Five fields of cron, such as "*/5 * * * *".'),
      timezone: name.optional().describe('The time zone of the fields, such as Europe/Paris; default UTC.'),
      sync: name
        .optional()
        .describe(
          'The sync that has the schedule. Syncs with the same interval begin at different times, which follow from their names.',
        ),
      count: wholeNumber(1, MAX_TIMES)
        .optional()
        .transform(count => count ?? TIMES)
        .describe('Number of times; default 5, at most 20.'),
    }),
    answer: operating.scheduleTimesView,
  },
  checkCertificate: {
    summary: 'Check whether a certificate can be used. Nothing is stored',
    /** The same files as in a destination's `tls`. */
    body: z.strictObject({
      ca: certificateText.optional().describe('Certificates of authorities in PEM.'),
      cert: certificateText.optional().describe('The certificate of a client in PEM.'),
      key: certificateText.optional().describe('Its key in PEM.'),
      pfx: certificateText.optional().describe('In place of both: a PKCS #12 file in Base64.'),
      passphrase: certificateText.optional().describe('Opens the key or the PKCS #12 file.'),
    }),
    answer: operating.certificatesView,
  },

  getSample: {
    summary: 'The sample project, as documents that are not stored',
    query: z.strictObject({
      to: z
        .url({ protocol: /^https?$/, error: 'expected a URL such as https://api.example.com' })
        .max(2_000)
        .optional()
        .describe('The URL that the sample sends to. Default: the receiver of this server.'),
    }),
    answer: operating.sampleView,
  },
  receiveAdded: { ...received, document: z.unknown() },
  receiveChanged: { ...received, params: oneReceived, document: z.unknown() },
  receiveRemoved: { ...received, params: oneReceived },

  getHealth: {
    summary: 'The health of the server: the services that it needs, the owners of partitions, and their lag',
    answer: operating.healthView,
  },
  listDestinations: {
    summary: 'The destinations by name, the health of each, and the use of its limits',
    query: page,
    answer: operating.destinationsPage,
  },
  listAudit: {
    summary: 'Changes and commands of people, the newest first',
    query: z.strictObject({
      by: name.optional().describe('Only actions of this token, or of this user.'),
      name: name.optional().describe('Only changes of resources with this name, and commands to this sync.'),
      ...paging,
    }),
    answer: operating.auditPage,
  },
  listTokens: {
    summary: 'The tokens of the server by name, with their roles',
    answer: operating.tokensView,
  },
  makeToken: {
    summary: 'Make a token of this name: no other answer has it',
    params: z.strictObject({ name: resourceName }),
    body: z.strictObject({
      roles: sessionView.shape.roles.min(1),
      endsAt: z.iso.datetime().optional().describe('The server refuses the token from then on.'),
    }),
    answer: operating.tokenMadeView,
  },
  revokeToken: {
    summary: 'Revoke a token that somebody has made here, with all its sessions',
    params: named,
    answer: operating.tokenRevokedView,
  },

  beginLogin: {
    summary:
      'Begin a login to a destination: the answer has the address for the person, and the hosts that the login may go to',
    params: named,
    answer: operating.loginBegunView,
  },
  finishLogin: {
    summary: 'Finish a login with the address that the browser was sent back to',
    body: z.strictObject({ redirected: z.url({ protocol: /^https?$/ }).max(MAX_TEXT) }),
    answer: operating.loginFinishedView,
  },
} as const satisfies { readonly [N in OperationName]: Shape }

type Shapes = typeof SHAPES
type Part<Name extends OperationName, Where extends 'params' | 'query' | 'body'> = Shapes[Name] extends {
  readonly [W in Where]: infer Schema extends z.ZodType
}
  ? z.output<Schema>
  : unknown
type DocumentPart<Name extends OperationName> = Shapes[Name] extends {
  readonly document: infer Schema extends z.ZodType
}
  ? { readonly document: z.output<Schema> }
  : unknown
type Constant<T> = T extends readonly (infer Item)[] ? readonly Item[] : T
type Flat<T> = { readonly [Field in keyof T]: Constant<T[Field]> }

/** The input of an operation as the code that carries it out gets it. Times are ISO 8601 text. */
export type InputOf<Name extends OperationName> = Flat<
  Part<Name, 'params'> & Part<Name, 'query'> & Part<Name, 'body'> & DocumentPart<Name>
>

/** The input as a client passes it: a query's field may also be text from a URL, or null for no value. */
export type AskedOf<Name extends OperationName> = Flat<
  Part<Name, 'params'> &
    AskedPart<Name, 'query', string | null> &
    AskedPart<Name, 'body', never> &
    DocumentPart<Name>
>
type AskedPart<Name extends OperationName, Where extends 'query' | 'body', None> = Shapes[Name] extends {
  readonly [W in Where]: infer Schema extends z.ZodType
}
  ? {
      readonly [Field in keyof z.input<Schema>]:
        | z.input<Schema>[Field]
        | (Field extends keyof z.output<Schema> ? z.output<Schema>[Field] : never)
        | None
    }
  : unknown

export type AnswerOf<Name extends OperationName> = z.output<Shapes[Name]['answer']>

/** The answers' schemas, for code that takes the name of any operation. */
export const ANSWERS: {
  readonly [Name in OperationName]: { readonly answer: z.ZodType<AnswerOf<Name>> }
} = SHAPES
