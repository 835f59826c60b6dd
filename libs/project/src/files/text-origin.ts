/**
 * Where the characters of a text stand in its YAML file, so that an error inside a template can name its
 * place in the file.
 */
import type { Scalar } from 'yaml'
import { placeIn } from '../yaml/yaml-file.ts'
import type { YamlFile } from '../yaml/yaml-file.ts'
import type { Place } from '../decode/places.ts'

/**
 * Finds the place in the file of a line and column, both from 1, of a text; null where only the beginning of
 * the text is known.
 */
export type TextOrigin = (line: number, column: number) => Place | null

/**
 * The origin of a scalar's text, which is `filled` once references are filled in. It is known for literal
 * blocks (`|`) and for text on one line; other styles fold lines. A value that was filled in moves what
 * follows it: then the line is still known, if the value has no line breaks, but not the column.
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
 * A literal block has its text's lines one to one, after the line with the `|`, each behind the same
 * indentation.
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
