/** Reads the values of JSON columns. */
import { JsonText, NO_NUMBERS, type Value } from '@sluice/contracts/values'
import { Drop } from 'liquidjs'
import { parseExactJson } from './exact-json.ts'
import { strictJsonError } from '../request/json-text.ts'
import { TemplateFault } from '../liquid/template-fault.ts'

/** Templates read one field after another, so the text is parsed once. */
const parsed = new WeakMap<JsonText, Value>()

/** Parses a JSON column. Throws a `TemplateFault` for a text that is no JSON. */
export function valueOfJson(json: JsonText): Value {
  const known = parsed.get(json)
  if (known !== undefined) return known
  const value = parse(json.text)
  parsed.set(json, value)
  return value
}

function parse(text: string): Value {
  if (NO_NUMBERS.has(text)) return text
  try {
    return parseExactJson(text)
  } catch (error) {
    if (error instanceof RangeError) throw new TemplateFault('the JSON of the column is nested too deep')
    throw new TemplateFault(strictJsonError(text, 'the column') ?? String(error))
  }
}

/** Parses a JSON column. Returns any other value unchanged. */
export function unpackJson(value: unknown): unknown {
  return value instanceof JsonText ? valueOfJson(value) : value
}

/** Parses a JSON column, and takes the value of a liquidjs drop. Returns any other value unchanged. */
export function plainValue(value: unknown): unknown {
  return value instanceof Drop ? value.valueOf() : unpackJson(value)
}
