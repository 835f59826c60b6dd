/**
 * The filters: liquidjs's, corrected where they would lose digits, print `[object Object]`, depend on clock,
 * chance or time zone, or work without limit; and `json`.
 */
import { Decimal } from '@sluice/contracts/values'
import { createHash } from 'node:crypto'
import { filters as liquidFilters, Tokenizer, toValueSync } from 'liquidjs'
import { roundExactly } from './exact-numbers.ts'
import type { Frame } from './frame.ts'
import { LIQUID } from './liquid-options.ts'
import { LIST_FILTERS } from './list-filters.ts'
import { MATH_FILTERS } from './math-filters.ts'
import { plainValue, unpackJson } from './plain-value.ts'
import { EscapedText, base64, jsonText, printValue } from './print-value.ts'

/** Pure but for counting in the frame. Named arguments come as pairs of name and value. */
export type FilterFunction = (value: unknown, args: readonly unknown[], frame: Frame) => unknown

const REPEATABLE = 'a request that is rendered again has to come out the same'

/** Filters of liquidjs that are not for us, with the reason. */
export const REFUSED_FILTERS: ReadonlyMap<string, string> = new Map([['sample', REPEATABLE]])

/** Filters whose last argument is an expression; `compile-filters.ts` makes them. */
export const EXPRESSION_FILTERS: ReadonlySet<string> = new Set([
  'where_exp',
  'reject_exp',
  'group_by_exp',
  'has_exp',
  'find_exp',
  'find_index_exp',
])

/** Take text and make text; anything else is printed first. */
const TEXT_FILTERS = [
  ...['escape', 'xml_escape', 'escape_once', 'newline_to_br', 'strip_html', 'url_decode', 'url_encode'],
  ...['cgi_escape', 'uri_escape', 'slugify', 'append', 'prepend', 'lstrip', 'downcase', 'upcase', 'remove'],
  ...['remove_first', 'remove_last', 'rstrip', 'split', 'strip', 'strip_newlines', 'squish', 'capitalize'],
  ...[
    'replace_first',
    'replace_last',
    'truncate',
    'truncatewords',
    'normalize_whitespace',
    'number_of_words',
  ],
  ...['base64_encode', 'base64_decode', 'sha256', 'hmac_sha256'],
]
/** Filters that go through their text several times over, with how often. */
const PASSES: { readonly [name: string]: number } = { slugify: 8, escape_once: 6, number_of_words: 4 }
/** What these give of escaped text needs no escaping again. */
const KEEPS_ESCAPED = new Set([
  'strip',
  'lstrip',
  'rstrip',
  'strip_newlines',
  'squish',
  'normalize_whitespace',
])
/** Filters of liquidjs that go through a list, with how many items are the work of one step. */
const COUNTED_FILTERS: readonly (readonly [string, number])[] = [
  ['sum', 8],
  ['uniq', 8],
  ['reverse', 64],
]

/** A token for liquidjs's filters, which want one and never look at it. */
const ANY_TOKEN = new Tokenizer('x | size').readFilteredValue().filters[0]

function fromLiquid(name: string): FilterFunction {
  const made = liquidFilters[name]
  const handler = typeof made === 'function' ? made : made?.handler
  if (handler === undefined || ANY_TOKEN === undefined) throw new Error(`liquidjs has no filter ${name}`)
  const token = ANY_TOKEN
  return (value, args, frame) => {
    const self = { context: frame.liquid, token, liquid: LIQUID }
    const result: unknown = handler.call(self, unpackJson(value), ...args.map(unpackJson))
    return toValueSync(result)
  }
}

function asText(value: unknown, frame: Frame): unknown {
  return typeof value === 'object' && value !== null ? printValue(value, frame) : value
}

function textFilter(name: string): FilterFunction {
  const filter = fromLiquid(name)
  const keepsEscaped = KEEPS_ESCAPED.has(name)
  const passes = PASSES[name] ?? 1
  return (value, args, frame) => {
    const text = asText(value, frame)
    if (typeof text === 'string') frame.charge(passes * text.length)
    const result = filter(
      text,
      args.map(arg => asText(arg, frame)),
      frame,
    )
    return keepsEscaped && value instanceof EscapedText ? new EscapedText(printValue(result, frame)) : result
  }
}

function countedFilter(name: string, itemsPerStep: number): FilterFunction {
  const filter = fromLiquid(name)
  return (value, args, frame) => {
    const list = plainValue(value)
    if (Array.isArray(list)) frame.step(list.length / itemsPerStep)
    return filter(value, args, frame)
  }
}

function replace(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  const text = printValue(value, frame)
  const pattern = printValue(args[0], frame)
  const replacement = printValue(args[1], frame)
  if (!text.includes(pattern)) return text
  const parts = text.split(pattern)
  frame.charge(text.length + parts.length * (replacement.length + 1))
  return parts.join(replacement)
}

