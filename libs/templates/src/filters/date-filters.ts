/**
 * Filters of dates. As with Shopify, a value that is no date stays as it is. `now` is the start of the run.
 */
import { Decimal } from '@sluice/contracts/values'
import type { FilterFunction } from './filter-signatures.ts'
import type { Frame } from '../liquid/frame.ts'
import { inZone, momentAt, momentOfText, type Moment } from './moment.ts'
import { plainValue } from '../values/plain-value.ts'
import { printValue } from '../values/print-value.ts'
import { strftime } from './strftime.ts'

/** Each character of a format counts as this many characters of work. */
const WORK_PER_CHARACTER = 16

function formatted(
  value: unknown,
  format: string,
  { zone, frame }: { zone?: unknown; frame: Frame },
): unknown {
  frame.charge(WORK_PER_CHARACTER * format.length)
  if (format === '') return value
  const moment = momentOf(value, frame)
  const shown = moment === null ? null : shownIn(moment, plainValue(zone))
  if (shown === null) return value
  const text = strftime(shown, format)
  frame.charge(text.length)
  return text
}

function momentOf(value: unknown, frame: Frame): Moment | null {
  const plain = plainValue(value)
  if (typeof plain === 'bigint' || plain instanceof Decimal || typeof plain === 'number')
    return momentOfSeconds(Number(plain))
  if (typeof plain !== 'string') return null
  const text = plain.trim().toLowerCase()
  if (text === 'now' || text === 'today') return momentOfText(frame.context.run.startedAt)
  return /^\d+$/.test(text) ? momentOfSeconds(Number(text)) : momentOfText(plain)
}

/** The moment this many seconds after the start of 1970; null beyond the range of JavaScript's dates. */
function momentOfSeconds(seconds: number): Moment | null {
  const milliseconds = seconds * 1000
  return Number.isNaN(new Date(milliseconds).getTime()) ? null : momentAt(milliseconds, 0, 'UTC')
}

/**
 * Returns the moment on the clock of a zone; null if there is no such zone. The zone is given by its name, or
 * by its minutes west of UTC.
 */
function shownIn(moment: Moment, zone: unknown): Moment | null {
  if (zone === undefined || zone === null) return moment
  if (typeof zone === 'string') return inZone(moment, zone)
  const minutes = Number(zone)
  if (!Number.isFinite(minutes)) return moment
  const sign = minutes > 0 ? '-' : '+'
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60]
  return inZone(moment, `${sign}${String(hours).padStart(2, '0')}:${String(rest).padStart(2, '0')}`)
}

function date(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  return formatted(value, printValue(args[0], frame), { zone: args[1], frame })
}

function fixed(format: string): FilterFunction {
  return (value, _args, frame) => formatted(value, format, { frame })
}

function readable(month: string): FilterFunction {
  return (value, args, frame) => {
    const [type, style] = args.map(arg => printValue(arg, frame))
    const ordinal = style === 'US' ? `%${month} %-d%q, %Y` : `%-d%q %${month} %Y`
    return formatted(value, type === 'ordinal' ? ordinal : `%d %${month} %Y`, { frame })
  }
}

export const DATE_FILTERS: readonly (readonly [string, FilterFunction])[] = [
  ['date', date],
  ['date_to_xmlschema', fixed('%Y-%m-%dT%H:%M:%S%:z')],
  ['date_to_rfc822', fixed('%a, %d %b %Y %H:%M:%S %z')],
  ['date_to_string', readable('b')],
  ['date_to_long_string', readable('B')],
]
