/** What is wrong with the YAML of a document, as far as the parser tells. */
import type { ErrorDetail } from '@sluice/contracts/errors'
import { isPair, isScalar, visit } from 'yaml'
import type { YAMLError } from 'yaml'
import { detailAt } from './places.ts'
import { placeIn } from './yaml-file.ts'
import type { YamlDocument, YamlFile } from './yaml-file.ts'
import { quoteIt, unquotedAt, unquotedIn } from './unquoted-text.ts'
import type { UnquotedText } from './unquoted-text.ts'

/** One mistake in YAML can make errors of all that follows; nobody reads more of them. */
const MAX_PROBLEMS = 5

/**
 * The problems, empty for right YAML. Unquoted braces throw the parser off for all that follows, so where
 * they led to an error they are the only one that is told.
 */
export function yamlProblems(document: YamlDocument, file: YamlFile): ErrorDetail[] {
  const at = (offset: number, message: string) =>
    detailAt(placeIn(file, offset), fieldAt(document, offset), message)
  if (document.errors.length > 0) {
    const unquoted = firstUnquoted(document, file)
    if (unquoted !== null) return [at(unquoted.offset, quoteIt(unquoted))]
  }
  const errors = [...document.errors, ...document.warnings].slice(0, MAX_PROBLEMS)
  const problems = errors.map(error => at(error.pos[0], yamlMessage(error)))
  const { yaml } = document.directives ?? {}
  if (yaml?.explicit === true && yaml.version !== '1.2') {
    problems.push(at(document.range[0], `wanted YAML 1.2, found \`%YAML ${yaml.version}\``))
  }
  return problems
}

function firstUnquoted(document: YamlDocument, file: YamlFile): UnquotedText | null {
  const found = document.errors.map(({ pos }) => unquotedAt(pos[0], file.text))
  visit(document, {
    Node(_key, node) {
      const unquoted = unquotedIn(node, file.text)
      found.push(unquoted)
      return unquoted === null ? undefined : visit.SKIP
    },
  })
  const [first] = found.filter(unquoted => unquoted !== null).sort((a, b) => a.offset - b.offset)
  return first ?? null
}

/** The field that a place is in: the last one that begins before it. */
function fieldAt(document: YamlDocument, offset: number): string[] {
  let field: string[] = []
  visit(document, {
    Pair(_key, pair, ancestors) {
      if (!isScalar(pair.key) || (pair.key.range?.[0] ?? 0) > offset) return
      const keys = [...ancestors, pair].map(node =>
        isPair(node) && isScalar(node.key) ? node.key.source : null,
      )
      field = keys.filter(key => typeof key === 'string')
    },
  })
  return field
}

function yamlMessage(error: YAMLError): string {
  switch (error.code) {
    case 'TAB_AS_INDENT':
      return 'YAML is indented with spaces, found a tab'
    case 'TAG_RESOLVE_FAILED':
      return `YAML tags are not supported (${error.message})`
    case 'RESOURCE_EXHAUSTION':
      return 'the YAML is nested too deeply'
    default:
      return `this is not YAML: ${error.message}`
  }
}
