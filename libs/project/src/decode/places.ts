/** Places in a project's files, and the names of fields in messages. */
import type { ErrorDetail } from '@sluice/contracts/errors'
import { nearestName } from '@sluice/domain/nearest-name'
import type { Document, LineCounter, ParsedNode } from 'yaml'

/** A place in a file; `file` is relative to the project folder, line and column count from 1. */
export interface Place {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** A file with its text and the folder-relative path that messages name. */
export interface YamlFile {
  readonly path: string
  /** The absolute folder that `${file:PATH}` starts from. */
  readonly folder: string
  readonly text: string
  readonly lines: LineCounter
  /** A second file, whose text begins at the position `at`, behind the text of this one. */
  readonly behind?: { readonly at: number; readonly file: YamlFile }
}

export type YamlDocument = Document.Parsed<ParsedNode>

/** The file that a position in the text is in. */
export function fileAt(file: YamlFile, offset: number): YamlFile {
  return file.behind !== undefined && offset >= file.behind.at ? file.behind.file : file
}

/** The place of a position in a file's text. */
export function placeIn(file: Pick<YamlFile, 'path' | 'lines' | 'behind'>, offset: number): Place {
  if (file.behind !== undefined && offset >= file.behind.at)
    return placeIn(file.behind.file, offset - file.behind.at)
  const { line, col } = file.lines.linePos(offset)
  return { file: file.path, line: Math.max(line, 1), column: Math.max(col, 1) }
}

export type FieldPath = readonly (string | number)[]

/** The name of a field in messages, such as `triggers.added.path` or `limits.rate[0].per`. */
export function fieldName(path: FieldPath): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join('')
}

/** The top-level field in a field's name: `limits` in `limits.rate[0].per`. */
export function topOf(field: string): string {
  return field.split(/[.[]/, 1)[0] ?? field
}

/** An error at a place. */
export function detailAt(place: Place, path: FieldPath, message: string): ErrorDetail {
  return path.length === 0 ? { ...place, message } : { ...place, field: fieldName(path), message }
}

/** Sorts details by file, line and column. */
export function inFileOrder(details: readonly ErrorDetail[]): ErrorDetail[] {
  return [...details].sort((a, b) => {
    const files = (a.file ?? '').localeCompare(b.file ?? '', 'en')
    return files || (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0)
  })
}

const MAX_QUOTED = 60

/**
 * Characters that show as nothing, or as a space without being one. The ordinary space, tab and line break
 * are not among them.
 */
const INVISIBLE =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u00a0\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff]/g

/** The text without invisible characters, as the person who pasted it sees it. */
export function withoutInvisible(text: string): string {
  return text.replaceAll(INVISIBLE, '').trim()
}

/** The text with each invisible character written as its number: `na<U+200B>me`. */
function withNumbers(text: string): string {
  return text.replaceAll(INVISIBLE, character => {
    const code = character.codePointAt(0) ?? 0
    return `<U+${code.toString(16).toUpperCase().padStart(4, '0')}>`
  })
}

/** Text from a file in backticks, shortened to fit one line. URLs are shown without their passwords. */
export function quoted(text: string): string {
  const line = withNumbers(text)
    .replaceAll(/\s+/g, ' ')
    .trim()
    .replaceAll(/(:\/\/[^/\s:@]*):[^/\s]*@/g, '$1:***@')
  return `\`${line.length > MAX_QUOTED ? `${line.slice(0, MAX_QUOTED - 1)}…` : line}\``
}

export function didYouMean(name: string, names: readonly string[]): string {
  const near = nearestName(name, names)
  return near === null ? '' : `; did you mean \`${near}\`?`
}

export function list(names: readonly string[]): string {
  return names.map(name => `\`${name}\``).join(', ')
}
