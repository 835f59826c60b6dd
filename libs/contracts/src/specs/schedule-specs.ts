/** The schedule of a sync, as users write it. */
import { z } from 'zod'
import { count, durationBetween, durationWithin } from './plain-values.ts'

/** Runs of a sync do not overlap, and a run takes longer than a fraction of a second. */
const MIN_MS = 1_000
const MAX_MS = 365 * 86_400_000
const MAX_CRON = 200
const MAX_ZONE = 100

const every = z.strictObject({
  every: durationBetween({ ms: MIN_MS, text: '1s' }, { ms: MAX_MS, text: '365d' }).describe(
    'The time between the beginnings of two runs.',
  ),
})

const cron = z.strictObject({
  cron: z
    .string('five fields of cron, such as "*/5 * * * *"')
    .min(1, 'five fields of cron, such as "*/5 * * * *"')
    .max(MAX_CRON)
    .describe('Minute, hour, day of the month, month and day of the week, as in "0 6 * * mon-fri".'),
  timezone: z
    .string('a time zone such as Europe/Paris')
    .min(1, 'a time zone such as Europe/Paris')
    .max(MAX_ZONE)
    .optional()
    .describe('The time zone of the fields, such as Europe/Paris; default UTC.'),
})

const WANTED =
  '`manual`, `continuous`, a map such as `{ every: 15m }`, or one such as `{ cron: "*/5 * * * *", timezone: Europe/Paris }`'

export const schedule = z
  .union([z.literal('manual'), z.literal('continuous'), every, cron], { error: WANTED })
  .default('manual')
  .describe(
    'manual (default), { every: 15m }, { cron: "*/5 * * * *", timezone: Europe/Paris }, or continuous: each change of a topic or a followed table is sent as it comes.',
  )

const MAX_SLICE_ROWS = 5_000
const MAX_SLICE_WAIT_MS = 60_000

export const slice = z
  .strictObject({
    rows: count(MAX_SLICE_ROWS).default(5_000).describe('At most this many changes of the source.'),
    wait: durationWithin(MAX_SLICE_WAIT_MS, '1m')
      .default(5)
      .describe('At most this long after the first of them; default 5ms.'),
  })
  .describe('With `schedule: continuous`: how many changes are taken together.')

export const paused = z
  .boolean('true or false')
  .optional()
  .describe('true: the schedule starts no run. A run that somebody asks for still begins.')
