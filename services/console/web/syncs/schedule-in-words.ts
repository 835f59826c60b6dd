/** A schedule as a sentence. */
import { writtenDuration } from '../ui/format.ts'

export function scheduleInWords(schedule: unknown): string {
  if (schedule === undefined || schedule === 'manual') return 'when somebody asks'
  if (schedule === 'continuous') return 'continuous: each change as it comes'
  const fields = new Map(typeof schedule === 'object' && schedule !== null ? Object.entries(schedule) : [])
  const [every, cron, timezone = 'UTC'] = ['every', 'cron', 'timezone'].map(name => textOf(fields.get(name)))
  if (every !== undefined) return `every ${writtenDuration(every).replace(/^1 /, '')}`
  if (cron !== undefined) return `cron ${cron} (${timezone})`
  return 'a schedule that this page cannot show'
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
