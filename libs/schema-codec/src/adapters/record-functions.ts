/**
 * Makes the functions that read and write the fields of a record. A record of few fields gets a compiled
 * function, as in avsc, with each field written out, which is fast. A loop reads and writes a record of many
 * fields.
 */
import type { AvscType, Tap, UnionType } from './avsc.ts'
import { DoesNotFit } from './text-types.ts'

/**
 * A compiled function has at most this many fields. To optimize a function, V8 takes memory that grows faster
 * than the function: 22 MB for the reader and writer of 128 fields, and 441 MB for those of 1,000. V8 keeps
 * an object of more properties as a hash table, which a loop fills faster.
 */
const MAX_FIELDS = 128

/** A field of the record, as a property of its object. */
export interface Property {
  readonly name: string
  readonly type: AvscType
  /** True if the value may be null. Then `type` is the other branch of a union that begins with null. */
  readonly mayBeNull: boolean
}

/** Splits a union of null and one type. Any other type stays as it is. */
export function nullability(type: AvscType): { readonly type: AvscType; readonly mayBeNull: boolean } {
  const [nothing, other, ...more] = (type as Partial<UnionType>).types ?? []
  return nothing?.typeName === 'null' && other !== undefined && more.length === 0
    ? { type: other, mayBeNull: true }
    : { type, mayBeNull: false }
}

/** Reads the branch of a union of null and one type. Returns true for null. */
export function isNull(tap: Tap): boolean {
  const branch = tap.buf[tap.pos++]
  if (branch === 0) return true
  if (branch !== 2) throw new DoesNotFit()
  return false
}

/** Sets an own property, even one called `__proto__`. */
export function setOwn(object: object, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
  } else (object as { [name: string]: unknown })[key] = value
}

export function wholeReader(properties: readonly Property[]): AvscType['_read'] {
  return readerOfSome(properties, () => true)
}

/**
 * Returns a reader of some of a record's fields. It skips the others, and stops behind the last wanted field.
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
  let skipped = ''
  properties.forEach((property, i) => {
    const { name, mayBeNull, type } = property
    if (isWanted(property)) {
      const value = mayBeNull ? `isNull(tap) ? null : t${i}._read(tap)` : `t${i}._read(tap)`
      // A computed name makes an own property, even of `__proto__`.
      members.push(`[${JSON.stringify(name)}]: (${skipped}${value})`)
      skipped = ''
    } else {
      const skip = `t${i}.${canBeSkipped(type) ? '_skip' : '_read'}(tap)`
      skipped += mayBeNull ? `isNull(tap) || ${skip}, ` : `${skip}, `
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
      else if (canBeSkipped(type)) type._skip(tap)
      else type._read(tap)
    }
    return row
  }
}

/**
 * True if skipping a value notices the same faults as reading it. A list may claim any number of items that
 * take no bytes, which only reading it notices.
 */
function canBeSkipped(type: AvscType): boolean {
  return SKIPPED.has(type.typeName)
}

const SKIPPED: ReadonlySet<string> = new Set([
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

/** Compiles the code. It contains names only as JSON strings. */
function compile(body: string, properties: readonly Property[]): unknown {
  const types = properties.map(property => property.type)
  const names = types.map((_, i) => `t${i}`)
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- avsc compiles, too, and nothing is as fast
  const make = new Function('isNull', 'DoesNotFit', ...names, `'use strict'\n${body}`) as (
    ...parts: readonly unknown[]
  ) => unknown
  return make(isNull, DoesNotFit, ...types)
}
