/**
 * The schemas of resources as users write them (docs/reference): the one source of their shapes. Text may
 * still hold `${secret:NAME}` references (see `secret-references.ts`); `${NAME}` and `${file:PATH}` are
 * filled in before parsing. An unknown field is an error.
 *
 * Every `error` text says what is wanted: a message reads "wanted <text>, found …". Every `describe` text
 * says what a field is for; editors show it.
 */
import { z } from 'zod'
import { alertFields } from './specs/alert-specs.ts'
import { capture } from './specs/answer-specs.ts'
import { destinationAuth, destinationTls, sourceTls } from './specs/connection-specs.ts'
import { errors } from './specs/error-specs.ts'
import { kafkaFields, topicFields } from './specs/topic-specs.ts'
import { baseUrl, headerName, headers, keyClash, query, triggerHeaderName } from './specs/http-specs.ts'
import { count, duration, durationWithin, filledText, size, text } from './specs/plain-values.ts'
import { paused, schedule, slice } from './specs/schedule-specs.ts'
import { fillSecrets, secretNames } from './secret-references.ts'

/** The longest time-out of a request. A longer one would hold up the end of its run. */
const MAX_REQUEST_TIMEOUT_MS = 3_600_000
/** A run ends before its topics' records may be compacted or deleted. */
const MAX_RUN_DURATION_MS = 6 * 86_400_000
const MAX_BATCH_ROWS = 100_000
const MAX_CONCURRENCY = 10_000
const MAX_RATE_REQUESTS = 1_000_000_000
const MAX_PARTITIONS = 64

