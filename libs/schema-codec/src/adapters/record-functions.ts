/**
 * How the fields of a record are read and written. A record of few fields gets a function of its own, as in
 * avsc, in which each field's type stands by itself. That makes it fast. A record of many fields is read and
 * written by a loop over them.
 */
import type { AvscType, Tap, UnionType } from './avsc.ts'
import { DoesNotFit } from './text-types.ts'

/**
 * The most fields of a function of its own. V8 takes memory for a function that it optimizes which grows
 * faster than the function: 22 MB for the reader and writer of 128 fields, 441 MB for those of 1,000. An
 * object of more properties than that is a hash table for V8, and a loop fills it faster.
 */
const MAX_FIELDS = 128

/** One field, as a property of the object that stands for the record. */
export interface Property {
  readonly name: string
  readonly type: AvscType
  /** True if null is a value. Then `type` is the other branch, and null comes first in the union. */
  readonly mayBeNull: boolean
}

/** The type beside null in a union of the two, null first; any other type is itself. */
export function nullability(type: AvscType): { readonly type: AvscType; readonly mayBeNull: boolean } {
  const [nothing, other, ...more] = (type as Partial<UnionType>).types ?? []
  return nothing?.typeName === 'null' && other !== undefined && more.length === 0
    ? { type: other, mayBeNull: true }
    : { type, mayBeNull: false }
}

/** Reads which branch of a union with null, of two, comes next. */
export function isNull(tap: Tap): boolean {
  const branch = tap.buf[tap.pos++]
  if (branch === 0) return true
  if (branch !== 2) throw new DoesNotFit()
  return false
}

/** Sets a property that is a name and nothing else, even `__proto__`. */
export function setOwn(object: object, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
  } else (object as { [name: string]: unknown })[key] = value
}

export function wholeReader(properties: readonly Property[]): AvscType['_read'] {
  return readerOfSome(properties, () => true)
}

/**
 * A reader that makes objects with some of a record's fields. It passes over the others, and stops behind the
 * last field that is wanted.
 */
export function readerOfSome(
  properties: readonly Property[],
  isWanted: (property: Property) => boolean,
): AvscType['_read'] {
  const needed = properties.slice(0, properties.findLastIndex(isWanted) + 1)
  const isMany = needed.length > MAX_FIELDS
  return isMany ? loopingReader(needed, isWanted) : compiledReader(needed, isWanted)
}

export function writerOf(properties: readonly Property[]): AvscType['_write'] {
  return properties.length > MAX_FIELDS ? loopingWriter(properties) : compiledWriter(properties)
}

function compiledReader(
  properties: readonly Property[],
  isWanted: (property: Property) => boolean,
): AvscType['_read'] {
  const members: string[] = []
  let passed = ''
  properties.forEach((property, i) => {
    const { name, mayBeNull, type } = property
    if (isWanted(property)) {
      const value = mayBeNull ? `isNull(tap) ? null : t${i}._read(tap)` : `t${i}._read(tap)`
      // A computed name is a name and nothing else, even `__proto__`.
      members.push(`[${JSON.stringify(name)}]: (${passed}${value})`)
      passed = ''
    } else {
      const pass = `t${i}.${canBePassedOver(type) ? '_skip' : '_read'}(tap)`
      passed += mayBeNull ? `isNull(tap) || ${pass}, ` : `${pass}, `
    }
  })
  const body = `return function read(tap) { return {\n${members.join(',\n')}\n} }`
  return compile(body, properties) as AvscType['_read']
}

function loopingReader(
  properties: readonly Property[],
  isWanted: (property: Property) => boolean,
): AvscType['_read'] {
  const fields = properties.map(property => ({ ...property, wanted: isWanted(property) }))
  return (tap: Tap) => {
    const row = {}
    for (const { name, type, mayBeNull, wanted } of fields) {
      const isNothing = mayBeNull && isNull(tap)
      if (wanted) setOwn(row, name, isNothing ? null : type._read(tap))
      else if (isNothing) continue
      else if (canBePassedOver(type)) type._skip(tap)
      else type._read(tap)
    }
    return row
  }
}

/**
 * True if reading such a value would notice no more than passing over it does. A list may claim any number of
 * items that take no bytes, which only reading it notices.
 */
function canBePassedOver(type: AvscType): boolean {
  return PASSED_OVER.has(type.typeName)
}

const PASSED_OVER: ReadonlySet<string> = new Set([
  ...['string', 'bytes', 'int', 'long', 'boolean', 'float', 'double'],
])

function compiledWriter(properties: readonly Property[]): AvscType['_write'] {
  const parts = properties.map(({ name, mayBeNull }, i) => {
    const source = JSON.stringify(name)
    return mayBeNull
      ? `value = record[${source}]
        if (value === null || value === undefined) tap.buf[tap.pos++] = 0
        else { tap.buf[tap.pos++] = 2; t${i}._write(tap, value) }`
      : `t${i}._write(tap, record[${source}])`
  })
  const body = `return function write(tap, record) {
    if (typeof record !== 'object' || record === null) throw new DoesNotFit()
    let value
    ${parts.join('\n')}
  }`
  return compile(body, properties) as AvscType['_write']
}

function loopingWriter(properties: readonly Property[]): AvscType['_write'] {
  return (tap: Tap, record: unknown) => {
    if (typeof record !== 'object' || record === null) throw new DoesNotFit()
    for (const { name, type, mayBeNull } of properties) {
      const value = (record as { readonly [name: string]: unknown })[name]
      const isNothing = mayBeNull && (value === null || value === undefined)
      if (mayBeNull) tap.buf[tap.pos++] = isNothing ? 0 : 2
      if (!isNothing) type._write(tap, value)
    }
  }
}

/** Names enter that code only as JSON strings. */
function compile(body: string, properties: readonly Property[]): unknown {
  const types = properties.map(property => property.type)
  const names = types.map((_, i) => `t${i}`)
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- avsc does it so, and nothing is as fast
  const make = new Function('isNull', 'DoesNotFit', ...names, `'use strict'\n${body}`) as (
    ...parts: readonly unknown[]
  ) => unknown
  return make(isNull, DoesNotFit, ...types)
}
