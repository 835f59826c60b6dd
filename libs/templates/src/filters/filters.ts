/**
 * All filters. Most come from liquidjs. A filter is our own if liquidjs's version loses digits, prints
 * `[object Object]`, works without limit, or depends on the clock, random numbers or the time zone.
 */
import { createHash } from 'node:crypto'
import { filters as liquidFilters, Tokenizer, toValueSync } from 'liquidjs'
import { DATE_FILTERS } from './date-filters.ts'
import { NamedArgument, type FilterFunction } from './filter-signatures.ts'
import type { Frame } from '../liquid/frame.ts'
import { LIQUID } from '../liquid/parse/expression-tokenizer.ts'
import { LIST_FILTERS } from './list-filters.ts'
import { MATH_FILTERS } from './math-filters.ts'
import { isMap } from '../liquid/operators.ts'
import { plainValue, unpackJson } from '../values/plain-value.ts'
import { EscapedText, base64, jsonText, printValue } from '../values/print-value.ts'
import { OWN_TEXT_FILTERS } from './text-filters.ts'

/** The filters that write JSON. */
export const JSON_FILTERS: ReadonlySet<string> = new Set(['json', 'jsonify', 'inspect'])

const REPEATABLE = 'a request that is rendered again has to come out the same'

/** Filters of liquidjs that are refused, with the reason. */
export const REFUSED_FILTERS: ReadonlyMap<string, string> = new Map([['sample', REPEATABLE]])

/** Filters whose last argument is an expression. `compile-expression.ts` compiles them. */
export const EXPRESSION_FILTERS: ReadonlySet<string> = new Set([
  'where_exp',
  'reject_exp',
  'group_by_exp',
  'has_exp',
  'find_exp',
  'find_index_exp',
])

/** Filters from text to text. Any other value is printed first. */
const TEXT_FILTERS = [
  ...['escape', 'xml_escape', 'escape_once', 'newline_to_br', 'strip_html', 'url_decode'],
  ...['cgi_escape', 'uri_escape', 'slugify', 'append', 'prepend', 'lstrip', 'downcase', 'upcase', 'remove'],
  ...['remove_first', 'remove_last', 'rstrip', 'strip', 'strip_newlines', 'squish', 'capitalize'],
  ...['replace_first', 'replace_last', 'normalize_whitespace', 'number_of_words'],
  ...['base64_encode', 'base64_decode', 'sha256', 'hmac_sha256'],
]
/** The number of times that a filter goes through its text; 1 for all others. */
const PASSES: { readonly [name: string]: number } = { slugify: 8, escape_once: 6, number_of_words: 4 }
/** Filters whose result needs no escaping if their input was escaped. */
const KEEPS_ESCAPED = new Set([
  'strip',
  'lstrip',
  'rstrip',
  'strip_newlines',
  'squish',
  'normalize_whitespace',
])
/** liquidjs's filters need a token, and never look at it. */
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

function json(value: unknown, _args: readonly unknown[], frame: Frame): unknown {
  const text = jsonText(value, frame)
  frame.charge(text.length)
  return text
}

/** Replaces null, false, empty text, empty lists and empty maps. `allow_false: true` keeps false. */
function defaultTo(value: unknown, args: readonly unknown[]): unknown {
  const plain = plainValue(value)
  const given = args.filter(arg => !(arg instanceof NamedArgument))
  const fallback = given.length === 0 ? '' : given[0]
  if (typeof plain === 'string' || Array.isArray(plain)) return plain.length > 0 ? value : fallback
  if (plain === false) return args.some(allowsFalse) ? false : fallback
  if (isMap(plain)) return Object.keys(plain).length > 0 ? value : fallback
  return plain === null || plain === undefined ? fallback : value
}

function allowsFalse(arg: unknown): boolean {
  return arg instanceof NamedArgument && arg.name === 'allow_false' && arg.value === true
}

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

/** `raw` changes how its value is printed, and not the value. */
function raw(value: unknown): unknown {
  return value
}

const FILTERS: ReadonlyMap<string, FilterFunction> = new Map<string, FilterFunction>([
  ...Object.keys(liquidFilters).map((name): [string, FilterFunction] => [name, fromLiquid(name)]),
  ...TEXT_FILTERS.map((name): [string, FilterFunction] => [name, textFilter(name)]),
  ...DATE_FILTERS,
  ...OWN_TEXT_FILTERS,
  ...MATH_FILTERS,
  ...LIST_FILTERS,
  ...[...JSON_FILTERS].map((name): [string, FilterFunction] => [name, json]),
  ['default', defaultTo],
  ['base64_encode', base64Encode],
  ['sha256', sha256],
  ['raw', raw],
])

export const FILTER_NAMES: ReadonlySet<string> = new Set(
  [...FILTERS.keys(), ...EXPRESSION_FILTERS].filter(name => !REFUSED_FILTERS.has(name)),
)

/** Returns the filter of a name in `FILTER_NAMES`. Filters with an expression are not among them. */
export function filterOf(name: string): FilterFunction {
  const filter = FILTERS.get(name)
  if (filter === undefined) throw new Error(`there is no filter ${name}`)
  return filter
}
