/**
 * The field mapper: JSON of a row's columns, by a map of names. Its way of writing always gives JSON, so
 * nothing has to be checked.
 */
import type { ItemWriter } from '../liquid/item-writer.ts'
import type { Frame } from '../liquid/frame.ts'
import { jsonText } from '../values/print-value.ts'
import { faultIn } from './trigger-compiler.ts'
import type { TriggerCompiler } from './trigger-compiler.ts'

const MAX_DEPTH = 50

/** Fields by name. */
interface FieldMap {
  readonly [name: string]: unknown
}

export function compileFields(fields: FieldMap, compiler: TriggerCompiler): ItemWriter {
  return compileMap(fields, compiler, { field: 'body.fields', depth: 0 })
}

/** The place in the mapper, for messages. */
interface Place {
  readonly field: string
  readonly depth: number
}

function inside(place: Place, name: string): Place {
  return { field: `${place.field}.${name}`, depth: place.depth + 1 }
}

function compileField(spec: unknown, compiler: TriggerCompiler, place: Place): ItemWriter {
  if (place.depth > MAX_DEPTH)
    return mistake(compiler, place, `fields are nested deeper than ${MAX_DEPTH} levels`)
  if (typeof spec === 'string') return compileColumn(spec, compiler, place)
  if (Array.isArray(spec)) return compileList(spec, compiler, place)
  if (!isMap(spec)) {
    const found = spec === null ? 'null' : `a ${typeof spec}`
    return mistake(
      compiler,
      place,
      `expected a column, a map or a list, found ${found}; write { value: … } for a fixed value`,
    )
  }
  const [only, ...others] = Object.keys(spec)
  if (only !== undefined && others.length === 0) {
    if (only === 'value') return compileValue(spec[only], compiler, place)
    if (only === 'template') return compileText(spec[only], compiler, place)
    if (only === 'object') {
      const map = spec[only]
      if (isMap(map)) return compileMap(map, compiler, inside(place, 'object'))
      return mistake(compiler, inside(place, 'object'), 'expected a map of fields')
    }
  }
  return compileMap(spec, compiler, place)
}

function isMap(value: unknown): value is FieldMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function mistake(compiler: TriggerCompiler, place: Place, message: string): ItemWriter {
  compiler.wrong({ field: place.field, message })
  return () => 'null'
}

function compileMap(map: FieldMap, compiler: TriggerCompiler, place: Place): ItemWriter {
  const parts = Object.entries(map).map(([name, spec], index) => ({
    before: `${index === 0 ? '' : ','}${JSON.stringify(name)}:`,
    write: compileField(spec, compiler, inside(place, name)),
  }))
  return frame => {
    let text = '{'
    for (const { before, write } of parts) text += before + write(frame)
    return text + '}'
  }
}

function compileList(list: readonly unknown[], compiler: TriggerCompiler, place: Place): ItemWriter {
  const writers = list.map((spec, index) =>
    compileField(spec, compiler, { field: `${place.field}[${index}]`, depth: place.depth + 1 }),
  )
  return frame => {
    let text = '['
    let separator = ''
    for (const write of writers) {
      text += separator + write(frame)
      separator = ','
    }
    return text + ']'
  }
}

function compileColumn(column: string, compiler: TriggerCompiler, place: Place): ItemWriter {
  if (column.includes('{{'))
    return mistake(
      compiler,
      place,
      `${JSON.stringify(column)} is no column; write { template: … } for a text`,
    )
  const { field } = place
  compiler.uses(column, field)
  return frame => {
    const { row } = frame.single
    return writeJson(field, Object.hasOwn(row, column) ? row[column] : undefined, frame)
  }
}

function writeJson(field: string, value: unknown, frame: Frame): string {
  if (typeof value === 'string') return JSON.stringify(value)
  try {
    return jsonText(value, frame)
  } catch (error) {
    throw faultIn(field, error, null)
  }
}

function compileValue(value: unknown, compiler: TriggerCompiler, place: Place): ItemWriter {
  try {
    const text = jsonText(value, { charge: () => undefined })
    return () => text
  } catch (error) {
    return mistake(compiler, inside(place, 'value'), error instanceof Error ? error.message : String(error))
  }
}

function compileText(template: unknown, compiler: TriggerCompiler, place: Place): ItemWriter {
  const { field } = inside(place, 'template')
  if (typeof template !== 'string') return mistake(compiler, inside(place, 'template'), 'expected a text')
  const kind = { escaping: null, finish: (rendered: string) => JSON.stringify(rendered) }
  const part = compiler.part(field, template, kind, { batched: false })
  return frame => part.run(frame)
}
