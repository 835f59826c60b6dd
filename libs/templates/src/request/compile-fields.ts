/**
 * The field mapper writes JSON of a row's columns, as a map of names says. It writes nothing but JSON, so its
 * result needs no check.
 */
import { messageOf } from '@sluice/contracts/errors'
import type { Frame, ItemWriter } from '../liquid/frame.ts'
import { NOT_COUNTED, jsonText } from '../values/print-value.ts'
import { faultIn, type TriggerCompiler } from './trigger-compiler.ts'

const MAX_DEPTH = 50

/** Specs of fields by name. */
interface FieldMap {
  readonly [name: string]: unknown
}

/** A column that is null becomes null, an empty text, or is left out. */
type WhenNull = 'keep' | 'empty' | 'omit'

const WHEN_NULL: ReadonlySet<unknown> = new Set<WhenNull>(['keep', 'empty', 'omit'])

export interface CompiledFields {
  readonly write: ItemWriter
  /** True if fields may be left out. */
  readonly mayOmit: boolean
}

export function compileFields(
  fields: FieldMap,
  compiler: TriggerCompiler,
  whenNull: WhenNull = 'keep',
): CompiledFields {
  const mapper = { compiler, mayOmit: false }
  const write = compileMap(fields, mapper, { field: 'body.fields', depth: 0, whenNull })
  return { write, mayOmit: mapper.mayOmit }
}

/** Gathers findings while fields are compiled. */
interface Mapper {
  readonly compiler: TriggerCompiler
  mayOmit: boolean
}

/** Stands for a field that is left out. It is different from all JSON, which is never empty. */
const OMITTED = ''

/** The place of a field in the mapper, and its rule for null. */
interface Place {
  readonly field: string
  readonly depth: number
  readonly whenNull: WhenNull
}

function inside(place: Place, name: string): Place {
  return { ...place, field: `${place.field}.${name}`, depth: place.depth + 1 }
}

function compileField(spec: unknown, mapper: Mapper, place: Place): ItemWriter {
  if (place.depth > MAX_DEPTH)
    return mistake(mapper, place, `fields are nested deeper than ${MAX_DEPTH} levels`)
  if (typeof spec === 'string') return compileColumn(spec, mapper, place)
  if (Array.isArray(spec)) return compileList(spec, mapper, place)
  if (!isMap(spec)) {
    const found = spec === null ? 'null' : `a ${typeof spec}`
    return mistake(
      mapper,
      place,
      `expected a column, a map or a list, found ${found}; write { value: … } for a fixed value`,
    )
  }
  const [only, ...others] = Object.keys(spec)
  if (only !== undefined && others.length === 0) {
    if (only === 'value') return compileValue(spec[only], mapper, place)
    if (only === 'template') return compileText(spec[only], mapper, place)
    if (only === 'object') {
      const map = spec[only]
      if (isMap(map)) return compileMap(map, mapper, inside(place, 'object'))
      return mistake(mapper, inside(place, 'object'), 'expected a map of fields')
    }
  }
  const { column, whenNull, ...rest } = spec
  if (column !== undefined && whenNull !== undefined && Object.keys(rest).length === 0)
    return compileNullable({ column, whenNull }, mapper, place)
  return compileMap(spec, mapper, place)
}

/** Compiles a column with a `whenNull` of its own. */
function compileNullable(
  { column, whenNull }: { readonly column: unknown; readonly whenNull: unknown },
  mapper: Mapper,
  place: Place,
): ItemWriter {
  if (typeof column !== 'string') return mistake(mapper, inside(place, 'column'), 'expected a column')
  if (!isWhenNull(whenNull))
    return mistake(
      mapper,
      inside(place, 'whenNull'),
      'expected keep, empty or omit; write { object: … } for a map with fields of these names',
    )
  return compileColumn(column, mapper, { ...place, whenNull })
}

function isWhenNull(value: unknown): value is WhenNull {
  return WHEN_NULL.has(value)
}

function isMap(value: unknown): value is FieldMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function mistake({ compiler }: Mapper, place: Place, message: string): ItemWriter {
  compiler.wrong({ field: place.field, message })
  return () => 'null'
}

function compileMap(map: FieldMap, mapper: Mapper, place: Place): ItemWriter {
  const parts = Object.entries(map).map(([name, spec]) => ({
    before: `${JSON.stringify(name)}:`,
    write: compileField(spec, mapper, inside(place, name)),
  }))
  return frame => {
    let text = '{'
    let separator = ''
    for (const { before, write } of parts) {
      const written = write(frame)
      if (written === OMITTED) continue
      text += separator + before + written
      separator = ','
    }
    return text + '}'
  }
}

function compileList(list: readonly unknown[], mapper: Mapper, place: Place): ItemWriter {
  const writers = list.map((spec, index) =>
    compileField(spec, mapper, { ...place, field: `${place.field}[${index}]`, depth: place.depth + 1 }),
  )
  return frame => {
    let text = '['
    let separator = ''
    for (const write of writers) {
      const written = write(frame)
      if (written === OMITTED) continue
      text += separator + written
      separator = ','
    }
    return text + ']'
  }
}

function compileColumn(column: string, mapper: Mapper, place: Place): ItemWriter {
  if (column.includes('{{'))
    return mistake(mapper, place, `${JSON.stringify(column)} is no column; write { template: … } for a text`)
  const { field, whenNull } = place
  mapper.compiler.uses(column, field)
  if (whenNull === 'omit') mapper.mayOmit = true
  const nothing = NOTHING[whenNull]
  return frame => {
    const { row } = frame.single
    const text = writeJson(field, Object.hasOwn(row, column) ? row[column] : undefined, frame)
    return text === 'null' ? nothing : text
  }
}

/** The text that is written for null. */
const NOTHING: { readonly [when in WhenNull]: string } = { keep: 'null', empty: '""', omit: OMITTED }

function writeJson(field: string, value: unknown, frame: Frame): string {
  if (typeof value === 'string') return JSON.stringify(value)
  try {
    return jsonText(value, frame)
  } catch (error) {
    throw faultIn(field, error, null)
  }
}

function compileValue(value: unknown, mapper: Mapper, place: Place): ItemWriter {
  try {
    const text = jsonText(value, NOT_COUNTED)
    return () => text
  } catch (error) {
    return mistake(mapper, inside(place, 'value'), messageOf(error))
  }
}

function compileText(template: unknown, mapper: Mapper, place: Place): ItemWriter {
  const { field } = inside(place, 'template')
  if (typeof template !== 'string') return mistake(mapper, inside(place, 'template'), 'expected a text')
  const kind = { escaping: null, finish: (rendered: string) => JSON.stringify(rendered) }
  const part = mapper.compiler.part(field, template, kind, { batched: false })
  return frame => part.run(frame)
}
