/**
 * Makes values of the texts that PostgreSQL's log has. They are the same, to the byte, as those that DuckDB
 * makes of the text of a query (types.ts): a row from the log and the same row from a comparison are equal.
 * The log has a value as PostgreSQL prints it, by the settings of the session (connection.ts).
 */
import { type ColumnType, Decimal, JsonText, shortestOfFloat, type Value } from '@sluice/contracts/values'

/** Makes a value of its text. Null: no value of the type can hold it. */
export type LogReader = (text: string) => Value

/** Returns the reader of a scalar's text. */
export function scalarReader(type: ColumnType): LogReader {
  switch (type.kind) {
    case 'boolean':
      return text => text === 't' || text === 'true'
    case 'integer':
      return Number
    case 'long':
      return wholeNumber
    case 'float':
      return text => shortestOfFloat(Math.fround(Number(text)))
    case 'double':
      return Number
    case 'decimal':
      return decimalReader(type)
    case 'bytes':
      return text => new Uint8Array(Buffer.from(text.slice(2), 'hex'))
    case 'date':
      return text => calendar(text, '')
    case 'timestamp':
      return text => timestamp(text, type.zone)
    case 'interval':
      return interval
    case 'json':
      return text => new JsonText(wellFormed(text))
    case 'text':
    case 'time':
    case 'uuid':
      return text => text
    case 'list':
    case 'struct':
      throw new Error(`a ${type.kind} is no scalar`)
    default:
      return type satisfies never
  }
}

function wholeNumber(text: string): Value {
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : BigInt(text)
}

function decimalReader({ scale }: { readonly scale: number }): LogReader {
  return text => {
    // Only NaN has no place in a decimal.
    if (text === 'NaN') return null
    if (scale === 0) return wholeNumber(text)
    return new Decimal(/^-[0.]*$/.test(text) ? text.slice(1) : text)
  }
}

const HIGH = String.raw`\\u[dD][89abAB][0-9a-fA-F]{2}`
const LOW = String.raw`\\u[dD][c-fC-F][0-9a-fA-F]{2}`
/** An escaped backslash, a pair of surrogates, or one alone. */
const SURROGATES = new RegExp(String.raw`\\\\|${HIGH}${LOW}|(${HIGH}|${LOW})`, 'g')

/** Replaces half a character, which no JSON text may have, by U+FFFD. */
function wellFormed(text: string): string {
  if (!/\\u[dD]/.test(text)) return text
  return text.replaceAll(SURROGATES, (found: string, lone: string | undefined) =>
    lone === undefined ? found : String.raw`\ufffd`,
  )
}

/**
 * Reads a date, and what follows it, such as `T12:00:00`. Years outside 0–9999 have a sign and six digits.
 */
function calendar(text: string, behind: string): string {
  if (text.endsWith('infinity')) return text
  const isBefore = text.endsWith(' BC')
  const date = isBefore ? text.slice(0, -3) : text
  if (!isBefore && date.length === 10) return `${date}${behind}`
  const at = date.indexOf('-')
  const year = isBefore ? 1 - Number(date.slice(0, at)) : Number(date.slice(0, at))
  const sign = year < 0 ? '-' : '+'
  const shown = year === 0 ? '0000' : `${sign}${String(Math.abs(year)).padStart(6, '0')}`
  return `${shown}${date.slice(at)}${behind}`
}

/** The last microsecond that a timestamp of 64 bits can hold; the next one stands for infinity. */
const LAST_TIMESTAMP = '294247-01-10 04:00:54.775806'

/** `2024-02-29 12:34:56.5+00 BC`. With a zone it is in UTC, as the session is. */
function timestamp(text: string, zone: boolean): Value {
  if (text.endsWith('infinity')) return text
  const isBefore = text.endsWith(' BC')
  const local = isBefore ? text.slice(0, -3) : text
  const [date = '', time = ''] = local.split(' ')
  const clock = zone ? time.replace(/[+-]\d\d$/, '') : time
  // Only years of six digits come near to the last one, so that texts of one length are compared.
  if (date.length >= 12 && `${date} ${clock}` > LAST_TIMESTAMP) return null
  return calendar(isBefore ? `${date} BC` : date, `T${clock}${zone ? 'Z' : ''}`)
}