/** A media type with or without parameters, as a header can carry it (RFC 9110 §8.3.1). */
const MEDIA_TYPE = /^[!#$&^_.+\w-]+\/[!#$&^_.+\w-]+( *;[\t\x20-\x7e\x80-\xff]*)?$/

export const NAME_PATTERN = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
const NAME_WANTED =
  'a name of lower-case letters, digits and dashes, at most 63 of them, with no dash at either end'
export const resourceName = text.regex(NAME_PATTERN, NAME_WANTED)
const title = text.optional().describe('A name for people.')

const MAX_LABELS = 20
const MAX_LABEL_LENGTH = 40
/** Words of letters, digits and `-_./:`, with one blank between two words. */
const LABEL_PATTERN = /^[\p{L}\p{M}\p{N}_./:-]+( [\p{L}\p{M}\p{N}_./:-]+)*$/u
const labels = z
  .array(
    text
      .regex(LABEL_PATTERN, 'a label of letters, digits, `-_./:` and single blanks within it')
      .max(MAX_LABEL_LENGTH, `a label of at most ${MAX_LABEL_LENGTH} characters`),
  )
  .max(MAX_LABELS, `at most ${MAX_LABELS} labels`)
  .refine(all => new Set(all).size === all.length, 'each label only once')
  .optional()
  .describe('Words by which lists of syncs are filtered. They change nothing that is sent.')

const queryTimeout = duration.optional().describe('How long a query may take.')

/** True for a URL with one of the schemes, a host and a user, but no password, query or fragment. */
function isServerUrl(value: string, schemes: readonly string[]): boolean {
  const url = URL.parse(fillSecrets(value, () => 'secret'))
  if (url === null || !schemes.includes(url.protocol.slice(0, -1))) return false
  if (url.hostname === '' || url.username === '' || url.password !== '') return false
  return url.search === '' && url.hash === '' && /^\/[^/]+$/.test(url.pathname)
}

export const duckdbSource = z.strictObject({
  kind: z.literal('source'),
  name: resourceName,
  title,
  type: z
    .literal('duckdb')
    .describe('duckdb reads CSV, Parquet and JSON files, and .duckdb databases, opened read-only.'),
  /** Absolute once loaded. */
  path: filledText.describe(
    'A .duckdb file, or the folder that file names in SQL are relative to; relative to the project folder.',
  ),
  timeout: queryTimeout,
})

const sqliteSource = z.strictObject({
  kind: z.literal('source'),
  name: resourceName,
  title,
  type: z.literal('sqlite').describe('A database of SQLite, opened read-only.'),
  /** Absolute once loaded. */
  path: filledText.describe('The file of the database; relative to the project folder.'),
  timeout: queryTimeout,
})

const SECRET_WANTED = 'a secret, as ${secret:NAME}, so that the password itself is stored nowhere'

/** The fields of every source on a database server. */
function serverFields(schemes: readonly string[]) {
  const wanted =
    `a URL such as ${schemes[0] ?? ''}://user@host:port/database, without password (that is \`password\`) ` +
    'and without `?` (TLS is `tls`)'
  return {
    kind: z.literal('source'),
    name: resourceName,
    title,
    url: filledText
      .refine(value => isServerUrl(value, schemes), wanted)
      .describe('Host, port, user and database; the password stands in `password`.'),
    password: filledText
      .refine(value => secretNames(value).length > 0, SECRET_WANTED)
      .optional()
      .describe('The password of the user, as ${secret:NAME}.'),
    tls: sourceTls
      .optional()
      .describe('Encrypts the connection; {} checks the server by the known authorities.'),
    allowPrivateNetwork: z
      .boolean('true or false')
      .optional()
      .describe(
        'false: no connection goes to private, loopback or link-local addresses. Default true, but false where others write resources.',
      ),
    timeout: queryTimeout,
  }
}

/** A name of PostgreSQL that needs no quotes. Slots have no other. */
const postgresName = text
  .regex(
    /^[a-z_][a-z0-9_]{0,62}$/,
    'a name of lower-case letters, digits and underscores, at most 63 of them',
  )
  .optional()

const follow = z
  .strictObject({
    publication: postgresName.describe('The publication; default sluice_<sync>, which Sluice makes.'),
    slot: postgresName.describe('The replication slot; default sluice_<sync>, which Sluice makes.'),
  })
  .describe(
    'Syncs with `schedule: continuous` follow its tables by logical replication. {}: with default names.',
  )

export const postgresSource = z.strictObject({
  ...serverFields(['postgres', 'postgresql']),
  type: z.literal('postgres').describe('A PostgreSQL database, read in one read-only snapshot.'),
  follow: follow.optional(),
})

const mysqlSource = z.strictObject({
  ...serverFields(['mysql', 'mariadb']),
  type: z.literal('mysql').describe('A MySQL or MariaDB database, read in one read-only snapshot.'),
})

const kafkaSource = z.strictObject({
  kind: z.literal('source'),
  name: resourceName,
  title,
  type: z.literal('kafka').describe('Topics of Kafka, each read as a table: the newest row of each key.'),
  ...kafkaFields,
  tls: sourceTls
    .optional()
    .describe('Encrypts the connections; {} checks the brokers by the known authorities.'),
  allowPrivateNetwork: z
    .boolean('true or false')
    .optional()
    .describe(
      'false: no connection goes to private, loopback or link-local addresses. Default true, but false where others write resources.',
    ),
  timeout: duration.optional().describe('How long reading a topic may take.'),
})

export const source = z.union([duckdbSource, sqliteSource, postgresSource, mysqlSource, kafkaSource])

const FROM_WANTED = 'one of `sql`, `table` and `topic`'

/**
 * Returns the field that says which rows a model has. A topic, or a table that is followed, may have `sql`
 * over its changes, too.
 */
function fromOf(spec: { readonly [field in 'sql' | 'table' | 'topic']?: string | undefined }) {
  const { sql, table, topic } = spec
  return { sql: topic === undefined && table === undefined ? sql : undefined, table, topic }
}

export const model = z
  .strictObject({
    kind: z.literal('model'),
    name: resourceName,
    title,
    source: resourceName.describe('The source that the rows are read from.'),
    sql: filledText
      .optional()
      .describe(
        'The query that gives the rows. With topic, or a table that is followed: a query of `changes`, row by row.',
      ),
    table: filledText
      .optional()
      .describe('In place of sql, or beside it if its source has `follow`: a table, as schema.name.'),
    ...topicFields,
    primaryKey: z
      .union([
        filledText,
        z
          .array(filledText)
          .min(1, 'at least one column')
          .refine(columns => new Set(columns).size === columns.length, 'each column only once'),
      ])
      .optional()
      .describe(
        'The column, or list of columns, that tells rows apart. With topic: default the record’s key.',
      ),
  })
  .refine(spec => Object.values(fromOf(spec)).some(from => from !== undefined), {
    error: `${FROM_WANTED}, found none`,
  })
  .refine(spec => spec.topic === undefined || spec.table === undefined, {
    path: ['table'],
    error: 'either `topic` or `table`, found both',
  })
  .refine(spec => (spec.topic === undefined) === (spec.format === undefined), {
    path: ['format'],
    error: '`format` beside `topic`, and only there',
  })
  .refine(spec => spec.topic !== undefined || spec.primaryKey !== undefined, {
    path: ['primaryKey'],
    error: 'the column, or list of columns, that tells rows apart, found nothing',
  })

/** The limit of requests in flight if neither the destination nor its sync has one. */
export const DEFAULT_CONCURRENCY = 100

/** A breaker that opens only after more failures protects nothing. */
const MAX_BREAKER_FAILURES = 1_000_000
const MAX_BREAKER_PAUSE_MS = 3_600_000

const breaker = z
  .union([
    z.strictObject({
      failures: count(MAX_BREAKER_FAILURES)
        .default(50)
        .describe('It opens after this many failures in a row.'),
      pause: durationWithin(MAX_BREAKER_PAUSE_MS, '1h')
        .default(30_000)
        .describe('After each pause one request is tried. If three of them fail, runs end.'),
    }),
    z.literal(false),
  ])
  .describe(
    'Stops sending to a destination that fails (default: after 50 failures in a row, with pauses of 30s); false: never.',
  )

const rate = z.strictObject({
  requests: count(MAX_RATE_REQUESTS),
  per: z.union([z.enum(['second', 'minute', 'hour']), duration]),
})
const limits = z.strictObject({
  rate: z
    .union([rate, z.array(rate).min(1, 'at least one rate')])
    .optional()
    .describe('At most this many requests per second, minute, hour or duration such as 10s; or a list.'),
  concurrency: count(MAX_CONCURRENCY).optional().describe('At most this many requests in flight.'),
})

export const destination = z
  .strictObject({
    kind: z.literal('destination'),
    name: resourceName,
    title,
    baseUrl: baseUrl.describe(
      "The URL that every trigger's path is appended to; its path may hold ${secret:NAME}.",
    ),
    headers: headers.optional().describe('Headers of every request; may hold ${secret:NAME}.'),
    query: query.optional().describe('Query parameters of every URL; may hold ${secret:NAME}.'),
    auth: destinationAuth.optional(),
    tls: destinationTls
      .optional()
      .describe('Certificates: those that Sluice trusts of the server, and the one that Sluice shows to it.'),
    allowPrivateNetwork: z
      .boolean('true or false')
      .optional()
      .describe(
        'false: no request goes to private, loopback or link-local addresses. Default true, but false where others write resources.',
      ),
    limits: limits.optional().describe('Shared by all syncs to this destination.'),
    breaker: breaker.optional(),
    idempotencyHeader: z
      .union([headerName, z.literal(false)])
      .optional()
      .describe('The header that carries the idempotency key (default Idempotency-Key), or false.'),
  })
  .check(keyClash)
  .check(({ issues, value }) => {
    const own = Object.keys(value.headers ?? {}).find(name => name.toLowerCase() === 'authorization')
    if (own === undefined || value.auth === undefined) return
    const message = 'no header of its own for credentials beside `auth`, which is sent as Authorization'
    issues.push({ code: 'custom', path: ['headers', own], message, input: value })
  })

const batch = z.strictObject({
  size: count(MAX_BATCH_ROWS).default(100).describe('At most this many rows in a request.'),
  bytes: size.default(1_000_000).describe('At most this size of the rendered body.'),
})

/** A JSON value. In YAML, an unquoted number or boolean is a number or boolean in JSON, too. */
const fixedValue: z.ZodType = z
  .lazy(() =>
    z.union([z.number(), z.boolean(), z.null(), text, z.array(fixedValue), z.record(text, fixedValue)], {
      error: 'text, a number, true, false, null, a list or a map',
    }),
  )
  .meta({ id: 'value', description: 'A fixed value, sent as it is.' })

/** The form of a null column in a mapped body. */
const whenNull = z
  .enum(['keep', 'empty', 'omit'], { error: '`keep`, `empty` or `omit`' })
  .describe('What null becomes: keep: null (default); empty: empty text; omit: the field is left out.')

/**
 * A field of a mapped body. A map that has only `value`, `template` or `object`, or just `column` and
 * `whenNull`, is special. Any other map is an object with fields of its own.
 */
const field: z.ZodType = z
  .lazy(() =>
    z.union(
      [
        filledText.describe('A column.'),
        z.array(field).describe('A list of fields.'),
        z.strictObject({ value: fixedValue }),
        z.strictObject({ template: text.describe('Liquid that makes a text.') }),
        z.strictObject({ object: fieldMap }),
        z.strictObject({ column: filledText, whenNull }),
        fieldMap,
      ],
      { error: 'a column, a list or a map of fields' },
    ),
  )
  .meta({ id: 'field' })
const fieldMap = z.record(text, field).meta({
  id: 'fields',
  description: 'Fields of a JSON object by name. `{ object: {…} }` is a map of fields, whatever its keys.',
})

const wrap = text.optional().describe('Liquid that makes JSON around `{{ items }}`, an array or object.')

const bodies = [
  z.strictObject({ json: text.describe('Liquid that makes JSON; trailing commas are stripped.') }),
  z.strictObject({
    jsonColumn: filledText.describe('The column that is the payload; in batches, an array of them.'),
    wrap,
  }),
  z.strictObject({
    /** A batch has an array of such objects. */
    fields: fieldMap,
    whenNull: whenNull.optional(),
    wrap,
  }),
  z.strictObject({ xml: text.describe('Liquid that makes well-formed XML; `{{ }}` is escaped.') }),
  z.strictObject({
    form: z
      .record(text, z.union([text, z.array(text).min(1, 'at least one value')]))
      .describe('The values of an HTML form by name; each is text or Liquid, or a list of several.'),
  }),
  z.strictObject({
    text: z
      .strictObject({
        contentType: text.regex(MEDIA_TYPE, 'a media type such as text/csv'),
        template: text.describe('Liquid.'),
      })
      .describe('Any other body, with its Content-Type.'),
  }),
] as const
const BODY_KINDS = ['json', 'jsonColumn', 'fields', 'xml', 'form', 'text'] as const
const BODY_WANTED = `one of ${BODY_KINDS.map(kind => `\`${kind}\``).join(', ')}`

/** Says what is wanted of a body. If the body has exactly one kind, the mistake is inside that kind. */
function bodyWanted(input: unknown): string {
  const found = BODY_KINDS.filter(kind => typeof input === 'object' && input !== null && kind in input)
  const [only, ...others] = found
  if (only === undefined) return `a map with ${BODY_WANTED}`
  if (others.length === 0) return `a body of \`${only}\` as docs/reference/trigger.md has it`
  return `a map with ${BODY_WANTED}, found ${found.join(' and ')}`
}

