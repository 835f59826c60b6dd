/** Mistakes in a draft, in the words of its forms: the message, and where the mistake is. */
import type { Problem } from '@sluice/contracts/api'
import { isScalar, LineCounter, parseDocument, type Scalar } from 'yaml'
import { fileOf, KINDS, type Kind, type Path } from './draft.ts'

type Detail = Problem['errors'][number]

/** Returns the message without the parts that help only people who write YAML. */
export function mistakeInWords({ message }: Pick<Detail, 'message'>): string {
  const own = message
    .replace(/^(?:source|model|destination|sync|alert) `[^`]*`: /, '')
    .replace(/ \(write "" for empty text\)/, '')
  const [, missing] = /^the field `[^`]*` is missing(?:; wanted (.+))?$/s.exec(own) ?? []
  if (own.startsWith('the field ') && own.includes(' is missing'))
    return missing === undefined ? 'This is needed.' : `This is needed: ${missing}.`
  const [, wanted, found] = /^wanted (.+), found (.*)$/s.exec(own) ?? []
  if (wanted === undefined) return sentence(own)
  if (found !== '``' && found !== 'nothing') return `This has to be ${wanted}.`
  return wanted === 'text' || wanted === 'text that is not empty'
    ? 'This is needed.'
    : `This is needed: ${wanted}.`
}

const sentence = (text: string): string => {
  const upper = `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`
  return /[.?!`}]$/.test(upper) ? upper : `${upper}.`
}

/**
 * The parts of a draft that a mistake can be in, by the start of its field. The first one that fits counts.
 */
const PARTS: readonly (readonly [field: RegExp, words: string])[] = [
  [/^triggers\.(\w+)\.body\b/, 'Body'],
  [/^triggers\.\w+\.path$/, 'Path'],
  [/^triggers\.\w+\.method$/, 'Method'],
  [/^triggers\.\w+\.headers\.(.+)$/, 'Header $1'],
  [/^triggers\.\w+\.capture\.(.+)$/, 'Captured value $1'],
  [/^triggers\.\w+\.batch\b/, 'Batch size'],
  [/^headers\.(.+)$/, 'Header $1'],
  [/^query\.(.+)$/, 'Query parameter $1'],
  [/^auth\.oauth2\.tokenUrl$/, 'Token URL'],
  [/^auth\.oauth2\.authorizationUrl$/, 'Authorization URL'],
  [/^auth\.oauth2\.clientId$/, 'Client id'],
  [/^auth\b/, 'Authentication'],
  [/^tls\b/, 'Certificates'],
  [/^limits\b/, 'Limits'],
  [/^baseUrl$/, 'Address of the API'],
  [/^breaker\b/, 'Circuit breaker'],
  [/^schedule\b/, 'Schedule'],
  [/^slice\b/, 'Changes taken together'],
  [/^errors\.answers\b/, 'Answers'],
  [/^errors\.rowResults\b/, 'Results of rows'],
  [/^errors\b/, 'Errors'],
  [/^removalGuard\b/, 'Approval of removals'],
  [/^timeout$/, 'Time-out'],
  [/^maxDuration$/, 'Longest run'],
  [/^primaryKey\b/, 'Key'],
  [/^sql$/, 'SQL'],
  [/^table$/, 'Table'],
  [/^topic$/, 'Topic'],
  [/^format$/, 'Records'],
  [/^brokers\b/, 'Brokers'],
  [/^sasl\b/, 'Login'],
  [/^registry$/, 'Schema registry'],
  [/^path$/, 'Folder'],
  [/^url$/, 'Address'],
  [/^name$/, 'Name'],
  [/^labels\b/, 'Labels'],
]

/** The fields of a trigger, as errors of rows name them, and those of a destination. */
const FIELD_OF_ROW = /^((?:body|headers|query|path|method|capture)\b[^\s:]*): /
const LINE_OF_ROW = / \(line (\d+), column \d+ of the template\)/

/** Returns the error of a row that could not be rendered, for example `Body, line 3: …`. */
export function rowErrorInWords(error: string): string {
  const [start = '', field] = FIELD_OF_ROW.exec(error) ?? []
  const line = LINE_OF_ROW.exec(error)?.[1]
  const own = error.slice(start.length).replace(LINE_OF_ROW, '')
  if (field === undefined) return /^[a-z]+:/.test(own) ? own : sentence(own)
  const part = partAt(`triggers.added.${field}`) || partAt(field)
  // Most paths and headers have one line.
  const isLong = part === 'Body' && line !== undefined
  return `${part || field}${isLong ? `, line ${line}` : ''}: ${sentence(own)}`
}

/** The part of a form that a field belongs to. Empty if none does. */
function partAt(field: string): string {
  const [pattern, words = ''] = PARTS.find(([each]) => each.test(field)) ?? []
  return words.replace('$1', pattern?.exec(field)?.[1] ?? '')
}

const KIND_NAMES: { readonly [kind in Kind]: string } = {
  ...{ source: 'Source', model: 'Model', destination: 'Destination', sync: 'Sync' },
}

export interface MistakePlace {
  readonly kind: Kind | null
  /** For example `Body, line 3`. */
  readonly where: string
}

/** Returns the place of a mistake as its form names it. Lines are counted in the field's own text. */
export function placeInWords(detail: Detail, texts: { readonly [kind in Kind]: string }): MistakePlace {
  const kind = kindOf(detail)
  const { field = '' } = detail
  const part = partAt(field) || field || (kind === null ? '' : KIND_NAMES[kind])
  const trigger = /^triggers\.(\w+)/.exec(field)?.[1]
  const line = kind === null || field === '' ? detail.line : placeIn(texts[kind], detail)?.line
  const parts = [
    ...(part === '' ? [] : [part]),
    ...(line === undefined ? [] : [`line ${line}`]),
    ...(trigger === undefined || trigger === 'added' ? [] : [`${trigger} rows`]),
  ]
  return { kind, where: parts.join(', ') }
}

const kindOf = ({ file }: Detail): Kind | null => KINDS.find(kind => file === fileOf(kind)) ?? null

/**
 * Returns the place of a mistake within the text of its field, counted from 1. Null if the field has one line
 * only, or if the mistake has no place.
 */
export function placeIn(
  text: string,
  { field = '', line, column = 1 }: Detail,
): { readonly line: number; readonly column: number } | null {
  if (line === undefined || field === '') return null
  const counter = new LineCounter()
  const document = parseDocument(text, { lineCounter: counter })
  const node = document.getIn(pathOf(document, field), true)
  if (!isScalar(node) || !node.range || !String(node.value).trim().includes('\n')) return null
  const start = counter.linePos(node.range[0])
  if (!isBlock(node)) return null
  const indent = / */.exec(text.split('\n')[start.line] ?? '')?.[0].length ?? 0
  return { line: Math.max(1, line - start.line), column: Math.max(1, column - indent) }
}

const isBlock = ({ type }: Scalar): boolean => type === 'BLOCK_LITERAL' || type === 'BLOCK_FOLDED'

/** The path of a field such as `triggers.added.body.json`. A name may itself have a dot. */
function pathOf(document: ReturnType<typeof parseDocument>, field: string): Path {
  const parts = field.split('.')
  const path: string[] = []
  while (parts.length > 0) {
    let count = 1
    while (count < parts.length && document.getIn([...path, parts.slice(0, count).join('.')]) === undefined)
      count += 1
    path.push(parts.splice(0, count).join('.'))
  }
  return path
}
