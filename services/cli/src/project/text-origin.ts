/** Where the characters of a text stand in its YAML file, so that an error inside a template can name its place in the file. */
import type { Scalar } from 'yaml'
import { placeIn } from './read-documents.ts'
import type { YamlFile } from './read-documents.ts'
import type { Place } from './places.ts'

/** Finds the place of a line and column, both from 1, of a text; falls back to where the text begins. */
export type TextOrigin = (line: number, column: number) => Place

/**
 * The origin of a scalar's text. Exact for literal blocks (`|`) and for text on one line; other styles fold lines, so that only the beginning is
 * known. `changed` says that references were filled in: columns may have moved then, but a block's lines have not, unless a value has several.
 */
export function textOrigin(file: YamlFile, node: Scalar, changed: boolean): TextOrigin {
  const offset = node.range?.[0] ?? 0
  const start = placeIn(file, offset)
  if (node.type === 'BLOCK_LITERAL') return literalOrigin(file, node, start)
  const raw = file.text.slice(offset, node.range?.[1] ?? offset)
  const quotes = node.type === 'PLAIN' ? 0 : 1
  const source = node.source ?? ''
  const exact = !changed && raw.slice(quotes, raw.length - quotes) === source && !source.includes('\n')
  if (!exact) return () => start
  return (line, column) => (line === 1 ? { ...start, column: start.column + quotes + column - 1 } : start)
}

function literalOrigin(file: YamlFile, node: Scalar, start: Place): TextOrigin {
  const rawLines = file.text
    .slice(node.range?.[0] ?? 0, node.range?.[1])
    .split('\n')
    .slice(1)
  const lines = (node.source ?? '').split('\n')
  const filled = lines.findIndex(line => line.trim() !== '')
  const indent = filled < 0 ? 0 : spacesBefore(rawLines[filled] ?? '') - spacesBefore(lines[filled] ?? '')
  return (line, column) => {
    const inside = Math.min(line, rawLines.length)
    return { file: start.file, line: start.line + inside, column: indent + column }
  }
}

function spacesBefore(line: string): number {
  return line.length - line.trimStart().length
}
