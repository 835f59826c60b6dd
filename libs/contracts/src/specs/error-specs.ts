/** What a sync does about rows that do not arrive: part of the shapes in `resources.ts`. */
import { z } from 'zod'
import { answerRule, MAX_ANSWER_RULES, rowRule } from './answer-specs.ts'
import { count, durationWithin } from './quantities.ts'

const MAX_GIVE_UP_RUNS = 1_000_000
const MAX_EXTRA_TRIES = 100
const EXTRA_TRIES_WANTED = `a whole number from 0 to ${MAX_EXTRA_TRIES}`
const MAX_BACKOFF_MS = 3_600_000

const backoff = z
  .strictObject({
    first: durationWithin(MAX_BACKOFF_MS, '1h')
      .default(1_000)
      .describe('The most before the first extra try.'),
    max: durationWithin(MAX_BACKOFF_MS, '1h').default(60_000).describe('The most before any extra try.'),
  })
  .refine(({ first, max }) => first <= max, {
    path: ['first'],
    error: 'at most as long as `max` (default 1m)',
  })

export const errors = z
  .strictObject({
    retry: z
      .enum(['next-run', 'now'])
      .default('next-run')
      .describe('next-run tries again with the next run; now tries in this run first.'),
    attempts: z
      .int({ error: EXTRA_TRIES_WANTED })
      .min(0, EXTRA_TRIES_WANTED)
      .max(MAX_EXTRA_TRIES, EXTRA_TRIES_WANTED)
      .optional()
      .describe('With `retry: now`: how many more tries a request gets in this run (default 3; 0: none).'),
    backoff: backoff
      .optional()
      .describe(
        'With `retry: now`: a try waits at random up to `first` (default 1s), doubled each time up to `max` (1m).',
      ),
    answers: z
      .array(answerRule)
      .max(MAX_ANSWER_RULES, `at most ${MAX_ANSWER_RULES} rules`)
      .optional()
      .describe('What answers mean; the first rule that fits decides, before the defaults.'),
    rowResults: z
      .array(rowRule)
      .max(MAX_ANSWER_RULES, `at most ${MAX_ANSWER_RULES} rules`)
      .optional()
      .describe('What answers say of single rows of a batch; the first rule that names a row decides.'),
    splitBatches: z
      .boolean('true or false')
      .optional()
      .describe('true: a batch rejected with 400, 413 or 422 is halved until the bad rows stand alone.'),
    giveUpAfter: count(MAX_GIVE_UP_RUNS)
      .optional()
      .describe('A row that failed in so many runs is passed over until it changes; default: never.'),
  })
  .refine(({ retry, attempts }) => retry === 'now' || attempts === undefined, {
    path: ['attempts'],
    error: 'no `attempts` without `retry: now`: they count the extra tries within a run',
  })
  .refine(({ retry, backoff }) => retry === 'now' || backoff === undefined, {
    path: ['backoff'],
    error: 'no `backoff` without `retry: now`: it is the pause before an extra try within a run',
  })
