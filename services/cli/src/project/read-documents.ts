/**
 * Parses YAML 1.2 files into documents: those that are resources, and those that are passed over because
 * other tools wrote them. What is wrong with the YAML itself is told here; what is wrong with a resource in
 * decode-resource.ts.
 */
import type { ErrorDetail } from '@sluice/contracts/errors'
import { isMap, isScalar, LineCounter, parseAllDocuments } from 'yaml'
import type { YAMLMap } from 'yaml'
import { placeIn } from './yaml-file.ts'
import type { YamlDocument, YamlFile } from './yaml-file.ts'
import { yamlProblems } from './yaml-problems.ts'

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

/** Parses one file. Never throws for what the file holds. */
export function readDocuments(source: { path: string; folder: string; text: string }): ReadDocuments {
  try {
    return parseDocuments(source)
  } catch (error) {
    // The parser walks nested text by calling itself.
    if (!(error instanceof RangeError)) throw error
    const problem = { file: source.path, line: 1, column: 1, message: 'the YAML is nested too deeply' }
    return { resources: [], skipped: [], problems: [problem] }
  }
}

function parseDocuments(source: { path: string; folder: string; text: string }): ReadDocuments {
  const lines = new LineCounter()
  const file: YamlFile = { ...source, lines }
  const documents = parseAllDocuments(source.text, {
    version: '1.2',
    merge: true,
    // Comparing each key with each takes minutes for a large map; entriesOf finds keys that occur twice.
    uniqueKeys: false,
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
 * Why a document is none of ours, or null. Where its YAML is broken the tree may lack what the text has, so
 * the text decides: templates of other tools (Helm's, say) are broken YAML, and not ours to judge.
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
