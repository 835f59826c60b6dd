/** The JSON about resources, for `sluice diff --json`, `sluice apply --json` and the API. */
import { z } from 'zod'
import { resourceView } from '../api.ts'
import { errorDetail, timestamp } from '../views/run-parts.ts'

const kind = resourceView.shape.kind
const version = z.int().min(1)

/**
 * A field of a resource that differs, with its values as people write them. `before` or `after` is absent
 * where the field has no value.
 */
const fieldChange = z.object({
  field: z.string(),
  before: z.unknown().optional(),
  after: z.unknown().optional(),
})
const resourceChange = z.object({
  kind,
  name: z.string(),
  action: z.enum(['create', 'update', 'delete']),
  /** The fields that an update changes, such as `triggers.added.path`. */
  fields: z.array(z.string()),
  /** The same fields with their values. */
  values: z.array(fieldChange).optional(),
  /** The project that owns the resource now, if the change takes it over. */
  takenFrom: z.string().optional(),
})
export const changesView = z.object({
  changes: z.array(resourceChange),
  /** Sentences for people. */
  notices: z.array(z.string()).optional(),
})

/** A resource that was written. `created` is true if it is new. */
export const resourceSetView = resourceView.extend({
  created: z.boolean(),
  /** The fields that the write changed. */
  changed: z.array(z.string()),
})
export const resourceRemovedView = z.object({
  removed: z.object({ kind, name: z.string() }),
  /** True if the topics of the sync still exist. The change-detector deletes them as soon as it can. */
  pending: z.boolean(),
})

const pastVersion = z.object({
  version,
  /** Null for a version by an earlier version of Sluice, which recorded no time. */
  at: timestamp.nullable(),
  by: z.string().nullable(),
  project: z.string(),
  action: z.enum(['create', 'update', 'delete']),
  /** The fields that differ from the version before. */
  fields: z.array(z.string()),
  /** The resource's fields. Null if the version deleted it. */
  spec: z.record(z.string(), z.unknown()).nullable(),
  /** The YAML that its author wrote, with comments. Absent if only the fields were written. */
  text: z.string().optional(),
})
/** The versions of a resource, the newest first. */
export const resourceHistoryView = z.object({ versions: z.array(pastVersion) })

/** Checked documents, with all problems in them. */
export const documentsView = z.object({
  ok: z.boolean(),
  resources: z.array(z.object({ kind: z.string(), name: z.string() })),
  problems: z.array(errorDetail),
})

/** The first rows of a query, with their columns. A number that JSON would round is text. */
export const rowsView = z.object({
  columns: z.array(z.object({ name: z.string(), type: z.string() })),
  rows: z.array(z.record(z.string(), z.unknown())),
  /** True if the query has more rows. */
  more: z.boolean(),
  /** The columns that tell the rows of a topic apart, if `primaryKey` does not name them. */
  key: z.array(z.string()).optional(),
})

export type FieldChange = z.output<typeof fieldChange>
export type ChangeView = z.output<typeof resourceChange>
export type ChangesView = z.output<typeof changesView>
export type ResourceSetView = z.output<typeof resourceSetView>
export type ResourceRemovedView = z.output<typeof resourceRemovedView>
export type ResourceHistoryView = z.output<typeof resourceHistoryView>
export type DocumentsView = z.output<typeof documentsView>
export type RowsView = z.output<typeof rowsView>
