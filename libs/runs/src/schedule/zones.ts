/** Time zones of the IANA database, as the process knows it. */
import { nearestName } from '@sluice/domain/nearest-name'

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
const SECOND_MS = 1_000
/** Each zone caches up to this many offsets, since `Intl` takes microseconds for each of them. */
const MAX_OFFSETS = 100

/** Names that people know and `Intl` does not list. */
const OTHER_ZONES = ['UTC', 'GMT', 'US/Eastern', 'US/Central', 'US/Mountain', 'US/Pacific']

/** A time zone. A local time is given as the ms since 1970 at which clocks in UTC show it. */
export interface Zone {
  /** Returns the local time at an instant. */
  localAt(instant: number): number
  /** Returns the first instant with this local time. If the clocks skip it, returns when they do. */
  firstInstantOf(local: number): number
  /** Returns the first instant in `(from, to]` at which the clocks change; null if they do not. */
  changeWithin(from: number, to: number): number | null
}

/** Returns null if there is no such zone. */
export function zoneOf(name: string): Zone | null {
  try {
    return zoneBy(
      new Intl.DateTimeFormat('en-US', {
        timeZone: name,
        hourCycle: 'h23',
        year: 'numeric',
        month: 'numeric',
        day: 'numeric',
        hour: 'numeric',
        minute: 'numeric',
        second: 'numeric',
      }),
    )
  } catch {
    return null
  }
}

/** Returns the zone that this name most likely means: `Paris` is Europe/Paris. Null if none is near. */
export function nearestZone(name: string): string | null {
  const zones = [...Intl.supportedValuesOf('timeZone'), ...OTHER_ZONES]
  const cities = new Map(zones.map(zone => [zone.slice(zone.lastIndexOf('/') + 1), zone]))
  const near = nearestName(name, zones)
  if (near !== null) return near
  const city = name.includes('/') ? null : nearestName(name, cities.keys())
  return city === null ? null : (cities.get(city) ?? null)
}

function zoneBy(format: Intl.DateTimeFormat): Zone {
  const known = new Map<number, number>()
  const offsetAt = (instant: number): number => {
    const offset = known.get(instant) ?? askedOffset(instant)
    if (known.size >= MAX_OFFSETS) known.clear()
    known.set(instant, offset)
    return offset
  }
  const askedOffset = (instant: number): number => {
    const whole = Math.floor(instant / SECOND_MS) * SECOND_MS
    const parts = new Map(format.formatToParts(whole).map(({ type, value }) => [type, Number(value)]))
    const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0
    const date = Date.UTC(part('year'), part('month') - 1, part('day'))
    return date + ((part('hour') * 60 + part('minute')) * 60 + part('second')) * SECOND_MS - whole
  }
  const changeWithin = (from: number, to: number): number | null => {
    for (let start = from; start < to; start += DAY_MS) {
      const end = Math.min(start + DAY_MS, to)
      if (offsetAt(start) !== offsetAt(end)) return firstOther(start, end)
    }
    return null
  }
  const firstOther = (start: number, end: number): number => {
    const before = offsetAt(start)
    let same = start
    let other = end
    // Clocks change on a whole minute.
    while (other - same > 1) {
      const middle = Math.floor((same + other) / 2)
      if (offsetAt(middle) === before) same = middle
      else other = middle
    }
    return other
  }
  return {
    localAt: instant => instant + offsetAt(instant),
    changeWithin,
    firstInstantOf: local => {
      // No zone is further from UTC, and none changes its clocks twice within two days.
      const earlier = local - offsetAt(local - DAY_MS)
      if (earlier + offsetAt(earlier) === local) return earlier
      const later = local - offsetAt(local + DAY_MS)
      if (later + offsetAt(later) === local) return later
      return changeWithin(later - MINUTE_MS, earlier) ?? earlier
    },
  }
}
