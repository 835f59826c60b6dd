/** Reads `a.b`. It reads own fields only, so that no name of a column ever reaches a prototype. */
import { JsonText } from '@sluice/contracts/values'
import { CapturedValues } from './captured-values.ts'
import type { Frame } from './frame.ts'
import { Loop } from './loop.ts'
import { valueOfJson } from '../values/plain-value.ts'
import { EscapedText } from '../values/print-value.ts'
import { lengthOf } from '../values/text-length.ts'

interface Fields {
  readonly [name: string]: unknown
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}

/** A plain object has these names from its prototype. They are read the slow way, by `readProperty`. */
const PROTOTYPE_NAMES: ReadonlySet<string> = new Set([
  ...Object.getOwnPropertyNames(Object.prototype),
  ...Object.getOwnPropertyNames(Array.prototype),
  ...Object.getOwnPropertyNames(Object.getPrototypeOf(Uint8Array.prototype)),
  ...Object.getOwnPropertyNames(Uint8Array.prototype),
  // Our own classes have fields of these names, and rows have values besides their columns.
  ...['text', 'captured', 'previous'],
])

/** These names stand for something else if a row has no column of that name. */
export const NAMES_BESIDE_COLUMNS: ReadonlySet<string> = new Set(['captured', 'previous', 'size'])

export type PropertyReader = (value: unknown, frame: Frame) => unknown

/** Returns a reader for a known name. If `lenient`, a value that was never captured is undefined. */
export function propertyReader(name: string, lenient: boolean): PropertyReader {
  if (PROTOTYPE_NAMES.has(name)) return (value, frame) => readProperty(value, name, { lenient, frame })
  return (value, frame) => {
    if (isFields(value)) {
      const field = value[name]
      // A function is a method of one of our own classes.
      if (field !== undefined && typeof field !== 'function') return field
      return readProperty(value, name, { lenient, frame })
    }
    return typeof value === 'string' ? readOfText(value, name) : undefined
  }
}

export interface ReadOptions {
  readonly lenient: boolean
  readonly frame: Frame
}

/** Reads any property of any value; undefined if there is none. */
export function readProperty(value: unknown, key: unknown, options: ReadOptions): unknown {
  if (typeof value === 'string') return readOfText(value, key)
  if (value instanceof EscapedText) return readOfText(value.text, key)
  if (Array.isArray(value)) return readOfList(value, key)
  if (value instanceof JsonText) return readProperty(valueOfJson(value), key, options)
  if (!isFields(value) || (typeof key !== 'string' && typeof key !== 'number')) return undefined
  if (value instanceof Uint8Array) return key === 'size' ? value.byteLength : undefined
  const name = String(key)
  if (value instanceof CapturedValues) return options.lenient ? value.find(name) : value.need(name)
  if (value instanceof Loop) return value.read(name)
  if (Object.hasOwn(value, name)) return value[name]
  if (name === 'captured' || name === 'previous') {
    const beside = options.frame.beside(value, name)
    if (beside !== undefined) return beside
  }
  if (name === 'size') return Object.keys(value).length
  // `row.first` is a column, and never the row's first field.
  if (name === 'first' && !options.frame.isRow(value)) return Object.entries(value)[0]
  return undefined
}

function readOfText(text: string, key: unknown): unknown {
  if (key === 'size') return lengthOf(text, null)
  if (typeof key === 'number') return text[key]
  return undefined
}

function readOfList(list: readonly unknown[], key: unknown): unknown {
  if (typeof key === 'number') return list.at(key)
  if (key === 'size') return list.length
  if (key === 'first') return list[0]
  if (key === 'last') return list.at(-1)
  if (typeof key === 'string' && /^-?\d{1,9}$/.test(key)) return list.at(Number(key))
  return undefined
}
