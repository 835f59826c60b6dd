/** The rules of a sync about answers to its requests, as users write them. */
import { z } from 'zod'
import { filledText, text } from './plain-values.ts'

const ANSWER_STATUS_WANTED = 'a status from 200 to 599, or one of `2xx`, `3xx`, `4xx`, `5xx`'
const statusNumber = z
  .int({ error: ANSWER_STATUS_WANTED })
  .min(200, ANSWER_STATUS_WANTED)
  .max(599, ANSWER_STATUS_WANTED)
const statusClass = z.enum(['2xx', '3xx', '4xx', '5xx'])
const oneStatus = z.union([statusNumber, statusClass], { error: ANSWER_STATUS_WANTED })

/**
 * After an answer that matches a rule with `retry`, a failed request gets no other attempt in the same run.
 */
const retry = z
  .literal('next-run')
  .optional()
  .describe('next-run: with `retry: now`, it is not tried again in this run.')
const RETRY_MISPLACED = {
  path: ['retry'],
  error: 'no `retry` here: only what is `rejected` or `unknown` is tried again in the same run',
}

/**
 * True if `retry` is absent, or belongs to a failure. Other outcomes are never tried again in the same run.
 */
function hasRetryWhereFailed({
  as,
  retry,
}: {
  readonly as: string
  readonly retry?: string | undefined
}): boolean {
  return retry === undefined || as === 'rejected' || as === 'unknown'
}

/** A rule for answers that the defaults misjudge. It applies to answers that match all of its parts. */
export const answerRule = z
  .strictObject({
    status: z
      .union([statusNumber, statusClass, z.array(oneStatus).min(1, 'at least one status')], {
        error: `${ANSWER_STATUS_WANTED}, or a list of them`,
      })
      .describe('409, 4xx or a list such as [404, 410].'),
    json: filledText
      .optional()
      .describe('A JSONPath such as $.errors[0] that finds a value other than null and false in the body.'),
    body: filledText.optional().describe('A text that the body contains.'),
    as: z
      .enum(['delivered', 'rejected', 'unknown', 'throttled', 'exists', 'missing'])
      .describe(
        'rejected: not applied; unknown: it may have been; exists, missing: the row is, or is not, there.',
      ),
    error: filledText.optional().describe('A JSONPath to the reason in the body.'),
    retry,
  })
  .refine(hasRetryWhereFailed, RETRY_MISPLACED)
export const MAX_ANSWER_RULES = 100

const rowByIndex = z.strictObject({
  index: filledText.describe('A JSONPath, within the item, to the index of the row, counted from 0.'),
})
const MAX_NAMING_COLUMNS = 10
const rowByColumns = z
  .record(text, filledText)
  .refine(columns => Object.keys(columns).length > 0, 'at least one column, such as { email: "$.email" }')
  .refine(
    columns => Object.keys(columns).length <= MAX_NAMING_COLUMNS,
    `at most ${MAX_NAMING_COLUMNS} columns`,
  )
const ROW_WANTED = '`position`, { index: "$.index" }, or columns of the model such as { email: "$.email" }'

/** A rule for answers to batches that report on single rows. */
export const rowRule = z
  .strictObject({
    items: filledText.describe('A JSONPath to the items of the answer, one a row, such as $.results[*].'),
    row: z
      .union([z.literal('position'), rowByIndex, rowByColumns], { error: ROW_WANTED })
      .default('position')
      .describe('How an item names its row; position (default): the first item is of the first row.'),
    json: filledText
      .optional()
      .describe(
        'A JSONPath that finds a value other than null and false in the item; other items are skipped.',
      ),
    body: filledText
      .optional()
      .describe('Text that the item contains, as JSON without white space; other items are skipped.'),
    as: z
      .enum(['delivered', 'rejected', 'unknown', 'throttled', 'exists', 'missing'])
      .describe('The outcome of the row.'),
    error: filledText.optional().describe('A JSONPath, within the item, to the reason.'),
    retry,
  })
  .refine(hasRetryWhereFailed, RETRY_MISPLACED)

const captureName = text.regex(
  /^[A-Za-z_][A-Za-z0-9_]{0,62}$/,
  'a name of letters, digits and _, which does not begin with a digit',
)
const MAX_CAPTURES = 20
/** JSONPaths by name: the values of an answer that are kept with the row. */
export const capture = z
  .record(captureName, filledText)
  .refine(names => Object.keys(names).length > 0, 'at least one value, such as { id: "$.id" }')
  .refine(names => Object.keys(names).length <= MAX_CAPTURES, `at most ${MAX_CAPTURES} values`)

export type AnswerStatus = z.output<typeof oneStatus>
export type AnswerRuleSpec = z.output<typeof answerRule>
export type RowRuleSpec = z.output<typeof rowRule>
