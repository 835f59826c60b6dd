/**
 * Small builders for Avro schemas. Each knows the TypeScript type of the values that it describes, so that a
 * schema and its interface in records.ts cannot drift apart. A missing field, a field too many, or one of
 * another type does not compile.
 */

/** A record schema in Avro's JSON form. */
export interface AvroRecordSchema {
  readonly type: 'record'
  readonly name: string
  readonly namespace?: string
  readonly doc?: string
  readonly fields: readonly AvroField[]
}

/** Any other schema: a name, a union, or an object with its attributes. */
export type AvroSchema = string | readonly AvroSchema[] | AvroRecordSchema | AvroAttributes

export interface AvroAttributes {
  readonly type: string
  readonly [attribute: string]: unknown
}

export interface AvroField {
  readonly name: string
  /** The column's name, if it is no Avro name. */
  readonly sluiceName?: string
  readonly doc?: string
  readonly type: AvroSchema
  readonly default?: null
}

/**
 * The schema of values of type V. `of` exists for the compiler only. It makes the type invariant, so that the
 * compiler finds a forgotten null.
 */
export interface Typed<V> {
  readonly schema: AvroSchema
  readonly of?: (value: V) => V
}

/** A field of a record: its schema and what it means. */
export interface Field<V> extends Typed<V> {
  readonly doc: string
}

export const NAMESPACE = 'sluice'

export const boolean: Typed<boolean> = { schema: 'boolean' }
export const int: Typed<number> = { schema: 'int' }
/** Safe integers only. Row columns have a type of their own for larger ones. */
export const long: Typed<number> = { schema: 'long' }
export const double: Typed<number> = { schema: 'double' }
export const text: Typed<string> = { schema: 'string' }
export const bytes: Typed<Uint8Array> = { schema: 'bytes' }
export const millis: Typed<number> = { schema: { type: 'long', logicalType: 'timestamp-millis' } }

export function nullable<V>(of: Typed<V>): Typed<V | null> {
  return { schema: ['null', of.schema] }
}

export function listOf<V>(of: Typed<V>): Typed<readonly V[]> {
  return { schema: { type: 'array', items: of.schema } }
}

export function mapOf<V>(of: Typed<V>): Typed<{ readonly [name: string]: V }> {
  return { schema: { type: 'map', values: of.schema } }
}

/**
 * A closed list of texts, with the meaning of each. Avro's symbols have no dashes: `run-end` is written
 * `run_end`, and `sluiceSymbols` has the text that it stands for. A symbol may be added at the end later. No
 * symbol may be taken away.
 */
export function enumOf<T extends string>(name: string, meanings: { readonly [S in T]: string }): Typed<T> {
  const symbols = Object.keys(meanings)
  const doc = Object.entries(meanings)
    .map(([symbol, meaning]) => `${symbol}: ${String(meaning)}`)
    .join('; ')
  return {
    schema: {
      type: 'enum',
      name,
      namespace: NAMESPACE,
      doc,
      symbols: symbols.map(symbol => symbol.replaceAll('-', '_')),
      sluiceSymbols: symbols,
    },
  }
}

export function field<V>(doc: string, of: Typed<V>): Field<V> {
  return { doc, schema: of.schema }
}

/**
 * Exactly one field for each property of T. A property that may be absent is written as its default, null.
 */
export type FieldsOf<T> = { readonly [K in keyof T]-?: Field<Exclude<T[K], undefined>> }

/** The schema of T inside another record. Fields that may be null have the default null. */
export function recordOf<T extends object>(name: string, doc: string, fields: FieldsOf<T>): Typed<T> {
  return { schema: record<T>(name, doc, fields) }
}

/** The schema of T as it is registered. A name that is used twice is defined where it comes first. */
export function record<T extends object>(name: string, doc: string, fields: FieldsOf<T>): AvroRecordSchema {
  const entries: readonly (readonly [string, Field<never>])[] = Object.entries(fields)
  return withNamesDefinedOnce({
    type: 'record',
    name,
    namespace: NAMESPACE,
    doc,
    fields: entries.map(([fieldName, { schema, doc: fieldDoc }]) => avroField(fieldName, fieldDoc, schema)),
  })
}

function avroField(name: string, doc: string, type: AvroSchema): AvroField {
  const mayBeNull = Array.isArray(type) && type[0] === 'null'
  return mayBeNull ? { name, doc, type, default: null } : { name, doc, type }
}

function withNamesDefinedOnce(schema: AvroRecordSchema): AvroRecordSchema {
  const defined = new Set<string>()
  function once(part: AvroSchema): AvroSchema {
    if (typeof part === 'string') return part
    if (isUnion(part)) return part.map(once)
    if (isRecordSchema(part)) {
      const name = fullName(part)
      return defined.has(name) ? name : recordOnce(part)
    }
    if (part.type === 'enum') {
      const name = fullName(part)
      if (defined.has(name)) return name
      defined.add(name)
      return part
    }
    const inner = part.type === 'array' ? 'items' : part.type === 'map' ? 'values' : undefined
    const innerSchema = inner === undefined ? undefined : part[inner]
    return inner === undefined || !isSchema(innerSchema) ? part : { ...part, [inner]: once(innerSchema) }
  }
  function recordOnce(part: AvroRecordSchema): AvroRecordSchema {
    defined.add(fullName(part))
    return { ...part, fields: part.fields.map(one => ({ ...one, type: once(one.type) })) }
  }
  return recordOnce(schema)
}

/** The full name of a record or enum: namespace, dot, name. */
export function fullName(schema: { readonly [attribute: string]: unknown } | AvroRecordSchema): string {
  const { name, namespace } = schema
  return typeof namespace === 'string' && namespace !== '' ? `${namespace}.${String(name)}` : String(name)
}

export function isUnion(schema: AvroSchema): schema is readonly AvroSchema[] {
  return Array.isArray(schema)
}

export function isRecordSchema(schema: AvroSchema): schema is AvroRecordSchema {
  return typeof schema === 'object' && 'type' in schema && schema.type === 'record'
}

/** True for a value with the outer form of a schema. Its parts are not checked. */
export function isSchema(part: unknown): part is AvroSchema {
  if (typeof part === 'string' || Array.isArray(part)) return true
  return typeof part === 'object' && part !== null && 'type' in part && typeof part.type === 'string'
}
