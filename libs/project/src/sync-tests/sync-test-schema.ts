/** The schema of `*.test.yaml` files: tests of syncs, as users write them. */
import { NAME_PATTERN } from '@sluice/contracts/resources'
import { OPS } from '@sluice/contracts/state'
import { z } from 'zod'

const MIN_STATUS = 200
const MAX_STATUS = 599

const row = z.record(z.string(), z.unknown(), { error: 'a row: a map of columns' })
const rows = z.array(row, { error: 'a list of rows' })
const headers = z.record(z.string(), z.string({ error: 'text' }), { error: 'a map of headers' })
const types = z
  .record(z.string(), z.string({ error: 'the name of a DuckDB type' }))
  .describe('DuckDB types of columns, such as DECIMAL(10,2), where the values do not say it.')

const ONE_BODY = { path: ['json'], error: 'either `body` or `json`, found both' }

function hasOneBody({ body, json }: { readonly body?: unknown; readonly json?: unknown }): boolean {
  return body === undefined || json === undefined
}

const answer = z
  .strictObject({
    status: z
      .int()
      .min(MIN_STATUS)
      .max(MAX_STATUS, { error: `a status from ${MIN_STATUS} to ${MAX_STATUS}` })
      .optional(),
    headers: headers.optional(),
    body: z.string().optional(),
    json: z.unknown().optional().describe('In place of body: a value that is sent as JSON.'),
    fails: z
      .enum(['refused', 'timeout', 'broken'], { error: '`refused`, `timeout` or `broken`' })
      .optional()
      .describe('In place of an answer: no connection, no answer in time, or a connection that broke.'),
  })
  .refine(({ fails, status }) => fails === undefined || status === undefined, {
    path: ['fails'],
    error: 'either `status` or `fails`, found both',
  })
  .refine(hasOneBody, ONE_BODY)

const request = z
  .strictObject({
    trigger: z.enum(OPS, { error: '`added`, `changed` or `removed`' }).optional(),
    method: z.string().optional(),
    path: z.string().optional().describe('Path and query behind the base URL of the destination.'),
    headers: headers.optional().describe('Headers that the request must have, among others.'),
    json: z.unknown().optional().describe('The body, compared as JSON.'),
    body: z.string().optional().describe('In place of json: the body, compared as text.'),
  })
  .refine(hasOneBody, ONE_BODY)

const testCase = z.strictObject({
  name: z.string().min(1, 'a name'),
  before: rows.optional().describe('The rows that were delivered before. Default: none.'),
  beforeAnswers: z
    .array(answer)
    .optional()
    .describe('Answers to the requests that delivered `before`, where a sync captures values from them.'),
  rows: rows.describe('The rows that the model has now.'),
  types: types.optional(),
  answers: z.array(answer).optional().describe('Answers of the API, in order. All others have status 200.'),
  requests: z.array(request).optional().describe('The requests that must be sent, in order.'),
  status: z
    .enum(['success', 'warning', 'failed'], { error: '`success`, `warning` or `failed`' })
    .optional()
    .describe('The status of the run; without it, the requests alone count.'),
})

export const syncTestSchema = z.strictObject({
  sync: z.string().regex(NAME_PATTERN, 'the name of a sync'),
  types: types.optional(),
  cases: z.array(testCase).min(1, 'at least one case'),
})

export type SyncTestFile = z.output<typeof syncTestSchema>
export type SyncTestCase = z.output<typeof testCase>
export type TestAnswer = z.output<typeof answer>
export type ExpectedRequest = z.output<typeof request>