export const body = z.union(bodies, { error: ({ input }) => bodyWanted(input) })

export const trigger = z.strictObject({
  batch: batch.optional().describe('Absent: one row a request; {} means batches of 100 rows.'),
  method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']),
  path: text.describe('Text or Liquid, appended to the base URL; may have a query.'),
  headers: z.record(triggerHeaderName, text).optional().describe('Headers, text or Liquid.'),
  body: body.optional().describe('Absent: an empty body.'),
  capture: capture
    .optional()
    .describe('Values to keep from a 2xx answer, by name, each a JSONPath such as $.id.'),
  allowEmpty: z
    .boolean('true or false')
    .optional()
    .describe('true: a batch may be sent whose body is empty, and a DELETE that names no row.'),
})

const SHARE_WANTED = 'a share from 0 to 1, such as 0.5'
const removalGuard = z.strictObject({
  share: z
    .number({ error: SHARE_WANTED })
    .min(0, SHARE_WANTED)
    .max(1, SHARE_WANTED)
    .default(0.5)
    .describe('This share of the rows at the destination.'),
  rows: z
    .int({ error: 'a whole number from 0 on' })
    .min(0, 'a whole number from 0 on')
    .default(100)
    .describe('This many rows may always be removed.'),
})

const opName = z.enum(['added', 'changed', 'removed'])
const triggerOrName = z.union([trigger, opName])

