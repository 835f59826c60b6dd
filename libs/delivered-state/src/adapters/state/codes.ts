/**
 * The numbers by which the state file names kinds, ops and outcomes: the index in these lists. Their order is
 * part of the file's format.
 */
import type { KeyStateKind, Op, Outcome } from '@sluice/contracts/state'

export const KINDS = [
  'absent',
  'present',
  'content-uncertain',
  'existence-uncertain',
] as const satisfies KeyStateKind[]
export const CHANGE_OPS = ['settled', 'removed', 'changed', 'added'] as const satisfies (Op | 'settled')[]
export const OUTCOMES = [
  'delivered',
  'rejected',
  'unknown',
  'unsent',
  'exists',
  'missing',
] as const satisfies Outcome[]

export const ABSENT = KINDS.indexOf('absent')
export const PRESENT = KINDS.indexOf('present')
export const CONTENT_UNCERTAIN = KINDS.indexOf('content-uncertain')
export const EXISTENCE_UNCERTAIN = KINDS.indexOf('existence-uncertain')

export const SETTLED = CHANGE_OPS.indexOf('settled')
export const REMOVED = CHANGE_OPS.indexOf('removed')
export const CHANGED = CHANGE_OPS.indexOf('changed')
export const ADDED = CHANGE_OPS.indexOf('added')

export const DELIVERED = OUTCOMES.indexOf('delivered')
export const UNKNOWN = OUTCOMES.indexOf('unknown')
export const EXISTS = OUTCOMES.indexOf('exists')
export const MISSING = OUTCOMES.indexOf('missing')
