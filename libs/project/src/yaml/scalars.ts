/**
 * Which shapes of a schema a YAML node fits, and the value of a scalar. As text, a scalar counts as written.
 */
import { isMap, isScalar, isSeq } from 'yaml'
import type { Scalar } from 'yaml'
import { JSON_NUMBER, numberHint } from './doubtful-scalars.ts'
import type { FilledText } from '../files/fill-references.ts'
import { quoted } from '../decode/places.ts'
import { shapeOf } from '../decode/schema-shape.ts'
import type { Schema, Shape } from '../decode/schema-shape.ts'

/** Text accepts every scalar, so it comes after the more specific shapes. */
export function textLast(schemas: readonly Schema[]): Schema[] {
  const isText = (schema: Schema) => shapeOf(schema).kind === 'text'
  return [...schemas.filter(schema => !isText(schema)), ...schemas.filter(isText)]
}

export function isScalarShape(shape: Shape): boolean {
  return shape.kind !== 'object' && shape.kind !== 'record' && shape.kind !== 'list'
}

export function fits(node: unknown, shape: Shape): boolean {
  if (isMap(node)) return shape.kind === 'object' || shape.kind === 'record'
  if (isSeq(node)) return shape.kind === 'list'
  return isScalar(node) && isScalarShape(shape)
}

/**
 * The value of a scalar for a shape: its text as written, or the number or boolean that it stands for.
 * Undefined if the scalar does not fit the shape.
 */
export function scalarFor(shape: Shape, text: string, typed: unknown): unknown {
  switch (shape.kind) {
    case 'text':
      return text
    case 'number':
      return typeof typed === 'number' ? typed : undefined
    case 'boolean':
      return typeof typed === 'boolean' ? typed : undefined
    case 'literals':
      if (shape.values.includes(text)) return text
      return shape.values.find(value => value === typed && typeof value !== 'string')
    default:
      return undefined
  }
}

/** The number (as JSON writes it) or boolean that a text from outside stands for; otherwise the text. */
export function typedValue(text: string): string | number | boolean {
  if (text === 'true' || text === 'false') return text === 'true'
  return JSON_NUMBER.test(text) ? Number(text) : text
}

const STRING_TAG = 'tag:yaml.org,2002:str'

export function described(node: unknown): string {
  if (isMap(node)) return 'a map'
  if (isSeq(node)) return 'a list'
  if (!isScalar(node) || node.source === undefined || node.source === '') return 'nothing'
  return quoted(node.source)
}

/**
 * Describes a scalar that is wrong. It shows the value of a reference only in place of a number, a boolean or
 * one of a few words, where it cannot be a secret.
 */
export function foundText(node: Scalar, filled: FilledText, wanted: readonly Shape['kind'][]): string {
  if (filled.changed) {
    const source = quoted(node.source ?? '')
    return wanted.includes('text') ? `the value of ${source}` : `${quoted(filled.text)} from ${source}`
  }
  const looksRight = node.type !== 'PLAIN' && typedValue(filled.text) !== filled.text
  const unquote = looksRight && (wanted.includes('number') || wanted.includes('boolean'))
  if (unquote) return `the text "${filled.text}" (take the quotes away)`
  if (!wanted.includes('number')) return quoted(filled.text)
  return `${quoted(filled.text)}${node.tag === STRING_TAG ? ' with the tag `!!str` (take it away)' : numberHint(filled.text)}`
}
