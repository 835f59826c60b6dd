/** The instants at which a sync is due, in ms since 1970. Pure: no clock is looked at. */
import type { SyncSpec } from '@sluice/contracts/resources'
import { parseCron } from './cron.ts'

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
/**
 * `latest` looks back by each of these in turn. A cron may pause for 8 years, as from 29 February 1896 to
 * 1904.
 */
const LOOKS_BACK_MS = [MINUTE_MS, HOUR_MS, DAY_MS, 32 * DAY_MS, 366 * DAY_MS, 9 * 366 * DAY_MS]

export interface Instants {
  /** The first instant after this one; null if none comes. */
  next(after: number): number | null
  /** The last instant in `(after, at]`; null if there is none. */
  latest(after: number, at: number): number | null
}

/**
 * Returns null for a sync that runs only when somebody asks or without end, and for a schedule that a later
 * version wrote.
 */
export function instantsOf({ name, schedule }: Pick<SyncSpec, 'name' | 'schedule'>): Instants | null {
  if (schedule === 'manual' || schedule === 'continuous') return null
  if ('every' in schedule) return everyOf(schedule.every, name)
  const parsed = parseCron(schedule.cron, schedule.timezone)
  return parsed.kind === 'wrong' ? null : { next: parsed.next, latest: latestBy(parsed.next) }
}

/**
 * Returns the multiples of the interval since 1970, moved by a part of the interval that follows from the
 * sync's name. So syncs with equal intervals do not all begin at once, and every process finds the same
 * instants.
 */
function everyOf(every: number, name: string): Instants {
  const moved = (hashOf(name) % Math.floor(every / SECOND_MS)) * SECOND_MS
  const lastUntil = (at: number): number => Math.floor((at - moved) / every) * every + moved
  return {
    next: after => lastUntil(after) + every,
    latest: (after, at) => {
      const last = lastUntil(at)
      return last > after ? last : null
    },
  }
}

function latestBy(next: Instants['next']): Instants['latest'] {
  return (after, at) => {
    for (const back of LOOKS_BACK_MS) {
      const from = Math.max(after, at - back)
      let latest: number | null = null
      for (let found = next(from); found !== null && found <= at; found = next(found)) latest = found
      if (latest !== null || from === after) return latest
    }
    return null
  }
}

/** FNV-1a, 32 bits (http://www.isthe.com/chongo/tech/comp/fnv/). */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return hash
}
