/** YAML files as parsed, and places in them. */
import type { Document, LineCounter, ParsedNode } from 'yaml'
import type { Place } from '../decode/places.ts'

/** A file with its text and the folder-relative path that messages name. */
export interface YamlFile {
  readonly path: string
  /** The absolute folder that `${file:PATH}` starts from. */
  readonly folder: string
  readonly text: string
  readonly lines: LineCounter
  /** A second file, whose text stands behind that of this one from the position `at`. */
  readonly behind?: { readonly at: number; readonly file: YamlFile }
}

export type YamlDocument = Document.Parsed<ParsedNode>

/** The file that a position in the text is in. */
export function fileAt(file: YamlFile, offset: number): YamlFile {
  return file.behind !== undefined && offset >= file.behind.at ? file.behind.file : file
}

/** The place of a position in a file's text. */
export function placeIn(file: YamlFile, offset: number): Place {
  if (file.behind !== undefined && offset >= file.behind.at)
    return placeIn(file.behind.file, offset - file.behind.at)
  const { line, col } = file.lines.linePos(offset)
  return { file: file.path, line: Math.max(line, 1), column: Math.max(col, 1) }
}
