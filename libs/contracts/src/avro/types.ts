/**
 * Small builders for Avro schemas. Each schema carries the TypeScript type of its values, so that a record is
 * declared once: `ValueOf` gives the type of its values.
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

/** The schema of values of type V. `value` exists for the compiler only, which reads V from it. */
export interface Typed<V> {
  readonly schema: AvroSchema
  readonly value?: () => V
}

/** The type of the values that a schema describes. */
export type ValueOf<T extends Typed<unknown>> = T extends Typed<infer V> ? V : never

/** A field of a record: its schema and its meaning. */
export interface Field<V> extends Typed<V> {
  readonly doc: string
}

/** A field that a value may lack. It is written as its default, null. */
export interface OptionalField<V> extends Field<V | null> {
  readonly isOptional: true
}

export interface Fields {
  readonly [name: string]: Field<unknown>
}

/** The type of a record with these fields. */
export type ValuesOf<F extends Fields> = Flat<
  {
    readonly [K in keyof F as F[K] extends OptionalField<unknown> ? never : K]: ValueOf<F[K]>
  } & {
    readonly [K in keyof F as F[K] extends OptionalField<unknown> ? K : never]?: ValueOf<F[K]>
  }
>
type Flat<T> = { [K in keyof T]: T[K] } & {}

/** A declared record. Its schema carries the type of its values, too. */
export interface RecordType<V> extends Typed<V> {
  readonly schema: AvroRecordSchema & { readonly value?: () => V }
}

/** A closed list of texts. */
export interface EnumType<T> extends Typed<T> {
  readonly symbols: readonly T[]
}

export const NAMESPACE = 'sluice'

export const boolean: Typed<boolean> = { schema: 'boolean' }
export const int: Typed<number> = { schema: 'int' }
/** Safe integers only. Row columns have a type of their own for larger ones. */
export const long: Typed<number> = { schema: 'long' }
export const double: Typed<number> = { schema: 'double' }
export const text: Typed<string> = { schema: 'string' }
export const bytes: Typed<Uint8Array> = { schema: 'bytes' }
/** A time in milliseconds since 1970. */
export const millis: Typed<number> = { schema: { type: 'long', logicalType: 'timestamp-millis' } }

export function nullable<V>(type: Typed<V>): Typed<V | null> {
  return { schema: ['null', type.schema] }
}

export function listOf<V>(items: Typed<V>): Typed<readonly V[]> {
  return { schema: { type: 'array', items: items.schema } }
}

export function mapOf<V>(values: Typed<V>): Typed<{ readonly [name: string]: V }> {
  return { schema: { type: 'map', values: values.schema } }
}

/**
 * A closed list of texts, with the meaning of each. Avro's symbols have no dashes: `run-end` is written
 * `run_end`, and `sluiceSymbols` has the text that it stands for. A symbol may be added at the end later. No
 * symbol may be taken away.
 */
export function enumOf<T extends string>(name: string, meanings: { readonly [S in T]: string }): EnumType<T> {
  const symbols = Object.keys(meanings).filter((symbol): symbol is T => Object.hasOwn(meanings, symbol))
  const doc = symbols.map(symbol => `${symbol}: ${meanings[symbol]}`).join('; ')
  return {
    symbols,
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

export function field<V>(doc: string, type: Typed<V>): Field<V> {
  return { doc, schema: type.schema }
}

/** A field that writers may omit. Readers then get null, as from records of earlier versions. */
export function optional<V>(doc: string, type: Typed<V>): OptionalField<V> {
  return { ...field(doc, nullable(type)), isOptional: true }
}

/**
 * Declares a record with these fields, to be registered or to be part of another record. A name that is used
 * twice is defined at its first use. Fields that may be null have the default null.
 */
export function recordOf<F extends Fields>(name: string, doc: string, fields: F): RecordType<ValuesOf<F>> {
  const schema = withNamesDefinedOnce({
    type: 'record',
    name,
    namespace: NAMESPACE,
    doc,
    fields: Object.entries(fields).map(([fieldName, { schema: type, doc: fieldDoc }]) =>
      avroField(fieldName, fieldDoc, type),
    ),
  })
  return { schema }
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
