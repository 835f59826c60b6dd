/**
 * Cron in a time zone. Croner reads the fields and does the calendar. This file decides what happens when
 * clocks change (docs/decisions/cron-by-croner.md):
 *
 * - A schedule for every hour goes on through the change: its instants are all those whose local time fits.
 * - Any other local time comes exactly once a day. If the clocks skip it, it comes when they do. If it comes
 *   twice, the first counts.
 */
import { messageOf } from '@sluice/contracts/errors'
import { Cron } from 'croner'
import { zoneOf, nearestZone, type Zone } from './zones.ts'

const FIELDS = ['minute', 'hour', 'day of the month', 'month', 'day of the week'] as const
const NICKNAMES: { readonly [name: string]: string } = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
}
const EVERY_HOUR = /^(\*|\*\/1|0-23)$/

/** `next` returns the first instant after another one, in ms since 1970; null if none comes. */
export type ParsedCron =
  | { readonly kind: 'cron'; readonly next: (after: number) => number | null }
  /** `at` is the field of the schedule that is wrong. */
  | { readonly kind: 'wrong'; readonly at: 'cron' | 'timezone'; readonly message: string }

export function parseCron(text: string, timezone = 'UTC'): ParsedCron {
  const zone = zoneOf(timezone)
  if (zone === null) return wrong('timezone', unknownZone(timezone))
  const written = text.trim().split(/\s+/)
  const [first = ''] = written
  const fields = written.length === 1 ? (NICKNAMES[first] ?? first).split(' ') : written
  if (fields.length !== FIELDS.length) return wrong('cron', wrongCount(written))
  try {
    const local = new Cron(fields.join(' '), { timezone: 'UTC', paused: true, mode: '5-part' })
    const nextLocal = (after: number): number | null => local.nextRun(new Date(after))?.getTime() ?? null
    if (nextLocal(0) === null) return wrong('cron', 'this day never comes')
    const goesOn = EVERY_HOUR.test(fields[1] ?? '')
    const next = goesOn ? everyFitting(zone, nextLocal) : eachOnce(zone, nextLocal)
    return { kind: 'cron', next }
  } catch (error) {
    return wrong('cron', croners(error))
  }
}

type Next = (after: number) => number | null

/** Returns each fitting local time once. */
function eachOnce(zone: Zone, nextLocal: Next): Next {
  return after => {
    for (let local = nextLocal(zone.localAt(after)); local !== null; local = nextLocal(local)) {
      const instant = zone.firstInstantOf(local)
      if (instant > after) return instant
    }
    return null
  }
}

/** Returns every instant whose local time fits. Between two changes of the clocks the offset is constant. */
function everyFitting(zone: Zone, nextLocal: Next): Next {
  return after => {
    // The search starts just before an instant, so that a change of clocks counts with its new local time.
    for (let from = after; ;) {
      const here = zone.localAt(from)
      const local = nextLocal(here)
      if (local === null) return null
      const instant = from + (local - here)
      const change = zone.changeWithin(from, instant)
      if (change === null) return instant
      const changed = zone.localAt(change)
      if (nextLocal(changed - 1) === changed) return change
      from = change
    }
  }
}

function wrong(at: 'cron' | 'timezone', message: string): ParsedCron {
  return { kind: 'wrong', at, message }
}

function unknownZone(name: string): string {
  const near = nearestZone(name)
  const hint = near === null ? '' : `; did you mean \`${near}\`?`
  return `there is no time zone \`${name}\`${hint}`
}

function wrongCount(fields: readonly string[]): string {
  const [first = ''] = fields
  if (first.startsWith('@')) {
    const names = Object.keys(NICKNAMES).map(name => `\`${name}\``)
    return `there is no \`${first}\`; wanted five fields, or one of ${names.join(', ')}`
  }
  const wanted = `wanted five fields (${FIELDS.join(', ')}), found ${fields.length}`
  if (fields.length !== FIELDS.length + 1) return wanted
  const most = `a schedule by cron has no seconds: leave out \`${first}\`, or write \`{ every: 10s }\``
  return `${wanted}; ${most}`
}

/** Returns croner's message, without the names of its classes. */
function croners(error: unknown): string {
  const message = messageOf(error)
  const plain = message.replace(/^Cron(Pattern|Date)?:\s*/, '').trim()
  return plain === '' ? 'this is no cron schedule' : `${plain.charAt(0).toLowerCase()}${plain.slice(1)}`
}
