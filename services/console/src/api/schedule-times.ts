/** Computes the next times of a schedule, which need not be stored. */
import type { InputOf } from '@sluice/contracts/api/operation-shapes'
import type { ScheduleTimesView } from '@sluice/contracts/api/operating'
import { SluiceError } from '@sluice/contracts/errors'
import { schedule } from '@sluice/contracts/specs/schedule-specs'
import { parseCron } from '@sluice/runs/schedule/cron'
import { instantsOf } from '@sluice/runs/schedule/instants'
import type { z } from 'zod'

/** Throws `usage` with the field that is wrong. */
export function timesOf(asked: InputOf<'nextTimes'>, now: number): ScheduleTimesView {
  const { every, cron, timezone, sync: name = '', count } = asked
  if ((every === undefined) === (cron === undefined)) throw wrong('every', 'wanted either `every` or `cron`')
  const given = every === undefined ? { cron, ...(timezone === undefined ? {} : { timezone }) } : { every }
  const parsed = schedule.safeParse(given)
  if (!parsed.success)
    throw wrong(every === undefined ? 'cron' : 'every', `wanted ${firstMessage(parsed.error)}`)
  if (cron !== undefined) {
    const read = parseCron(cron, timezone)
    if (read.kind === 'wrong') throw wrong(read.at, read.message)
  }
  const instants = instantsOf({ name, schedule: parsed.data })
  const times: string[] = []
  for (
    let at = instants?.next(now) ?? null;
    at !== null && times.length < count;
    at = instants?.next(at) ?? null
  )
    times.push(new Date(at).toISOString())
  return { times, timezone: every === undefined ? (timezone ?? 'UTC') : null }
}

function wrong(field: string, message: string): SluiceError {
  return new SluiceError('usage', `\`${field}\`: ${message}`, { details: [{ field, message }] })
}

/** The message for the member of the union that the caller meant. */
function firstMessage({ issues: [issue] }: z.ZodError): string {
  if (issue === undefined) return 'a schedule'
  const inner =
    issue.code === 'invalid_union' ? issue.errors.flat().find(({ path }) => path.length > 0) : issue
  return inner?.message ?? issue.message
}
