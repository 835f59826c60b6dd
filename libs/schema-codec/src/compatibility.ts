/**
 * Checks that a newer schema can read records of an older one, by Avro's schema resolution (specification
 * 1.12, "Schema Resolution"), which registries call BACKWARD. Beyond that, logical types have to stay the
 * same, since Avro would read a date as the number of its days.
 */
import {
  fullName,
  isRecordSchema,
  isUnion,
  isSchema,
  type AvroField,
  type AvroRecordSchema,
  type AvroSchema,
} from '@sluice/contracts/avro/types'
import { SluiceError, type ErrorDetail } from '@sluice/contracts/errors'

/** One place where the newer schema cannot read what the older one wrote. */
export interface Incompatibility {
  /** The field's name, after the names of the fields around it. */
  readonly path: string
  readonly was: string
  readonly becomes: string
}

/** Returns the places where `reader`, the newer schema, cannot read records of `writer`. */
export function incompatibilities(
  reader: AvroRecordSchema,
  writer: AvroRecordSchema,
): readonly Incompatibility[] {
  const found: Incompatibility[] = []
  new Resolution(reader, writer, found).compare(reader, writer, [])
  return found
}

/**
 * Returns the places where records of `writer`, read with their own schema, have other shapes than records of
 * `ours`. In contrast to Avro's rules, this converts nothing: text is not bytes, and names in JavaScript have
 * to be the same. A field with a default may be missing, since an earlier version may have written the
 * record. Further fields are allowed.
 */
export function differencesInShape(
  ours: AvroRecordSchema,
  writer: AvroRecordSchema,
): readonly Incompatibility[] {
  const found: Incompatibility[] = []
  new Resolution(ours, writer, found, { converts: false }).compare(ours, writer, [])
  return found
}

/** The error for a version of Sluice whose schema cannot read what another version wrote. */
export function incompatibleError(subject: string, found: readonly Incompatibility[]): SluiceError {
  const details: readonly ErrorDetail[] = found.map(({ path, was, becomes }) => ({
    field: path,
    message: `${path === '' ? 'the record' : `field ${path}`} was ${was} and is now ${becomes}`,
  }))
  const list = details.map(detail => detail.message).join('; ')
  return new SluiceError(
    'schema-incompatible',
    `The schema of ${subject} cannot read the records that were written before: ${list}. Another ` +
      'version of Sluice, or another program, has registered the earlier schema: run the version that wrote the topics, or choose ' +
      'another SLUICE_PREFIX. Nothing was written.',
    { details },
  )
}

/** For each type of the writer, the other types that can read it. */
const PROMOTIONS: { readonly [writer: string]: readonly string[] } = {
  int: ['long', 'float', 'double'],
  long: ['float', 'double'],
  float: ['double'],
  string: ['bytes'],
  bytes: ['string'],
}

/** The record of rows. Paths to columns begin at the row, and not at the record that holds it. */
const ROW = 'sluice.Row'

class Resolution {
  readonly #found: Incompatibility[]
  readonly #readerNames: ReadonlyMap<string, AvroSchema>
  readonly #writerNames: ReadonlyMap<string, AvroSchema>
  /** Pairs of records whose comparison has begun, since a schema may refer to itself. */
  readonly #seen = new Set<string>()
  /** False if values may not be converted. */
  readonly #converts: boolean

  constructor(
    reader: AvroSchema,
    writer: AvroSchema,
    found: Incompatibility[],
    { converts = true }: { readonly converts?: boolean } = {},
  ) {
    this.#found = found
    this.#converts = converts
    this.#readerNames = namedTypes(reader)
    this.#writerNames = namedTypes(writer)
  }

