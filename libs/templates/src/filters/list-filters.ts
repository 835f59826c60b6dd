/**
 * Filters of lists. They count their work, compare values by worth, and are many times faster than
 * liquidjs's, which make a context for each item.
 */
import { Tokenizer } from 'liquidjs'
import { isExact, numberKey } from '../values/exact-numbers.ts'
import type { FilterFunction } from './filter-signatures.ts'
import type { Frame } from '../liquid/frame.ts'
import { kindOf, shortened } from '../values/printable.ts'
import { calculate, numberOf, type AnyNumber } from './math-filters.ts'
import { areEqual, compareValues, isMap, isTruthy } from '../liquid/operators.ts'
import { plainValue, unpackJson } from '../values/plain-value.ts'
import { jsonText, printValue } from '../values/print-value.ts'
import { readProperty } from '../liquid/read-property.ts'
import { TemplateFault } from '../liquid/template-fault.ts'
import { lengthOf } from '../values/text-length.ts'
import { writtenName } from '../liquid/parse/template-syntax.ts'

type Read = (item: unknown) => unknown

/** Filters that give back items of their list. */
export const KEEPS_ITEMS: ReadonlySet<string> = new Set([
  ...['where', 'reject', 'where_exp', 'reject_exp', 'sort', 'sort_natural', 'uniq', 'compact', 'reverse'],
  ...['slice', 'pop', 'shift'],
])
/** Filters that give back one item of their list. */
export const TAKES_ITEM: ReadonlySet<string> = new Set(['first', 'last', 'find', 'find_exp'])
/** Filters whose first argument names a property of each item. */
export const READS_PROPERTY: ReadonlySet<string> = new Set([
  ...['map', 'where', 'reject', 'find', 'find_index', 'has', 'sum', 'sort', 'sort_natural', 'uniq'],
  ...['compact', 'group_by'],
])

/** Printing refuses deeper lists, too. */
const MAX_DEPTH = 200
const MAX_CACHED = 1_000
const keysByText = new Map<string, readonly (string | number)[]>()

/** Returns the names and indexes of a path such as `a.b[0]`; an empty list for a text that is no path. */
export function keysOfText(text: string): readonly (string | number)[] {
  const known = keysByText.get(text)
  if (known !== undefined) return known
  const token = new Tokenizer(text).readScopeValue()
  const properties = token !== undefined && 'props' in token ? token.props : []
  const keys = properties.map(writtenName).filter(name => name !== undefined)
  const whole = keys.length === properties.length ? keys : []
  if (keysByText.size < MAX_CACHED) keysByText.set(text, whole)
  return whole
}

/**
 * Returns a function that reads one property of an item. A map gives the field of that name, whatever
 * characters the name has. If it has no such field, the name is read as a path such as `a.b`. A text that
 * contains the name gives the name, as in Shopify. A number has no properties, so the function throws a
 * `TemplateFault`.
 */
function reader(property: unknown, frame: Frame): Read {
  const name = printValue(property, frame)
  const keys = keysOfText(name)
  const options = { lenient: true, frame }
  return item => {
    const plain = unpackJson(item)
    if (typeof plain === 'string') {
      frame.charge(plain.length)
      return plain.includes(name) ? name : undefined
    }
    if (typeof plain === 'number' || isExact(plain))
      throw new TemplateFault(
        `cannot read the property ${JSON.stringify(shortened(name))} of ${kindOf(plain)}`,
      )
    if (isMap(plain) && Object.hasOwn(plain, name)) return plain[name]
    if (keys.length === 0) return undefined
    return keys.reduce<unknown>((value, key) => readProperty(value, key, options), plain)
  }
}

/** Returns a list unchanged, an empty list for null, and a list of one item for anything else. */
export function listOf(value: unknown): readonly unknown[] {
  const plain = plainValue(value)
  if (plain === null || plain === undefined) return []
  return Array.isArray(plain) ? plain : [plain]
}

/** Returns the items of a list and of all lists in it, as Shopify's filters see a list. */
function flatItems(value: unknown, frame: Frame): readonly unknown[] {
  const items = listOf(value)
  frame.step(items.length)
  if (!items.some(Array.isArray)) return items
  const flat = items.flat(MAX_DEPTH)
  frame.step(flat.length)
  frame.charge(flat.length)
  return flat
}

/**
 * Returns a test that is true for items whose property equals the filter's second argument. Without that, or
 * with null, the test is true for items whose property is truthy.
 */
function tester(args: readonly unknown[], frame: Frame): (item: unknown) => boolean {
  const [property, expected] = args
  const read = reader(property, frame)
  return expected === null || expected === undefined
    ? item => isTruthy(read(item))
    : item => areEqual(read(item), expected, frame)
}

function map(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  return flatItems(value, frame).map(reader(args[0], frame))
}

function reject(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  const test = tester(args, frame)
  return flatItems(value, frame).filter(item => !test(item))
}

function findIndex(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  const index = flatItems(value, frame).findIndex(tester(args, frame))
  return index < 0 ? undefined : index
}

function groupBy(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  return grouped(listOf(value), reader(args[0], frame), frame)
}

/**
 * Groups items by the value that `read` gives for each. Equal numbers make one group, whatever their kind.
 */
