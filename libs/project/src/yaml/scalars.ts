/**
 * Fits YAML nodes to the shapes of a schema, and reads scalars. Where text is wanted, a scalar is its text as
 * written.
 */
import { isMap, isScalar, isSeq, type Scalar } from 'yaml'
import { parseExactJson } from '@sluice/templates/values/exact-json'
import type { FilledText } from '../files/fill-references.ts'
import { quoted } from '../decode/places.ts'
import { shapeOf, type Schema, type Shape } from '../decode/schema-shape.ts'

const JSON_NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/
/** YAML 1.1 reads `010` as octal (8), and YAML 1.2 reads it as decimal (10). */
const LEADING_ZERO = /^[-+]?0\d/
const OTHER_BASE = /^0[xo][0-9a-f]+$/i
/** Booleans of YAML 1.1, `null` and `true`: ambiguous in a field that takes `false` or a text. */
const SWITCH_WORD = /^(y|yes|n|no|on|off|true|null|~)$/i
/** The tags of the core schema, such as `!!str` and `!!int`. They only say what the scalar is anyway. */
const CORE_TAG = /^tag:yaml\.org,2002:(str|int|float|bool|null|map|seq)$/
const QUOTE_IT = 'quote it to have it as text'

/**
 * Scalars that YAML 1.1, YAML 1.2 and people read in different ways, such as `010` and `yes`. Where text is
 * wanted, the decoder takes them as written. Elsewhere it refuses them and says what to write instead. A
 * wrong guess would set a limit, a switch or a value that nobody meant.
 *
 * Returns the message about such a scalar in a field that has to match one of the schemas, or null.
 */
export function ambiguityOf(
  node: Scalar,
  { text, typed }: { readonly text: string; readonly typed: unknown },
  schemas: readonly Schema[],
): string | null {
  const shapes = schemas.map(shapeOf)
  const takesText = shapes.some(({ kind }) => kind === 'text')
  if (shapes.some(({ kind }) => kind === 'number')) {
    const ambiguity = typeof typed === 'number' ? ambiguousNumber(text, typed, takesText) : null
    if (ambiguity !== null) return ambiguity
  }
  const isSwitch = takesText && shapes.some(takesFalse) && !shapes.some(({ kind }) => kind === 'boolean')
  if (isSwitch && node.type === 'PLAIN' && SWITCH_WORD.test(text))
    return `wanted a text or \`false\`, found ${quoted(text)}: write \`false\`, or ${QUOTE_IT}`
  return null
}

function takesFalse(shape: Shape): boolean {
  return shape.kind === 'literals' && shape.values.includes(false)
}

function ambiguousNumber(text: string, typed: number, takesText: boolean): string | null {
  if (!takesText) return otherBase(text, typed)
  if (!JSON_NUMBER.test(text)) return `wanted a number as JSON writes it, found ${quoted(text)}; ${QUOTE_IT}`
  if (typeof parseExactJson(text) === 'number') return null
  return `wanted a number that is kept with all its digits, found ${quoted(text)}; ${QUOTE_IT}`
}

function otherBase(text: string, typed: number): string | null {
  if (OTHER_BASE.test(text)) return `wanted a decimal number, found ${quoted(text)}: write ${typed}`
  if (!LEADING_ZERO.test(text)) return null
  const octal = /^[-+]?[0-7]+$/.test(text) ? Number.parseInt(text, 8) : typed
  const orOctal = octal === typed ? '' : `, or ${octal} if octal is meant`
  return `wanted a number without leading zeros, found ${quoted(text)}: write ${typed}${orOctal}`
}

/** Says how to write a number such as `10,000`, which was written for people. Empty for any other text. */
function numberHint(text: string): string {
  const digits = text.normalize('NFKC').replaceAll(/(?<=\d)[_,'’ ](?=\d{3}(\D|$))/g, '')
  return digits !== text && JSON_NUMBER.test(digits) ? ` (write ${digits})` : ''
}

/**
 * The problem of a node's tag, or null. Tags such as `!!binary` turn a scalar into a value that no field
 * accepts.
 */
export function wrongTag(tag: string | undefined): string | null {
  if (tag === undefined || tag === '!' || CORE_TAG.test(tag)) return null
  return `YAML tags are not supported, found \`${tag.replace('tag:yaml.org,2002:', '!!')}\``
}

/**
 * The name, for a message, of the first character that no request, record or file name can carry. Null if the
 * text has none.
 */
export function unsendable(text: string): string | null {
  if (text.includes('\0')) return 'a NUL character'
  return text.isWellFormed() ? null : 'half a character (a lone surrogate)'
}

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

/** The number or boolean that a text from outside stands for, if JSON writes it so; otherwise the text. */
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
 * Describes a wrong scalar. The value of a reference is shown only in a field that wants a number, a boolean
 * or one of a few words, where it cannot be a secret.
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
