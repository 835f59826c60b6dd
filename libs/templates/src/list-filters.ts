/**
 * Filters that look at a property of each item, or sort. liquidjs makes a context for each item; these only
 * read, which is many times faster, and count their work.
 */
import { Tokenizer } from 'liquidjs'
import type { Frame } from './frame.ts'
import { areEqual, compareValues, isTruthy } from './operators.ts'
import { plainValue } from './plain-value.ts'
import { printValue } from './print-value.ts'
import { readProperty } from './read-property.ts'
import { writtenName } from './written-name.ts'

type ListFilter = (value: unknown, args: readonly unknown[], frame: Frame) => unknown
type Read = (item: unknown) => unknown

/** What comes out of these are items of the list that went in. */
export const KEEPS_ITEMS: ReadonlySet<string> = new Set([
  ...['where', 'reject', 'where_exp', 'reject_exp', 'sort', 'sort_natural', 'uniq', 'compact', 'reverse'],
  ...['slice', 'pop', 'shift'],
])
/** One item of the list that went in. */
export const TAKES_ITEM: ReadonlySet<string> = new Set(['first', 'last', 'find', 'find_exp'])
/** Take a property of each item, which their first argument names. */
export const READS_PROPERTY: ReadonlySet<string> = new Set([
  ...[
    'map',
    'where',
    'reject',
    'find',
    'find_index',
    'has',
    'sum',
    'sort',
    'sort_natural',
    'uniq',
    'compact',
  ],
  'group_by',
])

const MAX_CACHED = 1_000
const keysByText = new Map<string, readonly (string | number)[]>()

/** `a.b[0]` as its names and indexes; none for what is no such path. */
function keysOf(property: unknown, frame: Frame): readonly (string | number)[] {
  return keysOfText(printValue(property, frame))
}

/** The same for a path that is written out. */
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

function reader(property: unknown, frame: Frame): Read {
  const keys = keysOf(property, frame)
  if (keys.length === 0) return () => undefined
  const options = { lenient: true, frame }
  return item => keys.reduce<unknown>((value, key) => readProperty(value, key, options), item)
}

/** A list as it is, nothing as an empty one, anything else as one item. */
export function listOf(value: unknown): readonly unknown[] {
  const plain = plainValue(value)
  if (plain === null || plain === undefined) return []
  return Array.isArray(plain) ? plain : [plain]
}

function counted(value: unknown, frame: Frame): readonly unknown[] {
  const items = listOf(value)
  frame.step(items.length)
  return items
}

/** Whether an item has the property with the value that the filter names; without one, whether it is true. */
function tester(args: readonly unknown[], frame: Frame): (item: unknown) => boolean {
  const [property, expected] = args
  const read = reader(property, frame)
  return args.length < 2 ? item => isTruthy(read(item)) : item => areEqual(read(item), expected, frame)
}

function map(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  return counted(value, frame).map(reader(args[0], frame))
}

function findIndex(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  const index = counted(value, frame).findIndex(tester(args, frame))
  return index < 0 ? undefined : index
}

function groupBy(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  const groups = Map.groupBy(counted(value, frame), reader(args[0], frame))
  return [...groups].map(([name, items]) => ({ name, items }))
}

/** Sorts by what the items, or their property, are worth; what is missing comes last. */
function sort(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  return sorted(value, args, frame, key => key)
}

/** Sorts without regard to case. */
function sortNatural(value: unknown, args: readonly unknown[], frame: Frame): unknown {
  return sorted(value, args, frame, key => (typeof key === 'string' ? key.toLowerCase() : key))
}

function sorted(value: unknown, [property]: readonly unknown[], frame: Frame, worth: Read): unknown {
  const items = listOf(value)
  frame.step(items.length)
  const read: Read = property === undefined ? item => item : reader(property, frame)
  const keyed = items.map(item => ({ item, key: worth(read(item)) }))
  return keyed.toSorted((left, right) => ordered(left.key, right.key)).map(({ item }) => item)
}

function ordered(left: unknown, right: unknown): number {
  const leftNil = left === null || left === undefined
  const rightNil = right === null || right === undefined
  if (leftNil || rightNil) return Number(leftNil) - Number(rightNil)
  return compareValues(left, right) ?? 0
}

export const LIST_FILTERS: readonly (readonly [string, ListFilter])[] = [
  ['map', map],
  ['where', (value, args, frame) => counted(value, frame).filter(tester(args, frame))],
  [
    'reject',
    (value, args, frame) => {
      const test = tester(args, frame)
      return counted(value, frame).filter(item => !test(item))
    },
  ],
  ['find', (value, args, frame) => counted(value, frame).find(tester(args, frame))],
  ['has', (value, args, frame) => counted(value, frame).some(tester(args, frame))],
  ['find_index', findIndex],
  ['group_by', groupBy],
  ['sort', sort],
  ['sort_natural', sortNatural],
]
