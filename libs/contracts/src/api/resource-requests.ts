/** What the API takes about resources: paths, queries and bodies, as zod schemas. */
import { z } from 'zod'
import { previewQuery, resourcePath } from '../api-requests.ts'

const MOST_YAML = 1_000_000
const MOST_DOCUMENTS = 1_000
/** Most resources of one apply. */
const MOST_APPLIED = 100_000

const { kind, name } = resourcePath.shape
const version = z
  .int()
  .min(0)
  .optional()
  .describe('The version that the change is based on; 0: there must be none. Absent: whatever is there.')
const takeOver = z
  .boolean()
  .optional()
  .describe('True: change it though it comes from the folder of a project, and make it the server’s own.')
const fields = z.record(z.string(), z.unknown())
const yaml = z.string().max(MOST_YAML)

/** A document as somebody writes it: the text of one YAML document, or its fields. */
const document = z
  .looseObject({
    yaml: yaml.optional().describe('The text of YAML documents.'),
    spec: fields.optional().describe('The fields of a resource, as an answer has them.'),
  })
  .describe('`yaml`; or `kind`, `name` and `spec`; or `kind`, `name` and the fields beside them.')

export const resourceBody = z.union([
  yaml.describe('The YAML text of one document, sent as application/yaml.'),
  document.extend({ version, takeOver }),
])
export const resourceWriteQuery = z.strictObject({
  takeOver: z.enum(['true', 'false']).optional().describe('As in the body, for a body of YAML.'),
})
export const resourceRemoveQuery = resourceWriteQuery.extend({
  version: z
    .string()
    .regex(/^\d{1,15}$/, 'expected a version')
    .transform(Number)
    .optional()
    .describe('The version that is to go. Absent: whatever is there.'),
})
export const rollbackBody = z.strictObject({
  to: z.int().min(1).optional().describe('The version to go back to. Default: the one before the present.'),
  version,
  takeOver,
})

export const documentsBody = z.strictObject({
  documents: z
    .array(document.extend({ file: z.string().max(1_000).optional().describe('How problems name it.') }))
    .max(MOST_DOCUMENTS),
})
export const previewBody = z.strictObject({
  ...{ sync: name, trigger: previewQuery.shape.trigger },
  key: previewQuery.shape.key,
  rows: z.int().min(1).max(1_000_000).optional().describe('Only the first rows.'),
  limit: z.int().min(1).max(10_000).optional().describe('Most requests that the answer has; default 100.'),
  sample: z
    .boolean()
    .optional()
    .describe(
      'True: take the first rows of the model (`rows`, 3 by default, at most 100) as added, changed and removed, whatever was delivered. Rows are kept for some seconds, so that the next answer comes at once.',
    ),
  documents: documentsBody.shape.documents
    .optional()
    .describe('Documents that are not stored. They take the place of stored ones of the same kind and name.'),
})
export const rowsBody = z
  .strictObject({
    sql: z.string().min(1).max(MOST_YAML).optional(),
    table: z.string().min(1).max(1_000).optional(),
    limit: z.int().min(1).max(100).optional().describe('Most rows; default 20.'),
    documents: documentsBody.shape.documents.optional().describe('A source that is not stored.'),
  })
  .refine(({ sql, table }) => (sql === undefined) !== (table === undefined), 'wanted either `sql` or `table`')

const applied = z.strictObject({ kind, name, spec: fields })
export const applyBody = z.strictObject({
  project: z.string().min(1).max(200).describe('The project that the resources belong to.'),
  folder: z
    .string()
    .max(4_096)
    .nullish()
    .describe(
      'The folder of a project that is called like its folder: what another folder of that name has applied is another project’s.',
    ),
  resources: z.array(applied).max(MOST_APPLIED),
  prune: z.boolean().optional().describe('True: delete what belongs to the project and is not among these.'),
  takeOver: z
    .boolean()
    .optional()
    .describe('True: change resources though they belong to another project, or were written on the server.'),
})
