/**
 * Whether a stored value is one of its column's type as it is now. The column may have had another type when
 * the row was delivered. The JSON in which rows are stored (row-json.ts) tells numbers from texts, and texts
 * of decimals from other texts by how they are written.
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

/** Numbers that JSON does not keep. */
const NO_NUMBERS: ReadonlySet<string> = new Set(['NaN', 'Infinity', '-Infinity', '-0'])

/** Numbers while safe, and texts beyond. */
function isInteger(json: unknown): boolean {
  if (typeof json === 'number') return Number.isInteger(json)
  return typeof json === 'string' && /^-?[1-9]\d{15,}$/.test(json) && !Number.isSafeInteger(Number(json))
}

/** Of other digits after the point a decimal reads otherwise. */
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
