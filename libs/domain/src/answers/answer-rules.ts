/** What an answer means by the sync's own rules (`errors.answers`): the first rule that fits decides. */
import { SluiceError } from '@sluice/contracts/errors'
import type { AnswerRuleSpec, AnswerStatus } from '@sluice/contracts/specs/answer-specs'
import type { AnswerBody } from './answer-body.ts'
import { parseJsonPath, valuesAt, type JsonPath } from './json-path.ts'

export interface AnswerRule {
  readonly statuses: readonly AnswerStatus[]
  /** Fits if it finds a value other than null and false. */
  readonly json: JsonPath | null
  /** Fits if the body contains it. */
  readonly body: string | null
  readonly as: AnswerRuleSpec['as']
}

export type AnswerMeaning =
  | { readonly kind: 'rule'; readonly as: AnswerRuleSpec['as'] }
  /** No rule fits. */
  | { readonly kind: 'default' }
  /** A rule may fit, and what it looks at could not be read: then nobody knows. */
  | { readonly kind: 'untold'; readonly why: string }

/** Throws `config` for a wrong JSONPath. A checked project has none. */
export function compileAnswerRules(specs: readonly AnswerRuleSpec[]): readonly AnswerRule[] {
  return specs.map(({ status, json, body, as }) => ({
    statuses: Array.isArray(status) ? status : [status],
    json: json === undefined ? null : compileJsonPath(json),
    body: body ?? null,
    as,
  }))
}

/** Throws `config` for a text that is no JSONPath. */
export function compileJsonPath(text: string): JsonPath {
  const parsed = parseJsonPath(text)
  if (parsed.kind === 'path') return parsed.path
  throw new SluiceError(
    'config',
    `the JSONPath ${text} is wrong at column ${parsed.column}: ${parsed.message}`,
  )
}

/** What the rules make of an answer. */
export function meaningOf(rules: readonly AnswerRule[], status: number, body: AnswerBody): AnswerMeaning {
  for (const rule of rules) {
    if (!rule.statuses.some(wanted => hasStatus(wanted, status))) continue
    const text = containsText(rule.body, body)
    const json = findsValue(rule.json, body)
    if (text === 'no' || json === 'no') continue
    if (text === 'yes' && json === 'yes') return { kind: 'rule', as: rule.as }
    return { kind: 'untold', why: body.cut ?? (body.json.kind === 'untold' ? body.json.why : '') }
  }
  return { kind: 'default' }
}

function hasStatus(wanted: AnswerStatus, status: number): boolean {
  return typeof wanted === 'number' ? wanted === status : wanted[0] === String(status)[0]
}

function containsText(wanted: string | null, body: AnswerBody): 'yes' | 'no' | 'untold' {
  if (wanted === null || body.text.includes(wanted)) return 'yes'
  return body.cut === null ? 'no' : 'untold'
}

function findsValue(path: JsonPath | null, body: AnswerBody): 'yes' | 'no' | 'untold' {
  if (path === null) return 'yes'
  const { json } = body
  if (json.kind !== 'json') return json.kind === 'none' ? 'no' : 'untold'
  return valuesAt(path, json.value).some(value => value !== null && value !== false) ? 'yes' : 'no'
}
