/**
 * Finds unquoted Liquid and references where YAML reads their braces as something else. At the start of a
 * scalar and in a flow collection, braces are a map to YAML. A `: ` or ` #` inside the braces cuts the text.
 * Nobody means that, so the message asks for quotes instead of showing YAML's own error. Braces further
 * inside a scalar are text to YAML too: `/customers/{{ id }}` needs no quotes.
 */
import { isMap, isScalar, isSeq } from 'yaml'

export type Opening = '{{' | '{%' | '${'

export interface UnquotedText {
  readonly opening: Opening
  /** Where the braces are in the file's text. */
  readonly offset: number
}

/** The braces that YAML misreads at the start of a node or in a scalar, or null. `text` is the file's. */
export function unquotedIn(node: unknown, text: string): UnquotedText | null {
  if (isScalar(node))
    return node.type === 'PLAIN' ? unclosedIn(node.source ?? '', node.range?.[0] ?? 0) : null
  return isMap(node) && node.flow === true ? unquotedAt(node.range?.[0] ?? 0, text) : null
}

/** The braces of Liquid in a flow collection where the schema wants a text, or null. */
export function unquotedInside(node: unknown, text: string): UnquotedText | null {
  if (!(isMap(node) || isSeq(node)) || node.flow !== true) return null
  const [start, end] = node.range ?? [0, 0]
  const inside = text.slice(start, end)
  const at = inside.search(/\{[{%]/)
  return at < 0 || isInQuotes(inside, at) ? null : unquotedAt(start + at, text)
}

/** The braces of Liquid in a map's plain key, where a `: ` behind the braces cut the text; or null. */
export function unquotedInKey(node: unknown): UnquotedText | null {
  if (!isScalar(node) || node.type !== 'PLAIN') return null
  const at = (node.source ?? '').indexOf('{{')
  return at < 0 ? null : { opening: '{{', offset: (node.range?.[0] ?? 0) + at }
}

/** The unquoted braces at the place of an error in the YAML, or null. */
export function unquotedAt(offset: number, text: string): UnquotedText | null {
  if (text.startsWith('{{', offset)) return { opening: '{{', offset }
  if (text.startsWith('{%', offset)) return { opening: '{%', offset }
  return offset > 0 && text.startsWith('${', offset - 1) ? { opening: '${', offset: offset - 1 } : null
}

/** Braces that open in a plain scalar and do not close there, because YAML cut the scalar between them. */
function unclosedIn(source: string, start: number): UnquotedText | null {
  for (const [opening, closing] of [
    ['{{', '}}'],
    ['{%', '%}'],
  ] as const) {
    const at = source.lastIndexOf(opening)
    if (at >= 0 && !source.includes(closing, at)) return { opening, offset: start + at }
  }
  return null
}

/** True if a place in a flow collection lies between quotes, where braces are text. */
function isInQuotes(text: string, at: number): boolean {
  let quote = ''
  for (let index = 0; index < at; index++) {
    const character = text[index] ?? ''
    if (quote === '"' && character === '\\') index++
    else if (character === quote) quote = ''
    else if (quote === '' && (character === '"' || character === "'")) quote = character
  }
  return quote !== ''
}

const CLOSING = { '{{': '}}', '{%': '%}', '${': '}' } as const

/** The advice to quote the braces. */
export function quoteIt({ opening }: UnquotedText): string {
  return (
    `an unquoted \`${opening}\` means something else in YAML: quote it, as in "${opening} … ${CLOSING[opening]}" or with single quotes, ` +
    'or write a block after `|`'
  )
}
