/**
 * Turns values into text: as `{{ }}` prints them, and as JSON with every digit kept (R18).
 */
import { Decimal, JsonText, NO_NUMBERS } from '@sluice/contracts/values'
import { Drop } from 'liquidjs'
import { strictJsonError } from '../request/json-text.ts'
import { shortened } from './printable.ts'
import { TemplateFault } from '../liquid/template-fault.ts'

/** Text that a `capture` made and escaped. Printing it does not escape it again. */
export class EscapedText extends Drop {
  readonly text: string
  constructor(text: string) {
    super()
    this.text = text
  }
  override valueOf(): string {
    return this.text
  }
  override toString(): string {
    return this.text
  }
}

/** A value that is printed as another value, and not as its own fields. */
export abstract class Printable {
  /** The value that is printed instead. */
  abstract printed(): unknown
}

/** JSON text that `{{ }}` and `| json` print unchanged. */
export class RawJson {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/**
 * Counts the text that printing makes. Otherwise a list that holds one list many times over could fill the
 * memory.
 */
export interface TextCounter {
  /** Throws once the counts add up to too much. */
  charge(count: number): void
}

/** For single values that are known to be small. */
export const NOT_COUNTED: TextCounter = { charge: () => undefined }

const MAX_DEPTH = 200
const JSON_NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/

/**
 * Returns the text that `{{ value }}` prints: nothing for null, base64 for bytes, JSON for a map, and the
 * items of a list without anything between them.
 */
export function printValue(value: unknown, counter: TextCounter): string {
  return printNested(value, counter, 0)
}

function printNested(value: unknown, counter: TextCounter, depth: number): string {
  switch (typeof value) {
    case 'string':
      return value
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value)
    case 'object':
      break
    default:
      return ''
  }
  if (value === null) return ''
  if (value instanceof Decimal || value instanceof EscapedText || value instanceof RawJson) return value.text
  if (value instanceof JsonText) return value.text
  if (value instanceof Uint8Array) return base64(value)
  if (value instanceof Drop) return printNested(value.valueOf(), counter, depth)
  if (!Array.isArray(value)) return jsonNested(value, counter, depth)
  assertDepth(depth)
  let text = ''
  for (const item of value) text += printNested(item, counter, depth + 1)
  counter.charge(text.length + 1)
  return text
}

/**
 * Returns the value as JSON text. A missing value is `null`, numbers have all their digits, bytes are base64,
 * and fields keep their order. Throws a `TemplateFault` for NaN, infinities and decimals that JSON cannot
 * write.
 */
export function jsonText(value: unknown, counter: TextCounter): string {
  return jsonNested(value, counter, 0)
}

function jsonNested(value: unknown, counter: TextCounter, depth: number): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'number':
      return jsonNumber(value)
    case 'boolean':
    case 'bigint':
      return String(value)
    case 'object':
      return value === null ? 'null' : jsonObject(value, counter, depth)
    default:
      return 'null'
  }
}

function jsonNumber(value: number): string {
  if (Number.isFinite(value)) return Object.is(value, -0) ? '-0' : String(value)
  throw new TemplateFault(
    `${String(value)} cannot be written in JSON, which knows finite numbers only; use {% if %} to send something else`,
  )
}

function jsonObject(value: object, counter: TextCounter, depth: number): string {
  if (Array.isArray(value)) {
    assertDepth(depth)
    let text = '['
    let separator = ''
    for (const item of value) {
      text += separator + jsonNested(item, counter, depth + 1)
      separator = ','
    }
    counter.charge(text.length)
    return text + ']'
  }
  if (value instanceof Decimal) {
    if (JSON_NUMBER.test(value.text)) return value.text
    throw new TemplateFault(`the decimal ${shortened(value.text)} cannot be written as a JSON number`)
  }
  if (value instanceof Uint8Array) return `"${base64(value)}"`
  if (value instanceof RawJson) return value.text
  if (value instanceof JsonText) return checkedJson(value.text)
  if (value instanceof Printable) return jsonNested(value.printed(), counter, depth)
  if (value instanceof Drop) return jsonNested(value.valueOf(), counter, depth)
  assertDepth(depth)
  let text = '{'
  let separator = ''
  for (const [name, field] of Object.entries(value)) {
    text += `${separator}${JSON.stringify(name)}:${jsonNested(field, counter, depth + 1)}`
    separator = ','
  }
  counter.charge(text.length)
  return text + '}'
}

/**
 * Returns the text of a JSON column. Throws a `TemplateFault` for text that a database takes for JSON and
 * that is none, such as `[NaN]`.
 */
function checkedJson(text: string): string {
  if (NO_NUMBERS.has(text)) return `"${text}"`
  const error = strictJsonError(text, 'the column')
  if (error !== null) throw new TemplateFault(error)
  return text
}

function assertDepth(depth: number): void {
  if (depth >= MAX_DEPTH)
    throw new TemplateFault(
      `a value is nested deeper than ${MAX_DEPTH} levels, and deeper values are not printed`,
    )
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}