function json(value: unknown, _args: readonly unknown[], frame: Frame): unknown {
  const text = jsonText(value, frame)
  frame.charge(text.length)
  return text
}

function defaultTo(value: unknown, args: readonly unknown[]): unknown {
  const plain = plainValue(value)
  const [fallback, ...options] = args
  if (typeof plain === 'string' || Array.isArray(plain)) return plain.length > 0 ? value : fallback
  if (plain === false) {
    const allowed = options.some(
      option => Array.isArray(option) && option[0] === 'allow_false' && option[1] === true,
    )
    return allowed ? false : fallback
  }
  return plain === null || plain === undefined ? fallback : value
}

function join(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  const list = plainValue(value)
  const separator = args[0] === null || args[0] === undefined ? ' ' : printValue(args[0], frame)
  if (!Array.isArray(list)) return printValue(value, frame)
  let text = ''
  let between = ''
  for (const item of list) {
    const part = printValue(item, frame)
    frame.charge(part.length + separator.length)
    text += between + part
    between = separator
  }
  return text
}

const ISO_WITHOUT_ZONE = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?$/

/** A date is put together piece by piece of its format, at the cost of so many characters for each of it. */
const DATE_PASSES = 16

/** Dates without a zone are taken as UTC and shown as they are; `now` is when the run started. */
function dateFilter(name: string): FilterFunction {
  const filter = fromLiquid(name)
  return (value, args, frame) => {
    const texts = args.map(arg => asText(arg, frame))
    for (const text of texts) if (typeof text === 'string') frame.charge(DATE_PASSES * text.length)
    return filter(dateValue(value, frame), texts, frame)
  }
}

function dateValue(value: unknown, frame: Frame): unknown {
  const plain = plainValue(value)
  if (plain === 'now' || plain === 'today') return frame.context.run.startedAt
  if (typeof plain === 'bigint' || plain instanceof Decimal) return Number(plain)
  if (typeof plain !== 'string' || !ISO_WITHOUT_ZONE.test(plain)) return plain
  const iso = plain.replace(' ', 'T')
  return iso.includes('T') ? `${iso}Z` : `${iso}T00:00:00Z`
}

function toInteger(value: unknown): unknown {
  const plain = plainValue(value)
  if (typeof plain === 'bigint') return plain
  if (plain instanceof Decimal || typeof plain === 'string') {
    const rounded = roundExactly(plain, 'truncate')
    return typeof rounded === 'string' ? Number(rounded) : rounded
  }
  return Number(plain)
}

function slice(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  const list = unpackJson(value)
  const plain = Array.isArray(list) ? list : asText(value, frame)
  if (typeof plain === 'string') frame.charge(plain.length)
  return sliceOfLiquid(plain, args, frame)
}
const sliceOfLiquid = fromLiquid('slice')

function base64Encode(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  return value instanceof Uint8Array ? base64(value) : base64EncodeText(value, args, frame)
}
const base64EncodeText = textFilter('base64_encode')

function sha256(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  if (!(value instanceof Uint8Array)) return sha256OfText(value, args, frame)
  frame.charge(value.byteLength)
  return createHash('sha256').update(value).digest('hex')
}
const sha256OfText = textFilter('sha256')

/** `raw` only says how its value is printed; the printing looks for it. */
function raw(value: unknown): unknown {
  return value
}

const FILTERS: ReadonlyMap<string, FilterFunction> = new Map<string, FilterFunction>([
  ...Object.keys(liquidFilters).map((name): [string, FilterFunction] => [name, fromLiquid(name)]),
  ...COUNTED_FILTERS.map(([name, items]): [string, FilterFunction] => [name, countedFilter(name, items)]),
  ...TEXT_FILTERS.map((name): [string, FilterFunction] => [name, textFilter(name)]),
  ...Object.keys(liquidFilters)
    .filter(name => name.startsWith('date'))
    .map((name): [string, FilterFunction] => [name, dateFilter(name)]),
  ...MATH_FILTERS,
  ...LIST_FILTERS,
  ['replace', replace],
  ['json', json],
  ['jsonify', json],
  ['inspect', json],
  ['default', defaultTo],
  ['join', join],
  ['slice', slice],
  ['to_integer', toInteger],
  ['base64_encode', base64Encode],
  ['sha256', sha256],
  ['raw', raw],
])

export const FILTER_NAMES: ReadonlySet<string> = new Set(
  [...FILTERS.keys(), ...EXPRESSION_FILTERS].filter(name => !REFUSED_FILTERS.has(name)),
)

/** The filter of a name in `FILTER_NAMES` that takes no expression. */
export function filterOf(name: string): FilterFunction {
  const filter = FILTERS.get(name)
  if (filter === undefined) throw new Error(`there is no filter ${name}`)
  return filter
}
