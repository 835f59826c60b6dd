/**
 * What the API takes: path, query and body of each request, as zod schemas. A query is text, so its numbers
 * are read from text. Unknown names are errors, since a filter that is misspelt would show everything.
 */
import { z } from 'zod'
import { attemptOutcome, runCause, runStatus } from './api.ts'

const MOST_PER_PAGE = 1000
const DEFAULT_LIMIT = 50
/** A service remembers so many runs of a sync. */
const MOST_RECENT = 50
/** Keys of rows have up to 8 KB, and so has a cursor that names one. */
const MOST_TEXT = 16_384
const MOST_NAME = 200
/** Most rows that a replay is asked for by key. */
const MOST_KEYS = 1000
const MOST_SEARCHED = 500

const text = z.string().min(1).max(MOST_TEXT)
const name = z.string().min(1).max(MOST_NAME)
const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, `expected a whole number from ${min} to ${max}`)
    .transform(Number)
    .pipe(z.int().min(min).max(max))
    // A query is text, and what the text says is a number: so a document of OpenAPI describes it.
    .meta({ type: 'integer', minimum: min, maximum: max })
const paging = {
  limit: wholeNumber(1, MOST_PER_PAGE)
    .optional()
    .transform(limit => limit ?? DEFAULT_LIMIT),
  after: text.optional().describe('The `next` of the page before.'),
}
const key = z
  .string()
  .max(MOST_TEXT)
  .describe('The primary key of a row as text; a composite one as a JSON array.')
const STATUS_OR_CLASS = 'An HTTP status such as 422, or the first digit of a class: 5 for 5xx.'
const statusOrClass = z.union([z.int().min(100).max(599), z.int().min(1).max(5)]).describe(STATUS_OR_CLASS)
const status = z.union([wholeNumber(100, 599), wholeNumber(1, 5)]).describe(STATUS_OR_CLASS)
const trigger = z.enum(['added', 'changed', 'removed'])

export const syncPath = z.strictObject({ name })
export const runPath = z.strictObject({ id: name })
export const resourcePath = z.strictObject({
  kind: z.enum(['source', 'model', 'destination', 'sync', 'alert']),
  name,
})
export const secretPath = z.strictObject({ name })
export const alertPath = z.strictObject({ name })

export const noQuery = z.strictObject({})
export const pageQuery = z.strictObject(paging)
const runs = wholeNumber(1, MOST_RECENT).optional().describe('Adds the figures of so many last runs.')
export const syncsQuery = z.strictObject({ runs, ...paging })
export const syncQuery = z.strictObject({ runs })
export const runsQuery = z.strictObject({
  sync: name.optional(),
  status: runStatus.optional(),
  cause: runCause.optional(),
  since: z.iso.datetime().optional().describe('Only runs that were asked for at this time or later.'),
  until: z.iso.datetime().optional().describe('Only runs that were asked for before this time.'),
  ...paging,
})
const MOST_BUCKETS = 1_000
const BUCKETS = 120
export const figuresQuery = z.strictObject({
  buckets: wholeNumber(2, MOST_BUCKETS)
    .optional()
    .transform(buckets => buckets ?? BUCKETS)
    .describe('Most buckets that the answer has.'),
})
/** A status such as `422`, or all of a class such as `4xx`. */
const statusFilter = z
  .string()
  .regex(/^[1-5](\d\d|xx)$/, 'expected a status such as 422, or a class such as 4xx')
const yesOrNo = z.enum(['true', 'false']).transform(text => text === 'true')
/** What attempts are searched by. */
export const attemptsQuery = z.strictObject({
  run: name.optional(),
  sync: name.optional(),
  key: key.optional(),
  trigger: trigger.optional(),
  status: statusFilter.optional().describe('A status such as 422, or a class such as 4xx.'),
  outcome: attemptOutcome.optional(),
  since: z.iso.datetime().optional().describe('Only attempts that started at this time or later.'),
  until: z.iso.datetime().optional().describe('Only attempts that started before this time.'),
  q: text
    .max(MOST_SEARCHED)
    .optional()
    .describe('Only attempts whose error has this text; upper and lower case are one.'),
  bodies: yesOrNo.optional().describe('`true`: `q` is also looked for in bodies that are still held.'),
  details: yesOrNo.optional().describe('`false`: without headers and bodies, which is faster.'),
  ...paging,
})
export const rowQuery = z.strictObject({ key })
export const requestPath = z.strictObject({ requestId: name })
export const failedQuery = z.strictObject({
  run: name.optional().describe('Only rows whose last try was in this run.'),
  key: key.optional(),
  status: status.optional(),
  ...paging,
})

