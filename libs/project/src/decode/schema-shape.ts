/** Reads zod schemas for the decoder of YAML: the shape of a value, and its name in messages. */
import { z } from 'zod'

export type Schema = z.core.$ZodType

/** The kind of value that a schema wants in the file. */
export type Shape =
  | { readonly kind: 'object'; readonly fields: { readonly [name: string]: Schema } }
  | { readonly kind: 'record'; readonly key: Schema; readonly value: Schema }
  | { readonly kind: 'list'; readonly element: Schema }
  | { readonly kind: 'union'; readonly options: readonly Schema[] }
  | { readonly kind: 'text' | 'number' | 'boolean' }
  /** A value that the caller reads itself. */
  | { readonly kind: 'any' }
  | { readonly kind: 'literals'; readonly values: readonly (string | number | boolean | null)[] }

/** The shape below optional, default and transforming wrappers. Throws for a schema that no resource uses. */
export function shapeOf(schema: Schema): Shape {
  const inner = unwrapped(schema)
  if (inner instanceof z.ZodObject) return { kind: 'object', fields: inner.shape }
  if (inner instanceof z.ZodRecord) return { kind: 'record', key: inner.keyType, value: inner.valueType }
  if (inner instanceof z.ZodArray) return { kind: 'list', element: inner.element }
  if (inner instanceof z.ZodUnion) return { kind: 'union', options: inner.options }
  if (inner instanceof z.ZodString) return { kind: 'text' }
  if (inner instanceof z.ZodNumber) return { kind: 'number' }
  if (inner instanceof z.ZodBoolean) return { kind: 'boolean' }
  if (inner instanceof z.ZodEnum) return { kind: 'literals', values: inner.options }
  if (inner instanceof z.ZodUnknown) return { kind: 'any' }
  if (inner instanceof z.ZodLiteral) return { kind: 'literals', values: [...inner.values].filter(isPlain) }
  if (inner instanceof z.ZodNull) return { kind: 'literals', values: [null] }
  throw new TypeError(`no decoder for the schema ${schema._zod.def.type}`)
}

/** True if a field may be left out. */
export function isOptional(schema: Schema): boolean {
  return z.safeParse(schema, undefined).success
}

/** The values that the `type` of a resource may have; empty if no `type` distinguishes its forms. */
export function typesOf(schema: Schema): string[] {
  const shape = shapeOf(schema)
  if (shape.kind === 'union') return shape.options.flatMap(typesOf)
  const type = shape.kind === 'object' ? shape.fields['type'] : undefined
  const values = type === undefined ? null : shapeOf(type)
  return values?.kind === 'literals' ? values.values.map(String) : []
}

/**
 * The form of a resource that has this type; null if no form has it. A resource with only one form has that
 * form for every type.
 */
export function formOfType(schema: Schema, type: string): Schema | null {
  const shape = shapeOf(schema)
  if (shape.kind !== 'union') return schema
  return shape.options.find(option => typesOf(option).includes(type)) ?? null
}

function unwrapped(schema: Schema): Schema {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault)
    return unwrapped(schema.def.innerType)
  if (schema instanceof z.ZodPipe) return unwrapped(schema.in)
  if (schema instanceof z.ZodLazy) return unwrapped(schema.def.getter())
  return schema
}

function isPlain(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

/** Names the wanted value: `a map`, `one of a, b`, `a duration such as …`. */
export function wantedBy(schema: Schema): string {
  const shape = shapeOf(schema)
  switch (shape.kind) {
    case 'object': {
      const issues = z.safeParse(schema, {}).error?.issues ?? []
      const unmet = issues.find(({ code, path }) => code === 'custom' && path.length === 0)
      return unmet === undefined ? 'a map' : `a map with ${unmet.message}`
    }
    case 'record':
      return 'a map'
    case 'list':
      return `a list`
    case 'any':
      return 'a value'
    case 'union':
      if (unwrapped(schema)._zod.def.error !== undefined) return messageFor(unwrapped(schema), undefined)
      return [...new Set(shape.options.map(wantedBy))].join(', or ')
    case 'literals': {
      const values = shape.values.map(value => `\`${String(value)}\``)
      return values.length === 1 ? (values[0] ?? '') : `one of ${values.join(', ')}`
    }
    case 'text':
    case 'number':
    case 'boolean':
      return messageFor(schema, '\0')
    default:
      return shape satisfies never
  }
}

function messageFor(schema: Schema, value: unknown): string {
  return z.safeParse(schema, value).error?.issues[0]?.message ?? 'text'
}
