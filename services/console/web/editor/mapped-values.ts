/** The values of a body that is a map of fields: columns, constants, texts, objects and lists. */
import { isMap } from '../ui/fields-of.ts'

/** A name of the API and its value, in their order. */
export type Mapping = readonly (readonly [name: string, value: unknown])[]

export const VALUE_KINDS = ['column', 'constant', 'template', 'object', 'list'] as const
export type ValueKind = (typeof VALUE_KINDS)[number]

const entriesOf = (value: unknown): Mapping => (isMap(value) ? Object.entries(value) : [])

const isOnly = (value: unknown, ...names: readonly string[]): boolean => {
  const found = entriesOf(value).map(([name]) => name)
  return found.length === names.length && names.every(name => found.includes(name))
}

export const fieldIn = (value: unknown, name: string): unknown =>
  entriesOf(value).find(([each]) => each === name)?.[1]

export function textIn(value: unknown, name: string): string {
  const text = fieldIn(value, name)
  return typeof text === 'string' ? text : ''
}

export function kindOfValue(value: unknown): ValueKind {
  if (Array.isArray(value)) return 'list'
  if (isOnly(value, 'value')) return 'constant'
  if (isOnly(value, 'template')) return 'template'
  if (typeof value !== 'object' || value === null || isOnly(value, 'column', 'whenNull')) return 'column'
  return 'object'
}

/** The column that a value names. Empty if it names none. */
export function columnOf(value: unknown): string {
  const column = isOnly(value, 'column', 'whenNull') ? fieldIn(value, 'column') : value
  return typeof column === 'string' ? column : ''
}

/** The form of a column that is null: `keep`, `empty` or `omit`. Empty text if the body decides. */
export function whenNullOf(value: unknown): string {
  return textIn(value, 'whenNull')
}

export const columnValue = (column: string, whenNull: string): unknown =>
  whenNull === '' ? column : { column, whenNull }

export function mappingOf(value: unknown): Mapping {
  return isOnly(value, 'object') ? entriesOf(fieldIn(value, 'object')) : entriesOf(value)
}

/** An object with these fields. If it would be read as another kind, it is marked as an object. */
export function objectOf(mapping: Mapping): unknown {
  const map = Object.fromEntries(mapping)
  return kindOfValue(map) === 'object' && !isOnly(map, 'object') ? map : { object: map }
}

/** The value with which another kind begins. It keeps the column of the value before. */
export function valueAs(kind: ValueKind, before: unknown, columns: readonly string[]): unknown {
  const column = columnOf(before) || (columns[0] ?? '')
  const starts: { readonly [kind in ValueKind]: unknown } = {
    ...{ column, constant: { value: '' }, template: { template: `{{ row.${column} }}` } },
    ...{ object: { [column || 'field1']: column }, list: [column] },
  }
  return starts[kind]
}

export function freeName(mapping: Mapping): string {
  for (let number = mapping.length + 1; ; number += 1) {
    const name = `field${number}`
    if (!mapping.some(([taken]) => taken === name)) return name
  }
}

/**
 * The map of all columns, in the place of one that was made before the columns were known. Null for any other
 * map.
 */
export function allColumns(fields: unknown, columns: readonly string[]): unknown {
  if (!isMap(fields) || Object.keys(fields).length > 0 || columns.length === 0) return null
  return Object.fromEntries(columns.map(column => [column, column]))
}