/** Most requests that a preview shows at once. */
export const MOST_PREVIEWED = 10_000
const PREVIEWED = 100
export const previewQuery = z.strictObject({
  sync: name,
  trigger: trigger.optional(),
  key: key.optional(),
  rows: wholeNumber(1, 1_000_000).optional().describe('Only the first rows.'),
  limit: wholeNumber(1, MOST_PREVIEWED)
    .optional()
    .transform(limit => limit ?? PREVIEWED)
    .describe('Most requests that the answer has.'),
})

export const secretQuery = z.strictObject({
  kind: z.enum(['secret', 'login']).optional().describe('`login`: the name is that of a destination.'),
})

/** A body with nothing in it. A request may also come without one. */
export const noBody = z.strictObject({})
export const runBody = z.strictObject({
  queues: z
    .boolean()
    .optional()
    .describe('False: refuse if a run of the sync is queued or at work. Default: wait for it.'),
})
/** Chooses rows that were not delivered; without fields, all of them. */
export const failedRowsBody = z.strictObject({
  key: key.optional(),
  status: statusOrClass.optional(),
})
/** The row whose request is sent, and the trigger that makes it. */
export const testBody = z.strictObject({ key, trigger })
export const approveBody = z.strictObject({
  destination: z
    .enum(['same', 'new'])
    .optional()
    .describe(
      'Of a run whose destination changed: `same` goes on with what was delivered, `new` forgets it and sends every row.',
    ),
})
export const resyncBody = z.strictObject({
  as: z.enum(['added', 'changed']).optional().describe('The trigger that sends the rows; default: added.'),
})
/** Chooses recorded requests. A request is meant if one of its attempts fits in every respect. */
export const replayBody = z.strictObject({
  keys: z.array(key).min(1).max(MOST_KEYS).optional().describe('Only requests with one of these rows.'),
  run: name.optional().describe('Only requests that this run sent.'),
  since: z.iso.datetime().optional().describe('Only attempts that started at this time or later.'),
  until: z.iso.datetime().optional().describe('Only attempts that started before this time.'),
  status: statusOrClass.optional(),
  outcome: attemptOutcome.optional(),
  trigger: trigger.optional(),
  dryRun: z.boolean().optional().describe('True: say what would be sent, and send nothing.'),
})
const certificateText = z.string().min(1)
/** Files of a certificate, as a destination's `tls` has them. */
export const certificateBody = z.strictObject({
  ca: certificateText.optional().describe('Certificates of authorities in PEM.'),
  cert: certificateText.optional().describe('The certificate of a client in PEM.'),
  key: certificateText.optional().describe('Its key in PEM.'),
  pfx: certificateText.optional().describe('In place of both: a PKCS #12 file in Base64.'),
  passphrase: certificateText.optional().describe('Opens the key or the PKCS #12 file.'),
})
/** A value stands in a body alone, since paths and queries get into logs on their way. */
export const secretBody = z.strictObject({
  value: z
    .string()
    .min(1)
    .refine(value => value.isWellFormed(), 'expected text in Unicode'),
  for: z
    .string()
    .max(MOST_TEXT)
    .nullable()
    .optional()
    .describe('The hosts that it may go to. Absent: those that it has. Null: none are named.'),
})

/** Logs in. */
export const sessionBody = z.strictObject({
  token: z
    .string()
    .min(1)
    .max(MOST_NAME * 10),
})

export const auditQuery = z.strictObject({
  by: name.optional().describe('Only what this person did: the name of a token, or of a user.'),
  name: name.optional().describe('Only what was done to resources of this name, and asked of this sync.'),
  ...paging,
})

const MOST_TIMES = 20
const TIMES = 5
/** A schedule, as its author writes it. */
export const scheduleQuery = z.strictObject({
  every: name.optional().describe('An interval such as 15m.'),
  cron: name.optional().describe('Five fields of cron, such as "*/5 * * * *".'),
  timezone: name.optional().describe('The time zone of the fields, such as Europe/Paris; default UTC.'),
  sync: name
    .optional()
    .describe('The sync that it is for: syncs with one interval begin at different times, by their names.'),
  count: wholeNumber(1, MOST_TIMES)
    .optional()
    .transform(count => count ?? TIMES)
    .describe('How many; default 5, at most 20.'),
})

/** The address that a browser was sent back to after a login. */
export const loginFinishBody = z.strictObject({ redirected: z.url({ protocol: /^https?$/ }).max(MOST_TEXT) })

export const sampleQuery = z.strictObject({
  to: z
    .url({ protocol: /^https?$/, error: 'expected a URL such as https://api.example.com' })
    .max(2_000)
    .optional()
    .describe('Where the sample sends to. Default: the receiver of this server.'),
})
export const samplePath = z.strictObject({ id: z.string().max(MOST_TEXT) })
