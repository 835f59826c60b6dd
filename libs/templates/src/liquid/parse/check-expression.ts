/**
 * Finds mistakes that liquidjs's tokenizer lets pass: two values with nothing between them, text behind an
 * expression, unknown filters.
 */
import { nearestHint } from '@sluice/domain/nearest-name'
import { TypeGuards, type Tokenizer } from 'liquidjs'
import { checkArguments } from '../../filters/filter-signatures.ts'
import { FILTER_NAMES, REFUSED_FILTERS } from '../../filters/filters.ts'
import { TemplateFault } from '../template-fault.ts'
import type { FilterCall, Filtered } from './template-syntax.ts'

/**
 * Throws a `TemplateFault` for an incomplete expression. If a tokenizer is given, also throws if text is left
 * behind the expression.
 */
export function checkExpression(value: Filtered, tokenizer: Tokenizer | null): void {
  checkOperands(value)
  for (const filter of value.filters) checkFilter(filter)
  if (tokenizer !== null) checkEnd(tokenizer)
}

/** Throws a `TemplateFault` if something is left to read. */
export function checkEnd(tokenizer: Tokenizer): void {
  tokenizer.skipBlank()
  if (!tokenizer.end()) throw new TemplateFault(`unexpected ${excerpt(tokenizer.remaining())}`, tokenizer.p)
}

export function excerpt(text: string): string {
  const plain = text.trim()
  return JSON.stringify(plain.length > 32 ? `${plain.slice(0, 29)}...` : plain)
}

function checkOperands(value: Filtered): void {
  let depth = 0
  for (const token of value.initial.postfix) {
    if (TypeGuards.isOperatorToken(token)) {
      const operands = token.operator === 'not' ? 1 : 2
      if (depth < operands) throw new TemplateFault(`"${token.operator}" lacks a value`, token.begin)
      depth -= operands - 1
    } else {
      depth += 1
    }
  }
  const last = value.initial.postfix.at(-1)
  if (depth !== 1)
    throw new TemplateFault(
      `two values without an operator between them in ${excerpt(value.getText())}`,
      last?.begin ?? value.begin,
    )
}

function checkFilter(filter: FilterCall): void {
  const reason = REFUSED_FILTERS.get(filter.name)
  if (reason !== undefined)
    throw new TemplateFault(`the filter "${filter.name}" is not available: ${reason}`, filter.begin)
  if (!FILTER_NAMES.has(filter.name)) {
    const hint = nearestHint(filter.name, FILTER_NAMES)
    throw new TemplateFault(`unknown filter "${filter.name}"${hint}`, filter.begin)
  }
  checkArguments(filter)
}
