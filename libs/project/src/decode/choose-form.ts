/** Decides which form a map has, for fields that allow several (`body`, the field mapper). */
import { list } from './places.ts'
import { isOptional, shapeOf, type Schema, type Shape } from './schema-shape.ts'

export type Chosen =
  | { readonly kind: 'form'; readonly schema: Schema }
  /** `at` is the field at fault, or null for the map as a whole. */
  | { readonly kind: 'none'; readonly at: string | null; readonly message: string }

interface Form {
  readonly schema: Schema
  readonly fields: readonly string[]
  readonly required: readonly string[]
}

/**
 * The form of a map with these keys. A form is recognised by its required fields. If no form fits, the map
 * has the form that allows any fields, provided there is one.
 */
export function chooseForm(keys: readonly string[], schemas: readonly Schema[]): Chosen {
  const forms = schemas.flatMap(schema => formOf(schema))
  const whole = forms.find(form => isWhole(form, keys))
  if (whole !== undefined) return { kind: 'form', schema: whole.schema }
  const open = schemas.find(schema => shapeOf(schema).kind === 'record')
  if (open !== undefined) return { kind: 'form', schema: open }
  const marked = forms.filter(({ required }) => required.some(name => keys.includes(name)))
  const [form, other] = marked
  if (form !== undefined && other === undefined) return besides(form, keys, forms)
  const marks = keys.filter(key => marked.some(({ required }) => required.includes(key)))
  const found = keys.length === 0 ? 'an empty map' : marks.length === 0 ? `only ${list(keys)}` : list(marks)
  const message = `wanted one of ${list(forms.flatMap(({ required }) => required))}, found ${found}`
  return { kind: 'none', at: marks[1] ?? null, message }
}

/**
 * The problem of a map that has fields of one form, but lacks some of them or has fields of another form too.
 */
function besides(form: Form, keys: readonly string[], forms: readonly Form[]): Chosen {
  const stray = keys.find(key => !form.fields.includes(key))
  if (stray === undefined) return { kind: 'form', schema: form.schema }
  const takers = forms.filter(({ fields }) => fields.includes(stray))
  const goesWith = list(takers.flatMap(({ required }) => required))
  const message = `\`${stray}\` cannot stand beside ${list(form.required)}; it goes with ${goesWith}`
  return { kind: 'none', at: stray, message }
}

function isWhole({ fields, required }: Form, keys: readonly string[]): boolean {
  return keys.every(key => fields.includes(key)) && required.every(name => keys.includes(name))
}

function formOf(schema: Schema): Form[] {
  const shape: Shape = shapeOf(schema)
  if (shape.kind !== 'object') return []
  const required = Object.entries(shape.fields).filter(([, field]) => !isOptional(field))
  return [{ schema, fields: Object.keys(shape.fields), required: required.map(([name]) => name) }]
}

/** All fields that the forms have, each once. */
export function fieldsOf(schemas: readonly Schema[]): string[] {
  return [...new Set(schemas.flatMap(schema => formOf(schema)).flatMap(({ fields }) => fields))]
}
