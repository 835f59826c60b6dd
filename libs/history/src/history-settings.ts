/** The settings of the index of history, from the environment: its days, its size, and if it keeps bodies. */
import { parseEnvironment, type Environment } from '@sluice/runtime/environment'
import { z } from 'zod'

const DAYS = 90
const MAX_DAYS = 3_650
const MB = 1_000_000
const GB = 1_000 * MB
const MIN_BYTES = 16 * MB

const variables = z.object({
  SLUICE_HISTORY_DAYS: z.coerce.number().int().min(1).max(MAX_DAYS).default(DAYS),
  SLUICE_HISTORY_BODIES: z.enum(['true', 'false'], 'expected true or false').default('false'),
  SLUICE_HISTORY_SIZE: z
    .string()
    .regex(/^\d{1,6}(MB|GB)$/, 'expected a size such as 500MB or 20GB')
    .transform(text => Number.parseInt(text, 10) * (text.endsWith('GB') ? GB : MB))
    .pipe(z.number().min(MIN_BYTES, 'expected at least 16MB'))
    .default(10 * GB),
})

export interface HistorySettings {
  readonly days: number
  readonly keepsBodies: boolean
  readonly maxBytes: number
}

/** Throws `config` with one detail for each variable that is wrong. */
export function historySettings(env: Environment): HistorySettings {
  const read = parseEnvironment(variables, env, { secrets: [] })
  return {
    days: read.SLUICE_HISTORY_DAYS,
    keepsBodies: read.SLUICE_HISTORY_BODIES === 'true',
    maxBytes: read.SLUICE_HISTORY_SIZE,
  }
}
