/** Filters of text that behave as Shopify's do where liquidjs's differ. They count characters. */
import type { FilterFunction } from './filter-signatures.ts'
import type { Frame } from '../liquid/frame.ts'
import { kindOf } from '../values/printable.ts'
import { plainValue, unpackJson } from '../values/plain-value.ts'
import { base64, printValue } from '../values/print-value.ts'
import { TemplateFault } from '../liquid/template-fault.ts'
import { charactersOf, lengthOf } from '../values/text-length.ts'

function textOf(value: unknown, frame: Frame): string {
  const text = printValue(value, frame)
  frame.charge(text.length)
  return text
}

/** Reads a whole number, or text that spells one. Throws a `TemplateFault` for anything else. */
function wholeNumber(value: unknown, filter: string): number {
  const plain = plainValue(value)
  const text = typeof plain === 'string' ? plain.trim() : String(plain)
  const number = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(number) && typeof plain !== 'boolean') return number
  throw new TemplateFault(`"${filter}" wants a whole number, found ${kindOf(plain)}`)
}

function truncate(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  const text = textOf(value, frame)
  const end = args.length > 1 ? textOf(args[1], frame) : '...'
  const most = args.length > 0 ? wholeNumber(args[0], 'truncate') : 50
  if (lengthOf(text, frame) <= most) return text
  return charactersOf(text, 0, Math.max(0, most - lengthOf(end, frame))) + end
}

function truncateWords(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  const text = textOf(value, frame)
  const end = args.length > 1 ? textOf(args[1], frame) : '...'
  const most = Math.max(1, args.length > 0 ? wholeNumber(args[0], 'truncatewords') : 15)
  const words = text.trimStart().split(/\s+/, most + 1)
  if (words.length <= most || words.at(-1) === '') return text
  return words.slice(0, most).join(' ') + end
}

/** Returns items of a list, or characters of anything else. */
function slice(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  const offset = wholeNumber(args[0], 'slice')
  const length = args.length > 1 && plainValue(args[1]) !== null ? wholeNumber(args[1] ?? 1, 'slice') : 1
  const list = unpackJson(value)
  const text = Array.isArray(list) ? null : textOf(value, frame)
  const whole = text === null ? sizeOf(list) : lengthOf(text, frame)
  const from = offset < 0 ? whole + offset : offset
  const to = from < 0 || length < 0 ? from : from + length
  if (text !== null) return from < 0 ? '' : charactersOf(text, from, to)
  return Array.isArray(list) && from >= 0 ? list.slice(from, to) : []
}

function sizeOf(list: unknown): number {
  return Array.isArray(list) ? list.length : 0
}

/**
 * Splits as Ruby does: a single space stands for any white space, and empty pieces at the end are dropped.
 */
function split(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  const text = textOf(value, frame)
  const separator = printValue(args[0], frame)
  if (text === '') return []
  const pieces = separator === ' ' ? text.trimStart().split(/\s+/) : piecesOf(text, separator)
  frame.charge(pieces.length)
  let end = pieces.length
  while (end > 0 && pieces[end - 1] === '') end -= 1
  return pieces.slice(0, end)
}

function piecesOf(text: string, separator: string): string[] {
  return separator === '' ? [...text] : text.split(separator)
}

function replace(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  const text = printValue(value, frame)
  const pattern = printValue(args[0], frame)
  const replacement = printValue(args[1], frame)
  if (!text.includes(pattern)) return text
  const parts = piecesOf(text, pattern)
  frame.charge(text.length + (parts.length + 2) * (replacement.length + 1))
  const joined = parts.join(replacement)
  return pattern === '' ? replacement + joined + (text === '' ? '' : replacement) : joined
}

/** Encodes as Ruby's CGI.escape does: spaces become `+`, and only letters, digits and `_.-~` stay. */
function urlEncode(value: unknown, _args: readonly unknown[], frame: Frame): unknown {
  const text = textOf(value, frame).toWellFormed()
  const encoded = encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return encoded.replaceAll('%20', '+')
}

function base64UrlSafeEncode(value: unknown, _args: readonly unknown[], frame: Frame): unknown {
  const bytes = value instanceof Uint8Array ? value : new TextEncoder().encode(textOf(value, frame))
  return base64(bytes).replaceAll('+', '-').replaceAll('/', '_')
}

function base64UrlSafeDecode(value: unknown, _args: readonly unknown[], frame: Frame): unknown {
  const text = textOf(value, frame)
  const isBase64 = /^[\w+/-]*={0,2}$/.test(text) && text.replace(/=+$/, '').length % 4 !== 1
  if (!isBase64) throw new TemplateFault('"base64_url_safe_decode" wants text in base64')
  return Buffer.from(text, 'base64url').toString('utf8')
}

export const OWN_TEXT_FILTERS: readonly (readonly [string, FilterFunction])[] = [
  ['truncate', truncate],
  ['truncatewords', truncateWords],
  ['slice', slice],
  ['split', split],
  ['replace', replace],
  ['url_encode', urlEncode],
  ['base64_url_safe_encode', base64UrlSafeEncode],
  ['base64_url_safe_decode', base64UrlSafeDecode],
]