  /** Adds the mismatches at this path. Returns true if there are none. */
  compare(readerOrName: AvroSchema, writerOrName: AvroSchema, path: readonly string[]): boolean {
    const reader = resolved(readerOrName, this.#readerNames)
    const writer = resolved(writerOrName, this.#writerNames)
    if (isUnion(writer))
      return writer.map(branch => this.#compareBranch(reader, branch, path)).every(fits => fits)
    return isUnion(reader)
      ? this.#compareBranch(reader, writer, path)
      : this.#comparePlain(reader, writer, path)
  }

  /** Compares a branch of the writer with the reader's branches. One of these has to be able to read it. */
  #compareBranch(reader: AvroSchema, branch: AvroSchema, path: readonly string[]): boolean {
    if (!isUnion(reader)) return this.compare(reader, branch, path)
    const writer = resolved(branch, this.#writerNames)
    const kind = kindOf(writer)
    const like = reader.find(candidate => kindOf(resolved(candidate, this.#readerNames)) === kind)
    if (like !== undefined) return this.#comparePlain(resolved(like, this.#readerNames), writer, path)
    const promoted = reader.find(candidate => this.#promotes(kind, resolved(candidate, this.#readerNames)))
    const other = reader.find(candidate => kindOf(resolved(candidate, this.#readerNames)) !== 'null')
    const target = resolved(promoted ?? other ?? reader, this.#readerNames)
    return promoted === undefined
      ? this.#differ(target, writer, path)
      : this.#comparePlain(target, writer, path)
  }

  #comparePlain(reader: AvroSchema, writer: AvroSchema, path: readonly string[]): boolean {
    const readerKind = kindOf(reader)
    const writerKind = kindOf(writer)
    if (readerKind !== writerKind && !this.#promotes(writerKind, reader))
      return this.#differ(reader, writer, path)
    if (!sameLogicalType(reader, writer)) return this.#differ(reader, writer, path)
    if (!this.#converts && !sameInJavaScript(reader, writer)) return this.#differ(reader, writer, path)
    if (isRecordSchema(reader) && isRecordSchema(writer)) return this.#compareRecords(reader, writer, path)
    if (readerKind === 'enum') return this.#compareEnums(reader, writer, path)
    if (readerKind === 'fixed')
      return attribute(reader, 'size') === attribute(writer, 'size') || this.#differ(reader, writer, path)
    if (readerKind === 'array') return this.compare(inner(reader, 'items'), inner(writer, 'items'), path)
    if (readerKind === 'map') return this.compare(inner(reader, 'values'), inner(writer, 'values'), path)
    return true
  }

  #compareRecords(reader: AvroRecordSchema, writer: AvroRecordSchema, path: readonly string[]): boolean {
    const pair = `${fullName(reader)}\n${fullName(writer)}`
    if (this.#seen.has(pair)) return true
    this.#seen.add(pair)
    if (reader.name !== writer.name) {
      this.#found.push({ path: path.join('.'), was: fullName(writer), becomes: fullName(reader) })
      return false
    }
    const names = writer.fields.map(({ name, sluiceName }) => sluiceName ?? name)
    if (!this.#converts && new Set(names).size < names.length) return this.#differ(reader, writer, path)
    const start = fullName(reader) === ROW ? [] : path
    const written = new Map(writer.fields.map(field => [field.name, field]))
    return reader.fields
      .map(field => this.#compareField(field, written.get(field.name), start))
      .every(fits => fits)
  }

  #compareField(reader: AvroField, writer: AvroField | undefined, path: readonly string[]): boolean {
    const place = [...path, reader.sluiceName ?? reader.name]
    if (writer !== undefined) {
      const isRenamed = (writer.sluiceName ?? writer.name) !== (reader.sluiceName ?? reader.name)
      if (isRenamed && !this.#converts) return this.#differ(reader.type, writer.type, place)
      return this.compare(reader.type, writer.type, place)
    }
    if (reader.default !== undefined) return true
    this.#found.push({
      path: place.join('.'),
      was: 'missing',
      becomes: `${described(reader.type)}, without a default`,
    })
    return false
  }

  #compareEnums(reader: AvroSchema, writer: AvroSchema, path: readonly string[]): boolean {
    const known = symbols(reader)
    const fits =
      attribute(reader, 'name') === attribute(writer, 'name') &&
      (attribute(reader, 'default') !== undefined || symbols(writer).every(symbol => known.includes(symbol)))
    return fits || this.#differ(reader, writer, path)
  }

  #promotes(writerKind: string, reader: AvroSchema): boolean {
    return this.#converts && promotes(writerKind, kindOf(reader))
  }

  #differ(reader: AvroSchema, writer: AvroSchema, path: readonly string[]): false {
    this.#found.push({ path: path.join('.'), was: described(writer), becomes: described(reader) })
    return false
  }
}

function promotes(writerKind: string, readerKind: string): boolean {
  return PROMOTIONS[writerKind]?.includes(readerKind) ?? false
}

/**
 * True if values keep their meaning, and decimals their scale. A reader of text accepts text of any meaning.
 */
function sameLogicalType(reader: AvroSchema, writer: AvroSchema): boolean {
  const logicalType = attribute(reader, 'logicalType')
  if (logicalType === undefined && kindOf(reader) === 'string') return true
  if (logicalType !== attribute(writer, 'logicalType')) return false
  return logicalType !== 'decimal' || (attribute(reader, 'scale') ?? 0) === (attribute(writer, 'scale') ?? 0)
}

/**
 * True if the values stay the same in JavaScript. For an enum, `sluiceSymbols` has the values in the order of
 * its symbols.
 */
function sameInJavaScript(reader: AvroSchema, writer: AvroSchema): boolean {
  if (attribute(reader, 'logicalType') !== attribute(writer, 'logicalType')) return false
  if (attribute(reader, 'sluiceType') !== attribute(writer, 'sluiceType')) return false
  if (kindOf(reader) !== 'enum') return true
  const values = (schema: AvroSchema): readonly unknown[] => {
    const list = attribute(schema, 'sluiceSymbols')
    return Array.isArray(list) ? list : symbols(schema)
  }
  const known = values(reader)
  return values(writer).every(value => known.includes(value))
}

function resolved(schema: AvroSchema, names: ReadonlyMap<string, AvroSchema>): AvroSchema {
  return typeof schema === 'string' ? (names.get(schema) ?? schema) : schema
}

function kindOf(schema: AvroSchema): string {
  if (typeof schema === 'string') return schema
  return isUnion(schema) ? 'union' : schema.type
}

function attribute(schema: AvroSchema, name: string): unknown {
  if (typeof schema === 'string' || isUnion(schema) || !Object.hasOwn(schema, name)) return undefined
  const attributes: { readonly [name: string]: unknown } = { ...schema }
  return attributes[name]
}

function inner(schema: AvroSchema, name: 'items' | 'values'): AvroSchema {
  const part = attribute(schema, name)
  return isSchema(part) ? part : 'null'
}

function symbols(schema: AvroSchema): readonly unknown[] {
  const list = attribute(schema, 'symbols')
  return Array.isArray(list) ? list : []
}

function namedTypes(
  schema: AvroSchema,
  names = new Map<string, AvroSchema>(),
): ReadonlyMap<string, AvroSchema> {
  if (typeof schema === 'string') return names
  if (isUnion(schema)) for (const branch of schema) namedTypes(branch, names)
  else if (isRecordSchema(schema)) {
    names.set(fullName(schema), schema)
    for (const field of schema.fields) namedTypes(field.type, names)
  } else {
    if (schema.type === 'enum' || schema.type === 'fixed') names.set(fullName(schema), schema)
    namedTypes(inner(schema, 'items'), names)
    namedTypes(inner(schema, 'values'), names)
  }
  return names
}

/** Describes a type, in the words of contracts/values.ts if it is a column's, and otherwise in Avro's. */
function described(schema: AvroSchema): string {
  if (isUnion(schema))
    return schema
      .filter(branch => branch !== 'null')
      .map(described)
      .join(' or ')
  if (isRecordSchema(schema)) return 'a struct'
  const own = attribute(schema, 'sluiceType')
  const kind = typeof own === 'string' ? own : kindOf(schema)
  if (kind === 'decimal')
    return `decimal(${String(attribute(schema, 'precision'))},${String(attribute(schema, 'scale'))})`
  if (kind === 'timestamp' && attribute(schema, 'logicalType') === 'timestamp-micros')
    return 'timestamp with time zone'
  if (kind === 'list' || kind === 'array') return `a list of ${described(inner(schema, 'items'))}`
  if (kind === 'enum') return `one of ${symbols(schema).join(', ')}`
  return kind
}