export function grouped(items: readonly unknown[], read: Read, frame: Frame): readonly unknown[] {
  const groups = new Map<string, { readonly name: unknown; readonly items: unknown[] }>()
  for (const item of items) {
    frame.step(1)
    const name = read(item)
    const key = valueKey(name, frame)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { name, items: [item] })
    else group.items.push(item)
  }
  return [...groups.values()]
}

function uniq(value: unknown, [property]: readonly unknown[], frame: Frame): unknown {
  const read = readerOrItem(property, frame)
  const seen = new Set<string>()
  return flatItems(value, frame).filter(item => {
    const key = valueKey(read(item), frame)
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

/** Returns a key that only equal values share. */
function valueKey(value: unknown, frame: Frame): string {
  const plain = plainValue(value)
  if (typeof plain === 'string') return `"${plain}`
  if (typeof plain === 'number' || isExact(plain)) return numberKey(plain)
  if (plain instanceof Uint8Array) return `bytes ${printValue(plain, frame)}`
  return jsonText(plain, frame)
}

function compact(value: unknown, [property]: readonly unknown[], frame: Frame): unknown {
  const read = readerOrItem(property, frame)
  return flatItems(value, frame).filter(item => {
    const found = plainValue(read(item))
    return found !== null && found !== undefined
  })
}

function readerOrItem(property: unknown, frame: Frame): Read {
  return property === null || property === undefined ? item => item : reader(property, frame)
}

function sum(value: unknown, [property]: readonly unknown[], frame: Frame): unknown {
  const read = readerOrItem(property, frame)
  const items = flatItems(value, frame)
  return items.reduce<AnyNumber>((total, item) => calculate('plus', total, numberOf(read(item), frame)), 0)
}

function concat(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  const other = plainValue(args[0])
  if (!Array.isArray(other))
    throw new TemplateFault(`"concat" wants a list to put behind the other, found ${kindOf(other)}`)
  frame.charge(other.length)
  return flatItems(value, frame).concat(other)
}

function reverse(value: unknown, _args: readonly unknown[], frame: Frame): unknown {
  return flatItems(value, frame).toReversed()
}

/** Returns the first item of a list, or the first name of a map with its value. */
function first(value: unknown): unknown {
  const plain = plainValue(value)
  if (Array.isArray(plain)) return plain[0]
  return isMap(plain) ? Object.entries(plain)[0] : undefined
}

function last(value: unknown): unknown {
  const plain = plainValue(value)
  return Array.isArray(plain) ? plain.at(-1) : undefined
}

function size(value: unknown, _args: readonly unknown[], frame: Frame): unknown {
  const plain = plainValue(value)
  if (typeof plain === 'string') return lengthOf(plain, frame)
  if (Array.isArray(plain)) return plain.length
  if (plain instanceof Uint8Array) return plain.byteLength
  return isMap(plain) ? Object.keys(plain).length : 0
}

function join(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  const separator = args.length === 0 ? ' ' : printValue(args[0], frame)
  let text = ''
  let between = ''
  for (const item of flatItems(value, frame)) {
    const part = printValue(item, frame)
    frame.charge(part.length + separator.length)
    text += between + part
    between = separator
  }
  return text
}

/**
 * Sorts by the worth of the items, or of their property. Missing values come last. Throws a `TemplateFault`
 * for two values that cannot be compared.
 */
function sort(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  return sorted(value, args, frame, plainValue)
}

/** Sorts by the printed text, without regard to case. */
function sortNatural(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  return sorted(value, args, frame, key => {
    const plain = plainValue(key)
    return plain === null || plain === undefined ? plain : printValue(plain, frame).toLowerCase()
  })
}

function sorted(value: unknown, [property]: readonly unknown[], frame: Frame, worth: Read): unknown {
  const read = readerOrItem(property, frame)
  const keyed = flatItems(value, frame).map(item => ({ item, key: worth(read(item)) }))
  return keyed.toSorted((left, right) => ordered(left.key, right.key)).map(({ item }) => item)
}

function ordered(left: unknown, right: unknown): number {
  const leftNil = left === null || left === undefined
  const rightNil = right === null || right === undefined
  if (leftNil || rightNil) return Number(leftNil) - Number(rightNil)
  if (sortKind(left) === null || sortKind(left) !== sortKind(right))
    throw new TemplateFault(`cannot sort ${kindOf(left)} and ${kindOf(right)}`)
  return compareValues(left, right) ?? 0
}

function sortKind(value: unknown): string | null {
  if (isExact(value)) return 'number'
  return typeof value === 'object' ? null : typeof value
}

export const LIST_FILTERS: readonly (readonly [string, FilterFunction])[] = [
  ['map', map],
  ['where', (value, args, frame) => flatItems(value, frame).filter(tester(args, frame))],
  ['reject', reject],
  ['find', (value, args, frame) => flatItems(value, frame).find(tester(args, frame))],
  ['has', (value, args, frame) => flatItems(value, frame).some(tester(args, frame))],
  ['find_index', findIndex],
  ['group_by', groupBy],
  ['uniq', uniq],
  ['compact', compact],
  ['sum', sum],
  ['concat', concat],
  ['reverse', reverse],
  ['first', first],
  ['last', last],
  ['size', size],
  ['join', join],
  ['sort', sort],
  ['sort_natural', sortNatural],
]
