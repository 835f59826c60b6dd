/**
 * Decides whether a stored value fits the present type of its column. The column may have had another type
 * when the row was delivered. The JSON in which rows are stored (row-json.ts) distinguishes numbers from
 * texts. The spelling of a text says whether it may be a decimal.
 */
import type { Column, ColumnType } from '@sluice/contracts/values'

/** True for JSON, other than null, that is a value of the type. */
export type Fitting = (json: unknown) => boolean

export function fittingOf(type: ColumnType): Fitting {
  switch (type.kind) {
    case 'boolean':
      return json => typeof json === 'boolean'
    case 'integer':
    case 'long':
      return isInteger
    case 'float':
    case 'double':
      return json => typeof json === 'number' || (typeof json === 'string' && NO_NUMBERS.has(json))
    case 'decimal':
      return type.scale === 0 ? isInteger : decimalsOf(type.scale)
    case 'bytes':
      return isBase64
    case 'list': {
      const fits = fittingOf(type.of)
      return json => Array.isArray(json) && json.every(item => item === null || fits(item))
    }
    case 'struct':
      return structsOf(type.fields)
    case 'text':
    case 'uuid':
    case 'date':
    case 'time':
    case 'interval':
    case 'timestamp':
    case 'json':
      return json => typeof json === 'string'
    default:
      return type satisfies never
  }
}

/** Numbers that JSON cannot represent. */
const NO_NUMBERS: ReadonlySet<string> = new Set(['NaN', 'Infinity', '-Infinity', '-0'])

/** Numbers while safe, and texts beyond. */
function isInteger(json: unknown): boolean {
  if (typeof json === 'number') return Number.isInteger(json)
  return typeof json === 'string' && /^-?[1-9]\d{15,}$/.test(json) && !Number.isSafeInteger(Number(json))
}

/** A decimal with another number of digits after the point would read differently. */
function decimalsOf(scale: number): Fitting {
  const pattern = new RegExp(`^-?\\d+\\.\\d{${scale}}$`)
  return json => typeof json === 'string' && pattern.test(json)
}

function isBase64(json: unknown): boolean {
  return typeof json === 'string' && json.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(json)
}

/** All fields fit, and there are no others with a value. */
function structsOf(fields: readonly Column[]): Fitting {
  const fittings = new Map(fields.map(({ name, type }) => [name, fittingOf(type)]))
  return json =>
    typeof json === 'object' &&
    json !== null &&
    !Array.isArray(json) &&
    Object.entries(json).every(
      ([name, member]: [string, unknown]) => member === null || fittings.get(name)?.(member) === true,
    )
}
