/** The meaning of an answer by the sync's own rules (`errors.answers`). The first rule that fits decides. */
import { SluiceError } from '@sluice/contracts/errors'
import type { AnswerRuleSpec, AnswerStatus } from '@sluice/contracts/specs/answer-specs'
import type { AnswerBody } from './answer-body.ts'
import { firstAt, parseJsonPath, type JsonPath } from './json-path.ts'

export interface AnswerRule {
  readonly statuses: readonly AnswerStatus[]
  /** The rule fits only if this path finds a value other than null and false. */
  readonly json: JsonPath | null
  /** The rule fits only if the body contains this text. */
  readonly body: string | null
  readonly as: AnswerRuleSpec['as']
  /** The path to the reason. */
  readonly error: JsonPath | null
  /** True: another attempt in the same run would get the same answer. */
  readonly waitsForNextRun: boolean
}

export type AnswerMeaning =
  | { readonly kind: 'rule'; readonly rule: AnswerRule }
  /** No rule fits. */
  | { readonly kind: 'default' }
  /** A rule may fit, but the body could not be read. So the meaning is unknown. */
  | { readonly kind: 'unclear'; readonly why: string }

/** Throws `config` for a wrong JSONPath. A checked project has none. */
export function compileAnswerRules(specs: readonly AnswerRuleSpec[]): readonly AnswerRule[] {
  return specs.map(({ status, json, body, as, error, retry }) => ({
    statuses: Array.isArray(status) ? status : [status],
    json: json === undefined ? null : compileJsonPath(json),
    body: body ?? null,
    as,
    error: error === undefined ? null : compileJsonPath(error),
    waitsForNextRun: retry === 'next-run',
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

/** Returns the meaning of an answer by the rules. */
export function meaningOf(rules: readonly AnswerRule[], status: number, body: AnswerBody): AnswerMeaning {
  for (const rule of rules) {
    if (!rule.statuses.some(wanted => hasStatus(wanted, status))) continue
    const text = containsText(rule.body, body)
    const json = findsValue(rule.json, body)
    if (text === 'no' || json === 'no') continue
    if (text === 'yes' && json === 'yes') return { kind: 'rule', rule }
    return { kind: 'unclear', why: body.cut ?? (body.json.kind === 'unclear' ? body.json.why : '') }
  }
  return { kind: 'default' }
}

function hasStatus(wanted: AnswerStatus, status: number): boolean {
  return typeof wanted === 'number' ? wanted === status : wanted[0] === String(status)[0]
}

function containsText(wanted: string | null, body: AnswerBody): 'yes' | 'no' | 'unclear' {
  if (wanted === null || body.text.includes(wanted)) return 'yes'
  return body.cut === null ? 'no' : 'unclear'
}

function findsValue(path: JsonPath | null, body: AnswerBody): 'yes' | 'no' | 'unclear' {
  if (path === null) return 'yes'
  const { json } = body
  if (json.kind !== 'json') return json.kind === 'none' ? 'no' : 'unclear'
  return isThere(firstAt(path, json.value, isThere)) ? 'yes' : 'no'
}

/** True for a value with which a rule fits. */
export function isThere(value: unknown): boolean {
  return value !== null && value !== undefined && value !== false
}

/** Returns the reason that an answer gives at a path; null if there is none. */
export function reasonAt(path: JsonPath | null, body: AnswerBody): string | null {
  if (path === null || body.json.kind !== 'json') return null
  return textOfReason(firstAt(path, body.json.value, () => true))
}

/**
 * Returns a text as it is, and anything else as JSON. Null for a missing value, or one that is nested too
 * deep.
 */
export function textOfReason(value: unknown): string | null {
  if (value === undefined || value === null) return null
  return typeof value === 'string' ? value : jsonOf(value)
}

/** Returns the value as JSON; null if it is nested too deep to be written. */
export function jsonOf(value: unknown): string | null {
  try {
    return JSON.stringify(value)
  } catch {
    return null
  }
}
