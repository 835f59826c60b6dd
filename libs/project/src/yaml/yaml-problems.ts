/** The problems in the YAML of a document, as far as the parser finds them. */
import type { ErrorDetail } from '@sluice/contracts/errors'
import { isPair, isScalar, visit } from 'yaml'
import type { YAMLError } from 'yaml'
import { detailAt } from '../decode/places.ts'
import { placeIn } from './yaml-file.ts'
import type { YamlDocument, YamlFile } from './yaml-file.ts'
import { quoteIt, unquotedAt, unquotedIn, unquotedInKey } from './unquoted-text.ts'
import type { UnquotedText } from './unquoted-text.ts'

/** One mistake in YAML can turn all that follows into errors. Nobody reads more of them than this. */
const MAX_PROBLEMS = 5

/**
 * The problems, empty for valid YAML. Unquoted braces make the parser misread all that follows. So if they
 * cause an error, it is the only one that is reported.
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
  const control = controlCharacter(document, file)
  if (control !== null) problems.push(at(control.offset, control.message))
  const { yaml } = document.directives ?? {}
  if (yaml?.explicit === true && yaml.version !== '1.2') {
    problems.push(at(document.range[0], `wanted YAML 1.2, found \`%YAML ${yaml.version}\``))
  }
  return problems
}

/** A control character in the text. YAML does not allow it (1.2 §5.1), but the parser lets it through. */
function controlCharacter(document: YamlDocument, file: YamlFile) {
  const [start, , end] = document.range
  const text = file.text.slice(start, end)
  const at = text.search(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/)
  if (at < 0) return null
  const code = text.charCodeAt(at).toString(16).padStart(2, '0')
  const message = `YAML has no control characters, found U+00${code.toUpperCase()}; between double quotes write \\x${code}`
  return { offset: start + at, message }
}

function firstUnquoted(document: YamlDocument, file: YamlFile): UnquotedText | null {
  const found = document.errors.map(({ pos }) => unquotedAt(pos[0], file.text))
  visit(document, {
    Node(key, node) {
      const unquoted = (key === 'key' ? unquotedInKey(node) : null) ?? unquotedIn(node, file.text)
      found.push(unquoted)
      return unquoted === null ? undefined : visit.SKIP
    },
  })
  const [first] = found.filter(unquoted => unquoted !== null).sort((a, b) => a.offset - b.offset)
  return first ?? null
}

/**
 * The field around a place: the last one that begins before it. Braces do not count as the name of a field.
 */
function fieldAt(document: YamlDocument, offset: number): string[] {
  let field: string[] = []
  visit(document, {
    Pair(_key, pair, ancestors) {
      if (!isScalar(pair.key) || (pair.key.range?.[0] ?? 0) > offset) return
      if (unquotedInKey(pair.key) !== null || pair.key.source === '$') return
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
    case 'BLOCK_AS_IMPLICIT_KEY':
      return 'this is not YAML: a `: ` begins a map here; quote a text that has one, and indent fields of one map alike'
    case 'MULTILINE_IMPLICIT_KEY':
      return `this is not YAML: ${error.message} (a field is written \`name: value\`, with a space after the colon)`
    case 'BLOCK_IN_FLOW':
      return 'this is not YAML: commas divide fields in `{ … }` and items in `[ … ]`; quote a text that has a `: `'
    case 'BAD_INDENT': {
      const end = /must be sufficiently indented and end with a (.)$/.exec(error.message)?.[1]
      return end === undefined
        ? `this is not YAML: ${error.message}`
        : `this is not YAML: a \`${end === ']' ? '[' : '{'}\` before this has no \`${end}\`, or it stands too far to the left`
    }
    case 'UNEXPECTED_TOKEN':
      return `this is not YAML: ${error.message}${AFTER_QUOTE.test(error.message) ? ENDED : ''}`
    default:
      return `this is not YAML: ${error.message}`
  }
}

const AFTER_QUOTE = /at node end$/
const ENDED =
  " (a quote ends a text: inside of '…' write it as '', inside of \"…\" as \\\"; or write a block after `|`)"
