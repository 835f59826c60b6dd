/**
 * Finds the places of the characters of a text in its YAML file. So an error inside a template can name its
 * place in the file.
 */
import type { Scalar } from 'yaml'
import { placeIn, type YamlFile, type Place } from '../decode/places.ts'

/**
 * Gives the place in the file for a line and column of the text, both counted from 1. Null if only the
 * beginning of the text is known.
 */
export type TextOrigin = (line: number, column: number) => Place | null

/**
 * The origin of a scalar's text. `filled` is that text with references filled in. Places are known in literal
 * blocks (`|`) and in text on one line. They are not known in other styles, which fold lines. A filled-in
 * value moves the text after it: the column there is unknown, and the line is known only if the value has no
 * line breaks.
 */
export function textOrigin(file: YamlFile, node: Scalar, filled: string): TextOrigin {
  const source = node.source ?? ''
  if (source.split('\n').length !== filled.split('\n').length) return () => null
  if (node.type === 'BLOCK_LITERAL') return literalOrigin(file, node)
  const offset = node.range?.[0] ?? 0
  const quotes = node.type === 'PLAIN' ? 0 : 1
  const raw = file.text.slice(offset + quotes, (node.range?.[1] ?? offset) - quotes)
  if (raw !== source || source !== filled || source.includes('\n')) return () => null
  const start = placeIn(file, offset + quotes)
  return (line, column) => (line === 1 ? { ...start, column: start.column + column - 1 } : null)
}

/**
 * Each line of a literal block is one line of its text. The lines begin below the line with the `|`, and all
 * have the same indentation.
 */
function literalOrigin(file: YamlFile, node: Scalar): TextOrigin {
  const start = placeIn(file, node.range?.[0] ?? 0)
  const rawLines = file.text
    .slice(node.range?.[0] ?? 0, node.range?.[1])
    .split('\n')
    .slice(1)
  const lines = (node.source ?? '').split('\n')
  const text = lines.findIndex(line => line.trim() !== '')
  const indent = text < 0 ? 0 : spacesBefore(rawLines[text] ?? '') - spacesBefore(lines[text] ?? '')
  return (line, column) => {
    const inside = Math.max(1, Math.min(line, rawLines.length))
    const moved = (lines[inside - 1] ?? '').includes('${')
    return { file: start.file, line: start.line + inside, column: indent + (moved ? 1 : column) }
  }
}

function spacesBefore(line: string): number {
  return line.length - line.trimStart().length
}
