/**
 * Parses YAML 1.2 files into documents: resources, and documents of other tools, which are skipped. This file
 * reports mistakes in the YAML itself; decode-resource.ts reports mistakes in a resource.
 */
import {
  isAlias,
  isMap,
  isScalar,
  LineCounter,
  type YAMLMap,
  Composer,
  Lexer,
  Parser,
  type CST,
  type DocumentOptions,
  type ParseOptions,
  type SchemaOptions,
} from 'yaml'
import type { ErrorDetail } from '@sluice/contracts/errors'
import { RESOURCE_SCHEMAS } from '@sluice/contracts/resources'
import { nearestName } from '@sluice/domain/nearest-name'
import { entriesOf, type MapEntry } from '../yaml/map-entries.ts'
import {
  detailAt,
  quoted,
  withoutInvisible,
  placeIn,
  type YamlDocument,
  type YamlFile,
} from '../decode/places.ts'
import { yamlProblems } from '../yaml/yaml-problems.ts'

/** The most pieces of YAML in a file: names, values, marks, comments, indentations and ends of lines. */
const MAX_PIECES = 200_000
const MAX_DEPTH = 64
const MAX_DOCUMENTS = 2_000
const MAX_ALIASES = 1_000

type ParsedWithinLimits =
  { readonly documents: readonly YamlDocument[] } | { readonly problem: string; readonly line: number }

type Options = ParseOptions & DocumentOptions & SchemaOptions & { readonly lineCounter: LineCounter }

/**
 * Parses YAML, within limits that no file written by a person exceeds. The parser's work grows with each
 * piece of a file, and with the square of its aliases. Its stack grows with each level of nesting.
 *
 * Returns the documents of a text, or the limit that the text exceeds with its place.
 */
function parseWithinLimits(text: string, options: Options): ParsedWithinLimits {
  const tokens: CST.Token[] = []
  const parser = new Parser(options.lineCounter.addNewLine)
  const composer = new Composer<YamlDocument['contents'] & {}, true>(options)
  // The parser does this itself if it gets the whole text at once.
  options.lineCounter.addNewLine(0)
  let pieces = 0
  let documents = 0
  let aliases = 0
  let offset = 0
  for (const lexeme of new Lexer().lex(text)) {
    pieces += 1
    offset += lexeme.length
    if (lexeme.startsWith('*')) aliases += 1
    for (const token of parser.next(lexeme)) {
      tokens.push(token)
      if (token.type === 'document') documents += 1
    }
    const exceeded =
      exceeds(pieces, MAX_PIECES, 'names, values, marks and comments') ??
      exceeds(parser.stack.length, 2 * MAX_DEPTH, 'levels (maps and lists in each other)', MAX_DEPTH) ??
      exceeds(documents, MAX_DOCUMENTS, 'documents') ??
      exceeds(aliases, MAX_ALIASES, 'aliases (`*name`)')
    if (exceeded !== null) return { problem: exceeded, line: options.lineCounter.linePos(offset).line }
  }
  tokens.push(...parser.end())
  return { documents: [...composer.compose(tokens, true, text.length)] }
}

/** `shown` is the limit as the message names it. The parser counts two levels for most levels of the file. */
function exceeds(found: number, limit: number, what: string, shown = limit): string | null {
  return found <= limit ? null : `the YAML has more than ${shown} ${what}; no file of a project needs so many`
}

const KINDS = ['project', 'environment', ...Object.keys(RESOURCE_SCHEMAS)]

const KIND_WITHOUT_COLON = new RegExp(`^kind[ \\t]*[:=]?[ \\t]*(${KINDS.join('|')})[ \\t]*$`, 'm')
/** Fields that together identify a kind of resource, even if a document has no `kind`. */
const FIELDS_BY_KIND = {
  sync: ['name', 'model', 'destination', 'triggers'],
  model: ['name', 'source', 'primaryKey'],
  alert: ['name', 'syncs', 'when', 'to'],
  destination: ['name', 'baseUrl'],
}

/** A document that is meant to be a resource, and whose YAML is valid. */
export interface ResourceDocument {
  readonly file: YamlFile
  readonly document: YamlDocument
  readonly map: YAMLMap
}

/** A document that is skipped, with the reason. */
export interface SkippedDocument {
  readonly file: string
  readonly line: number
  readonly reason: 'has apiVersion' | 'has no kind'
}

export interface ReadDocuments {
  /** The first document that is not empty. Null if there is none. */
  readonly first: YamlDocument | null
  readonly resources: readonly ResourceDocument[]
  readonly skipped: readonly SkippedDocument[]
  readonly problems: readonly ErrorDetail[]
}

/** The text of one document. */
export function textOf({ file, document }: Pick<ResourceDocument, 'file' | 'document'>): string {
  return file.text.slice(document.range[0], document.range[2])
}

/** Parses one file. It does not throw, whatever the file holds. */
export function readDocuments(source: { path: string; folder: string; text: string }): ReadDocuments {
  try {
    return parseDocuments(source)
  } catch (error) {
    // The parser is recursive, so deeply nested text overflows the stack.
    if (!(error instanceof RangeError)) throw error
    const problem = { file: source.path, line: 1, column: 1, message: 'the YAML is nested too deeply' }
    return { first: null, resources: [], skipped: [], problems: [problem] }
  }
}

