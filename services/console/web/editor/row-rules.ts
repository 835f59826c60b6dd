/** The rules of a sync about the results of single rows, in words. */
import { fieldIn, textIn } from './mapped-values.ts'

/**
 * Says that a rule without a condition takes every item for a row that failed. Undefined for any other rule.
 */
export function takesEveryItem(rule: unknown): string | undefined {
  const as = textIn(rule, 'as')
  const hasCondition = [fieldIn(rule, 'json'), fieldIn(rule, 'body')].some(each => (each ?? '') !== '')
  if (hasCondition || textIn(rule, 'items') === '' || !['rejected', 'unknown'].includes(as)) return undefined
  return `Every item counts as ${as}. If the list has items of delivered rows, too, name what only failed ones have, such as $.error.`
}
