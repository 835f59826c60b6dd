/** The problems in the YAML of a document, as far as the parser finds them. */
import { isPair, isScalar, visit, type YAMLError, isMap, isSeq } from 'yaml'
import type { ErrorDetail } from '@sluice/contracts/errors'
import { detailAt, placeIn, type YamlDocument, type YamlFile } from '../decode/places.ts'

type Opening = '{{' | '{%' | '${'

interface UnquotedText {
  readonly opening: Opening
  /** The place of the braces in the file's text. */
  readonly offset: number
}

/**
 * Finds unquoted Liquid and references where YAML reads their braces as something else. At the start of a
 * scalar and in a flow collection, braces are a map to YAML. A `: ` or ` #` inside the braces cuts the text.
 * So the message asks for quotes instead of showing YAML's own error. Braces further inside a scalar are text
 * to YAML, too: `/customers/{{ id }}` needs no quotes.
 *
 * Returns the braces that YAML misreads at the start of a node or in a scalar, or null. `text` is the file's.
 */
export function unquotedIn(node: unknown, text: string): UnquotedText | null {
  if (isScalar(node))
    return node.type === 'PLAIN' ? unclosedIn(node.source ?? '', node.range?.[0] ?? 0) : null
  return isMap(node) && node.flow === true ? unquotedAt(node.range?.[0] ?? 0, text) : null
}

/** The braces of Liquid in a flow collection where the schema wants a text, or null. */
export function unquotedInside(node: unknown, text: string): UnquotedText | null {
  if (!(isMap(node) || isSeq(node)) || node.flow !== true) return null
  const [start, end] = node.range ?? [0, 0]
  const inside = text.slice(start, end)
  const at = inside.search(/\{[{%]/)
  return at < 0 || isInQuotes(inside, at) ? null : unquotedAt(start + at, text)
}

/** The braces of Liquid in a map's plain key, where a `: ` behind the braces cut the text; or null. */
function unquotedInKey(node: unknown): UnquotedText | null {
  if (!isScalar(node) || node.type !== 'PLAIN') return null
  const at = (node.source ?? '').indexOf('{{')
  return at < 0 ? null : { opening: '{{', offset: (node.range?.[0] ?? 0) + at }
}

/** The unquoted braces at the place of an error in the YAML, or null. */
function unquotedAt(offset: number, text: string): UnquotedText | null {
  if (text.startsWith('{{', offset)) return { opening: '{{', offset }
  if (text.startsWith('{%', offset)) return { opening: '{%', offset }
  return offset > 0 && text.startsWith('${', offset - 1) ? { opening: '${', offset: offset - 1 } : null
}

/** Braces that open in a plain scalar and do not close there, because YAML cut the scalar between them. */
function unclosedIn(source: string, start: number): UnquotedText | null {
  for (const [opening, closing] of [
    ['{{', '}}'],
    ['{%', '%}'],
  ] as const) {
    const at = source.lastIndexOf(opening)
    if (at >= 0 && !source.includes(closing, at)) return { opening, offset: start + at }
  }
  return null
}

/** True if a place in a flow collection lies between quotes, where braces are text. */
function isInQuotes(text: string, at: number): boolean {
  let quote = ''
  for (let index = 0; index < at; index++) {
    const character = text[index] ?? ''
    if (quote === '"' && character === '\\') index++
    else if (character === quote) quote = ''
    else if (quote === '' && (character === '"' || character === "'")) quote = character
  }
  return quote !== ''
}

const CLOSING = { '{{': '}}', '{%': '%}', '${': '}' } as const

/** The advice to quote the braces. */
export function quoteIt({ opening }: UnquotedText): string {
  return (
    `an unquoted \`${opening}\` means something else in YAML: quote it, as in "${opening} … ${CLOSING[opening]}" or with single quotes, ` +
    'or write a block after `|`'
  )
}

/** One mistake in YAML can turn all that follows into errors, so only this many are reported. */
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
