/**
 * Filters that take an expression, such as `where_exp: 'item', 'item.price > 5'`. It has to be written out,
 * so that it is compiled with its template and data can never become code.
 */
import { TypeGuards } from 'liquidjs'
import type { QuotedToken } from 'liquidjs'
import { checkExpression } from './parse/check-expression.ts'
import { ExpressionTokenizer } from './parse/expression-tokenizer.ts'
import type { Frame } from './frame.ts'
import { grouped, listOf } from '../filters/list-filters.ts'
import { isTruthy } from './operators.ts'
import type { Getter, Scope } from './scope.ts'
import { TemplateFault } from './template-fault.ts'
import type { FilterCall, Filtered } from './parse/template-syntax.ts'

type Test = (item: unknown, frame: Frame) => unknown

/**
 * The item's name and the expression of a call. Throws a `TemplateFault` if they are not written out, or
 * wrong.
 */
export function expressionOf(call: FilterCall): { itemName: string; expression: Filtered } {
  const [name, text] = call.args
  const writtenOut = name !== undefined && text !== undefined && !Array.isArray(name) && !Array.isArray(text)
  if (!writtenOut || !TypeGuards.isQuotedToken(name) || !TypeGuards.isQuotedToken(text))
    throw new TemplateFault(
      `"${call.name}" takes the name of the item and an expression, both in quotes: ${call.name}: 'item', 'item.price > 5'`,
      call.begin,
    )
  try {
    const tokenizer = tokenizerOf(text)
    const expression = tokenizer.readFilteredValue()
    checkExpression(expression, tokenizer)
    return { itemName: name.content, expression }
  } catch (error) {
    const message = error instanceof Error ? error.message.replace(/, line:\d+, col:\d+$/, '') : String(error)
    throw new TemplateFault(`in the expression of "${call.name}": ${message}`, text.begin)
  }
}

/** Reads the expression where it stands, so that places in it are places in the template. */
function tokenizerOf(text: QuotedToken): ExpressionTokenizer {
  // An escape is no part of the expression. With one, places are counted in the expression itself.
  if (text.getText().includes('\\')) return new ExpressionTokenizer(text.content)
  return new ExpressionTokenizer(text.input, [text.begin + 1, text.end - 1])
}

export function compileExpressionFilter(
  call: FilterCall,
  input: Getter,
  scope: Scope,
  compile: (value: Filtered, scope: Scope) => Getter,
): Getter {
  const { itemName, expression } = expressionOf(call)
  const slot = scope.slots.add()
  const getter = compile(expression, scope.inside(new Map([[itemName, slot]])))
  const test: Test = (item, frame) => {
    frame.step(1)
    frame.slots[slot] = item
    return getter(frame)
  }
  const select = SELECTIONS[call.name]
  if (select === undefined) throw new Error(`there is no filter ${call.name}`)
  return frame => select(listOf(input(frame)), test, frame)
}

type Selection = (items: readonly unknown[], test: Test, frame: Frame) => unknown

const SELECTIONS: { readonly [name: string]: Selection } = {
  where_exp: (items, test, frame) => items.filter(item => isTruthy(test(item, frame))),
  reject_exp: (items, test, frame) => items.filter(item => !isTruthy(test(item, frame))),
  has_exp: (items, test, frame) => items.some(item => isTruthy(test(item, frame))),
  find_exp: (items, test, frame) => items.find(item => isTruthy(test(item, frame))),
  find_index_exp: (items, test, frame) => {
    const index = items.findIndex(item => isTruthy(test(item, frame)))
    return index < 0 ? undefined : index
  },
  group_by_exp: (items, test, frame) => grouped(items, item => test(item, frame), frame),
}
