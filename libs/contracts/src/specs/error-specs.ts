/** The error handling of a sync, as users write it. */
import { z } from 'zod'
import { answerRule, MAX_ANSWER_RULES, rowRule } from './answer-specs.ts'
import { count, durationBetween, durationWithin } from './plain-values.ts'

const MAX_GIVE_UP_RUNS = 1_000_000
const MAX_EXTRA_ATTEMPTS = 100
const EXTRA_ATTEMPTS_WANTED = `a whole number from 0 to ${MAX_EXTRA_ATTEMPTS}`
const MAX_BACKOFF_MS = 3_600_000
const MAX_RETRY_AFTER_MS = 86_400_000

const backoff = z
  .strictObject({
    first: durationWithin(MAX_BACKOFF_MS, '1h')
      .default(1_000)
      .describe('The longest wait before the first extra attempt.'),
    max: durationWithin(MAX_BACKOFF_MS, '1h')
      .default(60_000)
      .describe('The longest wait before any extra attempt.'),
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
      .describe('next-run: failed rows wait for the next run; now: they are first tried again in this run.'),
    attempts: z
      .int({ error: EXTRA_ATTEMPTS_WANTED })
      .min(0, EXTRA_ATTEMPTS_WANTED)
      .max(MAX_EXTRA_ATTEMPTS, EXTRA_ATTEMPTS_WANTED)
      .optional()
      .describe('With `retry: now`: extra attempts at a request in this run (default 3; 0: none).'),
    backoff: backoff
      .optional()
      .describe(
        'With `retry: now`: an extra attempt waits at random up to `first` (default 1s), doubled each time up to `max` (1m).',
      ),
    answers: z
      .array(answerRule)
      .max(MAX_ANSWER_RULES, `at most ${MAX_ANSWER_RULES} rules`)
      .optional()
      .describe('The meaning of answers; the first rule that fits decides, before the defaults.'),
    rowResults: z
      .array(rowRule)
      .max(MAX_ANSWER_RULES, `at most ${MAX_ANSWER_RULES} rules`)
      .optional()
      .describe('Reports on single rows in answers to batches; the first rule that names a row decides.'),
    splitBatches: z
      .boolean('true or false')
      .optional()
      .describe('true: a batch rejected with 400, 413 or 422 is halved until the bad rows stand alone.'),
    giveUpAfter: count(MAX_GIVE_UP_RUNS)
      .optional()
      .describe('After this many failed runs, runs skip a row until it changes; default: never.'),
    retryAfter: durationBetween({ ms: 1_000, text: '1s' }, { ms: MAX_RETRY_AFTER_MS, text: '1d' })
      .optional()
      .describe(
        'With `schedule: continuous`: a failed row is sent again after this time, as the source then has it; default 1m.',
      ),
  })
  .refine(({ retry, attempts }) => retry === 'now' || attempts === undefined, {
    path: ['attempts'],
    error: 'no `attempts` without `retry: now`: they count the extra attempts within a run',
  })
  .refine(({ retry, backoff }) => retry === 'now' || backoff === undefined, {
    path: ['backoff'],
    error: 'no `backoff` without `retry: now`: it is the pause before an extra attempt within a run',
  })
