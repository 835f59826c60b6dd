/**
 * Text with Liquid or a reference that stands without quotes, where YAML takes its braces for a map. Nobody
 * means such a map, so this is told as what it is instead of whatever else YAML makes of it.
 */
import { isMap, isScalar } from 'yaml'

export type Opening = '{{' | '{%' | '${'

export interface UnquotedText {
  readonly opening: Opening
  /** Where the braces are in the file's text. */
  readonly offset: number
}

/** The unquoted braces that a node is or begins with, or null. `text` is the file's. */
export function unquotedIn(node: unknown, text: string): UnquotedText | null {
  if (isScalar(node) && node.type === 'PLAIN') {
    const at = (node.source ?? '').indexOf('{{')
    return at < 0 ? null : { opening: '{{', offset: (node.range?.[0] ?? 0) + at }
  }
  return isMap(node) && node.flow === true ? unquotedAt(node.range?.[0] ?? 0, text) : null
}

/** The unquoted braces at a place where YAML finds a mistake, or null. */
export function unquotedAt(offset: number, text: string): UnquotedText | null {
  if (text.startsWith('{{', offset)) return { opening: '{{', offset }
  if (text.startsWith('{%', offset)) return { opening: '{%', offset }
  return offset > 0 && text.startsWith('${', offset - 1) ? { opening: '${', offset: offset - 1 } : null
}

const CLOSING = { '{{': '}}', '{%': '%}', '${': '}' } as const

/** What to do about them. */
export function quoteIt({ opening }: UnquotedText): string {
  return (
    `an unquoted \`${opening}\` means something else in YAML: quote it, as in "${opening} … ${CLOSING[opening]}" or with single quotes, ` +
    'or write a block after `|`'
  )
}
