/**
 * Parses YAML 1.2 files into documents: those that are resources, and those that are passed over because other tools wrote them. What is wrong
 * with the YAML itself is told here; what is wrong with a resource in decode-resource.ts.
 */
import type { ErrorDetail } from '@sluice/contracts/errors'
import { isMap, isScalar, LineCounter, parseAllDocuments, visit } from 'yaml'
import type { Document, ParsedNode, YAMLError, YAMLMap } from 'yaml'
import { detailAt } from './places.ts'
import type { Place } from './places.ts'

/** A file with its text and the folder-relative path that messages name. */
export interface YamlFile {
  readonly path: string
  /** The absolute folder that `${file:PATH}` starts from. */
  readonly folder: string
  readonly text: string
  readonly lines: LineCounter
}

export type YamlDocument = Document.Parsed<ParsedNode>

/** A document that is meant to be a resource and whose YAML is right. */
export interface ResourceDocument {
  readonly file: YamlFile
  readonly document: YamlDocument
  readonly map: YAMLMap
}

/** A document that is passed over, and why. */
export interface SkippedDocument {
  readonly file: string
  readonly line: number
  readonly reason: 'has apiVersion' | 'has no kind'
}

export interface ReadDocuments {
  readonly resources: readonly ResourceDocument[]
  readonly skipped: readonly SkippedDocument[]
  readonly problems: readonly ErrorDetail[]
}

/** The place of a position in a file's text. */
export function placeIn(file: YamlFile, offset: number): Place {
  const { line, col } = file.lines.linePos(offset)
  return { file: file.path, line: Math.max(line, 1), column: Math.max(col, 1) }
}

/** Parses one file. Never throws for what the file holds. */
export function readDocuments(source: { path: string; folder: string; text: string }): ReadDocuments {
  const lines = new LineCounter()
  const file: YamlFile = { ...source, lines }
  const documents = parseAllDocuments(source.text, {
    version: '1.2',
    merge: true,
    uniqueKeys: true,
    strict: true,
    prettyErrors: false,
    lineCounter: lines,
  })
  const resources: ResourceDocument[] = []
  const skipped: SkippedDocument[] = []
  const problems: ErrorDetail[] = []
  if (!Array.isArray(documents)) return { resources, skipped, problems }
  for (const document of documents) {
    if (isEmpty(document)) continue
    const reason = reasonToSkip(document, file)
    if (reason !== null) {
      const place = placeIn(file, document.contents?.range[0] ?? document.range[0])
      skipped.push({ file: file.path, line: place.line, reason })
      continue
    }
    const wrong = yamlProblems(document, file)
    problems.push(...wrong)
    if (wrong.length === 0 && isMap(document.contents))
      resources.push({ file, document, map: document.contents })
  }
  return { resources, skipped, problems }
}

/** True for nothing but comments and white space. */
function isEmpty(document: YamlDocument): boolean {
  if (document.errors.length > 0) return false
  return document.contents === null || (isScalar(document.contents) && document.contents.source === '')
}

/**
 * Why a document is none of ours, or null. Where its YAML is broken the tree may lack what the text has, so the text decides: templates of other
 * tools (Helm's, say) are broken YAML, and not ours to judge.
 */
function reasonToSkip(document: YamlDocument, file: YamlFile): SkippedDocument['reason'] | null {
  const { contents } = document
  if (isMap(contents) && contents.has('apiVersion')) return 'has apiVersion'
  if (isMap(contents) && contents.has('kind')) return null
  if (document.errors.length === 0) return 'has no kind'
  const text = file.text.slice(document.range[0], document.range[2])
  if (/^['"]?apiVersion['"]?\s*:/m.test(text)) return 'has apiVersion'
  return /(^|[\s{,])['"]?kind['"]?\s*:/m.test(text) ? null : 'has no kind'
}

/**
 * What is wrong with the YAML of a document. An unquoted `{{` throws the parser off for the lines that follow, so where there is one, that is all that
 * is told.
 */
function yamlProblems(document: YamlDocument, file: YamlFile): ErrorDetail[] {
  const unquoted = unquotedBraces(document, file)
  if (unquoted.size > 0) {
    return [...unquoted].map(([offset, what]) => detailAt(placeIn(file, offset), [], quoteIt(what)))
  }
  const problems = [...document.errors, ...document.warnings].map(error =>
    detailAt(placeIn(file, error.pos[0]), [], yamlMessage(error, file)),
  )
  if (document.directives?.yaml.explicit === true && document.directives.yaml.version !== '1.2') {
    const { version } = document.directives.yaml
    problems.push(
      detailAt(placeIn(file, document.range[0]), [], `wanted YAML 1.2, found \`%YAML ${version}\``),
    )
  }
  return problems
}

type Opening = '{{' | '{%' | '${'

function quoteIt(opening: Opening): string {
  if (opening === '${')
    return 'a `${` inside `{ }` or `[ ]` means something else in YAML: quote it, as in "${NAME}"'
  const closing = opening === '{{' ? '}}' : '%}'
  return (
    `an unquoted \`${opening}\` means something else in YAML: quote it, as in "${opening} … ${closing}" or with single quotes, ` +
    'or write a block after `|`'
  )
}

/** Where text with Liquid or a reference stands without quotes, by offset: plain scalars, and flow maps that were meant to be text. */
function unquotedBraces(document: YamlDocument, file: YamlFile): Map<number, Opening> {
  const found = new Map<number, Opening>()
  visit(document, {
    Scalar(_key, node) {
      const at = node.type === 'PLAIN' ? (node.source ?? '').indexOf('{{') : -1
      if (at >= 0) found.set((node.range?.[0] ?? 0) + at, '{{')
    },
    Map(_key, node) {
      const opening = node.flow === true ? openingAt(file, node.range?.[0] ?? 0) : null
      if (opening === null) return undefined
      found.set(node.range?.[0] ?? 0, opening)
      return visit.SKIP
    },
  })
  for (const { pos } of document.errors) {
    const opening = openingAt(file, pos[0])
    if (opening !== null) found.set(pos[0], opening)
    else if (file.text.startsWith('${', pos[0] - 1)) found.set(pos[0] - 1, '${')
  }
  const [first] = [...found].sort(([a], [b]) => a - b)
  // What the parser made of the text after the first one is guesswork, and so would be what is found there.
  return first === undefined || document.errors.length === 0 ? found : new Map([first])
}

function openingAt(file: YamlFile, offset: number): '{{' | '{%' | null {
  const opening = file.text.slice(offset, offset + 2)
  return opening === '{{' || opening === '{%' ? opening : null
}

function yamlMessage(error: YAMLError, file: YamlFile): string {
  switch (error.code) {
    case 'DUPLICATE_KEY':
      return `the field ${keyAt(file, error.pos[0])} stands twice in the same map; keep one of them`
    case 'TAB_AS_INDENT':
      return 'YAML is indented with spaces, found a tab'
    case 'TAG_RESOLVE_FAILED':
      return `YAML tags are not supported (${error.message})`
    default:
      return `this is not YAML: ${error.message}`
  }
}

function keyAt(file: YamlFile, offset: number): string {
  const key = /^["']?([^"':\n]*)/.exec(file.text.slice(offset, offset + 80))?.[1] ?? ''
  return `\`${key.trim()}\``
}
