/**
 * Resources as users write them (INTERFACE.md §1), as zod schemas: the one source of their shapes. Text may still hold `${secret:NAME}` references;
 * `${NAME}` and `${file:PATH}` are filled in before parsing. A field that is not here is an error.
 */
import { z } from 'zod'

const TIME_UNITS: { readonly [unit: string]: number } = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}
const SIZE_UNITS: { readonly [unit: string]: number } = { B: 1, KB: 1000, MB: 1_000_000 }

/** `250ms 30s 15m 1h 7d` as milliseconds. */
export const duration = z
  .string()
  .regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, 'a duration such as 250ms, 30s, 15m, 1h or 7d')
  .transform(text => {
    const unit = /[a-z]+$/.exec(text)?.[0] ?? 'ms'
    return Math.round(Number.parseFloat(text) * (TIME_UNITS[unit] ?? 1))
  })

/** `64KB 1MB` as bytes. */
export const size = z
  .string()
  .regex(/^\d+(\.\d+)?(B|KB|MB)$/, 'a size such as 64KB or 1MB')
  .transform(text => {
    const unit = /[A-Z]+$/.exec(text)?.[0] ?? 'B'
    return Math.round(Number.parseFloat(text) * (SIZE_UNITS[unit] ?? 1))
  })

export const NAME_PATTERN = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
export const resourceName = z
  .string()
  .regex(NAME_PATTERN, 'a name of lower-case letters, digits and dashes, at most 63 of them')
const title = z.string().optional()

export const duckdbSource = z.strictObject({
  kind: z.literal('source'),
  name: resourceName,
  title,
  type: z.literal('duckdb'),
  /** Folder that file names in SQL start from, or a .duckdb file; absolute once loaded. */
  path: z.string(),
  timeout: duration.optional(),
})

export const model = z.strictObject({
  kind: z.literal('model'),
  name: resourceName,
  title,
  source: resourceName,
  sql: z.string().optional(),
  table: z.string().optional(),
  primaryKey: z.union([z.string(), z.array(z.string()).min(1)]),
})

const rate = z.strictObject({
  requests: z.int().positive(),
  per: z.union([z.enum(['second', 'minute', 'hour']), duration]),
})
export const limits = z.strictObject({
  rate: z.union([rate, z.array(rate).min(1)]).optional(),
  concurrency: z.int().positive().optional(),
})

export const destination = z.strictObject({
  kind: z.literal('destination'),
  name: resourceName,
  title,
  baseUrl: z.string(),
  headers: z.record(z.string(), z.string()).optional(),
  query: z.record(z.string(), z.string()).optional(),
  limits: limits.optional(),
  idempotencyHeader: z.union([z.string(), z.literal(false)]).optional(),
})

export const batch = z.strictObject({
  size: z.int().positive().default(100),
  bytes: size.default(1_000_000),
})

export const body = z.strictObject({ json: z.string() })

export const trigger = z.strictObject({
  batch: batch.optional(),
  method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']),
  path: z.string(),
  headers: z.record(z.string(), z.string()).optional(),
  body: body.optional(),
})

const opName = z.enum(['added', 'changed', 'removed'])
const triggerOrName = z.union([trigger, opName])

export const sync = z.strictObject({
  kind: z.literal('sync'),
  name: resourceName,
  title,
  model: resourceName,
  destination: resourceName,
  schedule: z.literal('manual').default('manual'),
  firstRun: z.enum(['backfill', 'skip-existing']).default('backfill'),
  timeout: duration.default(30_000),
  triggers: z.strictObject({
    added: triggerOrName.optional(),
    changed: triggerOrName.optional(),
    removed: triggerOrName.optional(),
  }),
  errors: z.strictObject({ retry: z.literal('next-run').default('next-run') }).optional(),
  limits: limits.optional(),
  partitions: z.int().min(1).max(64).default(4),
})

export type SourceSpec = z.output<typeof duckdbSource>
export type ModelSpec = z.output<typeof model>
export type DestinationSpec = z.output<typeof destination>
export type TriggerSpec = z.output<typeof trigger>
export type BodySpec = z.output<typeof body>
export type LimitsSpec = z.output<typeof limits>
export type SyncSpec = z.output<typeof sync>
export type ResourceSpec = SourceSpec | ModelSpec | DestinationSpec | SyncSpec

/** A sync with all it refers to, as pinned when a run starts (R15); known by the hash of its canonical JSON. */
export interface Definition {
  readonly sync: SyncSpec
  readonly model: ModelSpec
  readonly source: SourceSpec
  readonly destination: DestinationSpec
}