/** True if `removed` has a capture of its own, and no other trigger refers to it by name. */
function capturesFromRemovals(spec: { readonly [op: string]: z.output<typeof triggerOrName> | undefined }) {
  const { removed } = spec
  return (
    typeof removed === 'object' && removed.capture !== undefined && !Object.values(spec).includes('removed')
  )
}

const CAPTURE_OF_NO_ROW =
  '`batch` left out, or of size 1, beside `capture`; or `errors.rowResults` with a rule `as: delivered`, which ' +
  'says where the answer to a batch has the item of each row'

/**
 * The triggers that capture from answers to batches, without a rule that says which values are of which row.
 */
function captureOfNoRow(spec: {
  readonly triggers: { readonly [op: string]: z.output<typeof triggerOrName> | undefined }
  readonly errors?: z.output<typeof errors> | undefined
}): readonly string[] {
  if (spec.errors?.rowResults?.some(({ as }) => as === 'delivered') === true) return []
  return Object.entries(spec.triggers).flatMap(([op, own]) => {
    const isBatch = typeof own === 'object' && own.batch !== undefined && own.batch.size > 1
    return isBatch && own.capture !== undefined ? [op] : []
  })
}

export const sync = z
  .strictObject({
    kind: z.literal('sync'),
    name: resourceName,
    title,
    labels,
    model: resourceName.describe('The model whose rows are synced.'),
    destination: resourceName.describe('The destination that the requests go to.'),
    schedule,
    slice: slice.optional(),
    paused,
    firstRun: z
      .enum(['backfill', 'skip-existing', 'ask'])
      .default('backfill')
      .describe(
        'backfill: every row is sent as added; skip-existing: rows count as already there; ask: the run fails until somebody says which.',
      ),
    timeout: durationWithin(MAX_REQUEST_TIMEOUT_MS, '1h')
      .default(30_000)
      .describe('The time-out of one request.'),
    triggers: z
      .strictObject({
        added: triggerOrName.optional(),
        changed: triggerOrName.optional(),
        removed: triggerOrName.optional(),
      })
      .refine(
        spec => spec.added !== undefined || spec.changed !== undefined || spec.removed !== undefined,
        'at least one trigger: added, changed or removed',
      )
      .refine(spec => !capturesFromRemovals(spec), {
        path: ['removed', 'capture'],
        error: 'no `capture` here: a row that is removed has no later change to use the values',
      }),
    errors: errors.optional(),
    limits: limits
      .optional()
      .describe('Limits of this sync alone; the stricter of these and the destination’s counts.'),
    compare: z
      .union([z.enum(['used', 'all']), z.array(filledText)])
      .optional()
      .describe(
        'The columns whose changes count: used (default: those that the templates use), all, or a list of names.',
      ),
    delivery: z
      .enum(['at-least-once', 'at-most-once'])
      .optional()
      .describe(
        'at-least-once (default), or at-most-once: a row that may have arrived is not sent again until somebody says retry.',
      ),
    maxDuration: durationWithin(MAX_RUN_DURATION_MS, '6d')
      .optional()
      .describe('How long a run may last, at most 6d; the next run sends the rows that are left.'),
    removalGuard: z
      .union([removalGuard, z.literal(false)])
      .optional()
      .describe(
        'A run that would remove more than both waits for approval (default: half of the rows and 100 rows, and any run of an empty model); false: no run waits.',
      ),
    partitions: count(MAX_PARTITIONS).default(4).describe('Partitions of its topics; fixed until reset.'),
  })
  .check(({ issues, value }) => {
    for (const op of captureOfNoRow(value))
      issues.push({
        code: 'custom',
        path: ['triggers', op, 'capture'],
        message: CAPTURE_OF_NO_ROW,
        input: value,
      })
  })