const INTERVAL =
  /^(?:([+-]?\d+) years? ?)?(?:([+-]?\d+) mons? ?)?(?:([+-]?\d+) days? ?)?(?:([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?)?$/

/** Makes an ISO 8601 duration without its zero parts. */
function interval(text: string): Value {
  const parts = INTERVAL.exec(text)
  if (parts === null) return null
  const [, years = '0', months = '0', days = '0', sign = '', hours = '0', minutes = '0', seconds = '0'] =
    parts
  const fraction = (parts[8] ?? '').replace(/0+$/, '')
  const allMonths = Number(years) * 12 + Number(months)
  const minus = sign === '-' ? '-' : ''
  const part = (number: string | number, letter: string): string => {
    const digits = String(number)
      .replace(/^\+/, '')
      .replace(/^(-?)0+(?=\d)/, '$1')
    return digits === '0' || digits === '-0' ? '' : `${digits}${letter}`
  }
  const date = `${part(Math.trunc(allMonths / 12), 'Y')}${part(allMonths % 12, 'M')}${part(days, 'D')}`
  const whole = `${minus}${seconds.replace(/^0(?=\d)/, '')}`
  const second = fraction === '' ? part(whole, 'S') : `${whole}.${fraction}S`
  const time = `${part(`${minus}${hours}`, 'H')}${part(`${minus}${minutes}`, 'M')}${second}`
  if (date === '' && time === '') return 'PT0S'
  return `P${date}${time === '' ? '' : `T${time}`}`
}

/**
 * Returns the reader of an array's text, such as `{1,NULL,"a b"}`. An array of several dimensions is no list
 * of values.
 *
 * https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
 */
export function arrayReader(item: LogReader, divider: string): LogReader {
  return text => {
    const texts = arrayItems(text, divider)
    if (texts === null) return null
    const values: Value[] = []
    for (const each of texts) {
      const value = each === null ? null : item(each)
      if (value === null && each !== null) return null
      values.push(value)
    }
    return values
  }
}

/** Returns an array as a query prints it, as a JSON array of texts. */
export function arrayAsJson(text: string, divider: string): string {
  return JSON.stringify(arrayItems(text, divider))
}

function arrayItems(text: string, divider: string): readonly (string | null)[] | null {
  // An array that does not begin at 1 has its bounds before it: `[0:1]={1,2}`.
  let at = text.startsWith('[') ? text.indexOf('=') + 1 : 0
  if (text[at] !== '{') return null
  at += 1
  const items: (string | null)[] = []
  if (text[at] === '}') return items
  for (;;) {
    if (text[at] === '{') return null
    if (text[at] === '"') {
      let item = ''
      at += 1
      for (; text[at] !== '"'; at += 1) {
        if (at >= text.length) return null
        if (text[at] === '\\') at += 1
        item += text[at] ?? ''
      }
      items.push(item)
      at += 1
    } else {
      let item = ''
      for (; text[at] !== divider && text[at] !== '}'; at += 1) {
        if (at >= text.length) return null
        if (text[at] === '\\') at += 1
        item += text[at] ?? ''
      }
      items.push(item.toUpperCase() === 'NULL' ? null : item)
    }
    if (text[at] === '}') return items
    at += 1
  }
}

/**
 * Returns the text of a key: its one value, or a JSON array of the texts of its values. Null if a value is
 * null.
 */
export function keyText(values: readonly Value[]): string | null {
  const texts: string[] = []
  for (const value of values) {
    if (value instanceof Uint8Array) texts.push(Buffer.from(value).toString('hex'))
    else if (value instanceof Decimal) texts.push(value.text)
    else if (typeof value === 'object') return null
    else texts.push(String(value))
  }
  const [only = ''] = texts
  if (texts.length === 1) return only
  // DuckDB, which makes the keys of a comparison, writes the digits of an escape in upper case.
  return JSON.stringify(texts).replaceAll(/\\\\|\\u[0-9a-f]{4}/g, found =>
    found === '\\\\' ? found : `\\u${found.slice(2).toUpperCase()}`,
  )
}
