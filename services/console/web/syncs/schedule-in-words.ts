/** A schedule as a sentence. */
import { z } from 'zod'

const every = z.object({ every: z.string() })
const cron = z.object({ cron: z.string(), timezone: z.string().optional() })

export function scheduleInWords(schedule: unknown): string {
  if (schedule === undefined || schedule === 'manual') return 'when somebody asks'
  const interval = every.safeParse(schedule)
  if (interval.success) return `every ${interval.data.every}`
  const instants = cron.safeParse(schedule)
  if (instants.success) return `cron ${instants.data.cron} (${instants.data.timezone ?? 'UTC'})`
  return 'a schedule that this page cannot tell'
}