export const alert = z.strictObject({
  kind: z.literal('alert'),
  name: resourceName,
  title,
  ...alertFields(resourceName),
})

export const RESOURCE_SCHEMAS = { source, model, destination, sync, alert } as const
export type ResourceKind = keyof typeof RESOURCE_SCHEMAS

export function isResourceKind(kind: string): kind is ResourceKind {
  return Object.hasOwn(RESOURCE_SCHEMAS, kind)
}

/**
 * True for a stored resource of that kind. A stored resource has the output of the schema, such as a duration
 * as a number. So the schema is run backwards.
 */
export function isStoredResource(kind: ResourceKind, value: unknown): value is ResourceSpec {
  const schema: z.ZodType = RESOURCE_SCHEMAS[kind]
  try {
    return z.safeEncode(schema, value).success
  } catch {
    return false
  }
}

export type DuckdbSourceSpec = z.output<typeof duckdbSource>
export type PostgresSourceSpec = z.output<typeof postgresSource>
export type MysqlSourceSpec = z.output<typeof mysqlSource>
export type KafkaSourceSpec = z.output<typeof kafkaSource>
export type SourceSpec = z.output<typeof source>
export type ModelSpec = z.output<typeof model>
export type DestinationSpec = z.output<typeof destination>
export type TriggerSpec = z.output<typeof trigger>
export type BodySpec = z.output<typeof body>
export type LimitsSpec = z.output<typeof limits>
export type SyncSpec = z.output<typeof sync>
export type AlertSpec = z.output<typeof alert>
export type ResourceSpec = SourceSpec | ModelSpec | DestinationSpec | SyncSpec | AlertSpec

/**
 * A sync with all resources that it refers to, as pinned when a run starts (R15). Its id is the hash of its
 * canonical JSON.
 */
export interface Definition {
  /** Without its labels, since a definition with other labels would be another one. */
  readonly sync: SyncSpec
  readonly model: ModelSpec
  readonly source: SourceSpec
  readonly destination: DestinationSpec
}
