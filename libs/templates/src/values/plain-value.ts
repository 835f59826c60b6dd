/** The values that texts of JSON stand for. */
import { JsonText, NO_NUMBERS } from '@sluice/contracts/values'
import type { Value } from '@sluice/contracts/values'
import { Drop } from 'liquidjs'
import { parseExactJson } from './exact-json.ts'
import { strictJsonError } from '../request/json-text.ts'
import { TemplateFault } from '../liquid/template-fault.ts'

/** Reading JSON takes time, and templates ask for one field after another. */
const parsed = new WeakMap<JsonText, Value>()

/** The value that JSON text stands for. Throws a `TemplateFault` for a text that is no JSON. */
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

/** The value of JSON text; any other value as it is. */
export function unpackJson(value: unknown): unknown {
  return value instanceof JsonText ? valueOfJson(value) : value
}

/** The value of JSON text, or of one of liquidjs's drops; any other value as it is. */
export function plainValue(value: unknown): unknown {
  return value instanceof Drop ? value.valueOf() : unpackJson(value)
}