/**
 * The text in a form that the parser reads correctly. Each document may begin with a byte order mark (YAML
 * 1.2 §5.2), for example where files were joined. A carriage return alone ends a line too (§5.4).
 */
function plainText(text: string): string {
  return text.replaceAll(/^\ufeff/gm, '').replaceAll(/\r(?!\n)/g, '\n')
}

function parseDocuments(source: { path: string; folder: string; text: string }): ReadDocuments {
  const lines = new LineCounter()
  const file: YamlFile = { ...source, text: plainText(source.text), lines }
  const parsed = parseWithinLimits(file.text, {
    version: '1.2',
    merge: true,
    // The parser compares each key with each, which takes minutes for a large map. entriesOf finds duplicate
    // keys.
    uniqueKeys: false,
    strict: true,
    prettyErrors: false,
    lineCounter: lines,
  })
  const resources: ResourceDocument[] = []
  const skipped: SkippedDocument[] = []
  const problems: ErrorDetail[] = []
  if ('problem' in parsed) {
    const { line, problem: message } = parsed
    return { first: null, resources, skipped, problems: [{ file: file.path, line, column: 1, message }] }
  }
  for (const document of parsed.documents) {
    if (isEmpty(document)) continue
    const entries = isMap(document.contents) ? entriesOf(document.contents, document).entries : []
    const reason = reasonToSkip(document, entries, file)
    if (reason !== null) {
      const problem = reason === 'has no kind' ? missedKind(document, entries, file) : null
      if (problem !== null) {
        problems.push(problem)
        continue
      }
      const place = placeIn(file, document.contents?.range[0] ?? document.range[0])
      skipped.push({ file: file.path, line: place.line, reason })
      continue
    }
    const wrong = yamlProblems(document, file)
    problems.push(...wrong)
    if (wrong.length === 0 && isMap(document.contents))
      resources.push({ file, document, map: document.contents })
  }
  const first = parsed.documents.find(document => !isEmpty(document)) ?? null
  return { first, resources, skipped, problems }
}

/** True for a document of nothing but comments and white space. */
function isEmpty(document: YamlDocument): boolean {
  if (document.errors.length > 0) return false
  return document.contents === null || (isScalar(document.contents) && document.contents.source === '')
}

/**
 * Returns why a document is not a resource of Sluice, or null if it is one. If the YAML is broken, the tree
 * may be incomplete, so the text decides. For example, Helm's templates are broken YAML, and Sluice does not
 * judge them.
 */
function reasonToSkip(
  document: YamlDocument,
  entries: readonly MapEntry[],
  file: YamlFile,
): SkippedDocument['reason'] | null {
  if (entries.some(({ key }) => key === 'apiVersion')) return 'has apiVersion'
  if (entries.some(({ key }) => key === 'kind')) return null
  if (document.errors.length === 0) return 'has no kind'
  const text = textOf({ file, document })
  if (/^['"]?apiVersion['"]?\s*:/m.test(text)) return 'has apiVersion'
  return /(^|[\s{,])['"]?kind['"]?\s*:/m.test(text) ? null : 'has no kind'
}

/**
 * The problem of a document that is meant to have a `kind` and has none. Otherwise the document would be
 * skipped. Its author wrote `Kind`, or an invisible character, or a `<<` that leads nowhere.
 */
function missedKind(
  document: YamlDocument,
  entries: readonly MapEntry[],
  file: YamlFile,
): ErrorDetail | null {
  const line = KIND_WITHOUT_COLON.exec(textOf({ file, document }))
  if (line !== null) {
    const message = `wanted \`kind: ${line[1] ?? ''}\`, found ${quoted(line[0].trim())}`
    return detailAt(placeIn(file, document.range[0] + line.index), ['kind'], message)
  }
  const nearly = entries.find(
    ({ key, value }) =>
      nearestName(withoutInvisible(key).toLowerCase(), ['kind']) !== null &&
      isScalar(value.node) &&
      KINDS.includes(withoutInvisible(value.node.source ?? '').toLowerCase()),
  )
  if (nearly !== undefined) {
    const message = `${quoted(nearly.key)} is not a field; write \`kind\``
    return detailAt(placeIn(file, nearly.keyOffset), [nearly.key], message)
  }
  const names = new Set(entries.map(({ key }) => key))
  const kind = Object.entries(FIELDS_BY_KIND).find(([, fields]) => fields.every(name => names.has(name)))?.[0]
  if (kind !== undefined) {
    const message = `the document has no \`kind\`; it looks like a ${kind}: write \`kind: ${kind}\``
    return detailAt(placeIn(file, document.contents?.range?.[0] ?? document.range[0]), ['kind'], message)
  }
  const merges = isMap(document.contents) ? document.contents.items.filter(isMerge) : []
  const lost = merges.map(({ value }) => value).find(value => isAlias(value) && !value.resolve(document))
  if (!isAlias(lost)) return null
  const message = `there is no anchor \`&${lost.source}\` before this in the same document, and only there does \`<<\` find one`
  return detailAt(placeIn(file, lost.range?.[0] ?? document.range[0]), ['<<'], message)
}

function isMerge({ key }: { readonly key: unknown }): boolean {
  return isScalar(key) && key.type === 'PLAIN' && key.source === '<<'
}
