/** Compiles expressions into functions, once per template. */
import { TypeGuards, type Token, type QuotedToken } from 'liquidjs'
import { Decimal } from '@sluice/contracts/values'
import { NamedArgument } from '../filters/filter-signatures.ts'
import { EXPRESSION_FILTERS, filterOf } from '../filters/filters.ts'
import { plainValue } from '../values/plain-value.ts'
import { WrittenDecimal } from '../values/exact-numbers.ts'
import { grouped, listOf } from '../filters/list-filters.ts'
import type { Frame } from './frame.ts'
import { Emptiness, isMap, OPERATORS, isTruthy } from './operators.ts'
import { propertyReader, readProperty } from './read-property.ts'
import type { Getter, Scope } from './scope.ts'
import { marked, markedText, unmarked, WrittenText } from './written-text.ts'
import {
  writtenName,
  type FilterArgument,
  type FilterCall,
  type Filtered,
  type PropertyAccessToken,
  type RangeToken,
} from './parse/template-syntax.ts'
import { checkExpression } from './parse/check-expression.ts'
import { ExpressionTokenizer } from './parse/expression-tokenizer.ts'
import { TemplateFault } from './template-fault.ts'

type Test = (item: unknown, frame: Frame) => unknown

/**
 * Returns the item's name and the expression of a filter such as `where_exp: 'item', 'item.price > 5'`. Both
 * have to be literals, so that data never becomes code. Throws a `TemplateFault` if they are not, or are
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

/**
 * Returns a tokenizer of the template's own text, so that mistakes in the expression have their place in the
 * template.
 */
function tokenizerOf(text: QuotedToken): ExpressionTokenizer {
  // With escapes, the text in the template differs from the expression. Then places are places in the
  // expression.
  if (text.getText().includes('\\')) return new ExpressionTokenizer(text.content)
  return new ExpressionTokenizer(text.input, [text.begin + 1, text.end - 1])
}

function compileExpressionFilter(
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

/**
 * Compiles an expression with its filters. If `lenient`, as in conditions, a value that was never captured is
 * null instead of a fault. A `default` right behind the value has the same effect.
 */
export function compileFiltered(value: Filtered, scope: Scope, lenient = false): Getter {
  const forgiving = lenient || value.filters[0]?.name === 'default'
  let getter = compileOperands(value.initial.postfix, scope, forgiving)
  for (const filter of value.filters) getter = compileFilter(filter, getter, scope)
  return getter
}

/** Filters that search a text for their first argument. */
const SEEKS: ReadonlySet<string> = new Set([
  ...['replace', 'replace_first', 'replace_last', 'remove', 'remove_first', 'remove_last', 'split'],
])
/** Filters that make a text and keep each character of their input. */
const KEEPS_CHARACTERS: ReadonlySet<string> = new Set([
  ...SEEKS,
  ...['append', 'prepend', 'join', 'strip', 'lstrip', 'rstrip', 'strip_newlines', 'squish'],
  ...['upcase', 'downcase', 'capitalize', 'truncate', 'array_to_sentence_string'],
])
/** Filters that pass values on unchanged, except maps. */
const KEEPS_VALUES: ReadonlySet<string> = new Set([
  ...['default', 'first', 'last', 'slice', 'reverse', 'concat', 'compact', 'uniq', 'push', 'unshift'],
])

/**
 * True if the expression has a literal with a quote or a backslash, or an assigned name, whose value may have
 * one.
 */
export function mayWriteQuotes({ initial, filters }: Filtered, { slots }: Scope): boolean {
  const may = (token: Token): boolean => {
    if (TypeGuards.isQuotedToken(token)) return /["\\]/.test(token.content)
    if (!TypeGuards.isPropertyAccessToken(token) || token.props[0] === undefined) return false
    return slots.assignedNames.has(String(writtenName(token.props[0])))
  }
  const operands = filters.flatMap(({ args }) =>
    args.flatMap(argument => (Array.isArray(argument) ? (argument[1] ?? []) : argument)),
  )
  return [...initial.postfix, ...operands].some(may)
}

/**
 * Compiles an expression for which `mayWriteQuotes` is true. A text becomes a `WrittenText`, in which
 * characters of rows are marked and those of the template are not.
 */
export function compileWritten(value: Filtered, scope: Scope): Getter {
  const { postfix } = value.initial
  const isLiteral = postfix.length === 1 && postfix[0] !== undefined && TypeGuards.isQuotedToken(postfix[0])
  const initial = compileOperands(postfix, scope, value.filters[0]?.name === 'default')
  let getter: Getter = isLiteral ? initial : frame => marked(initial(frame), frame)
  for (const filter of value.filters) getter = compileMarkedFilter(filter, getter, scope)
  return frame => {
    const found = getter(frame)
    return typeof found === 'string' ? new WrittenText(found) : unmarked(found, frame)
  }
}

function compileMarkedFilter(call: FilterCall, input: Getter, scope: Scope): Getter {
  const { name, args } = call
  const makesText = KEEPS_CHARACTERS.has(name)
  const plain = compileFilter(call, frame => unmarked(input(frame), frame), scope)
  if (!makesText && !KEEPS_VALUES.has(name)) return frame => marked(plain(frame), frame)
  const filter = filterOf(name)
  const text = (value: unknown, frame: Frame): unknown => (makesText ? markedText(value, frame) : value)
  const getters = args.map((argument, place): Getter => {
    const getter = compileArgument(argument, scope)
    const isSought = place === 0 && SEEKS.has(name)
    return isConstant(argument) && !isSought ? getter : frame => text(marked(getter(frame), frame), frame)
  })
  return frame => {
    const value = input(frame)
    if (!makesText && isMap(value)) return marked(plain(frame), frame)
    return filter(
      text(value, frame),
      getters.map(getter => getter(frame)),
      frame,
    )
  }
}

/** True if the last filter is `raw`, so that the value is printed without escapes. */
export function isRaw(value: Filtered): boolean {
  return value.filters.at(-1)?.name === 'raw'
}

function compileOperands(postfix: readonly Token[], scope: Scope, lenient: boolean): Getter {
  const stack: Getter[] = []
  for (const token of postfix) {
    if (!TypeGuards.isOperatorToken(token)) {
      // A compared number is not printed. If JavaScript holds it exactly, comparing is faster.
      const isNumber = postfix.length > 1 && TypeGuards.isNumberToken(token)
      stack.push(isNumber ? constant(comparedNumber(token.getText())) : compileValue(token, scope, lenient))
      continue
    }
    const right = stack.pop()
    const left = token.operator === 'not' ? undefined : stack.pop()
    if (right !== undefined) stack.push(compileOperator(token.operator, left, right))
  }
  return stack[0] ?? (() => undefined)
}

function compileOperator(name: string, left: Getter | undefined, right: Getter): Getter {
  if (left === undefined) return frame => !isTruthy(right(frame))
  if (name === 'and') return frame => isTruthy(left(frame)) && isTruthy(right(frame))
  if (name === 'or') return frame => isTruthy(left(frame)) || isTruthy(right(frame))
  const operator = OPERATORS.get(name)
  if (operator === undefined) throw new Error(`there is no operator ${name}`)
  return frame => operator(left(frame), right(frame), frame)
}

const LITERALS: { readonly [name: string]: unknown } = {
  true: true,
  false: false,
  nil: null,
  null: null,
  empty: new Emptiness('empty'),
  blank: new Emptiness('blank'),
}

function constant(value: unknown): Getter {
  return () => value
}

/** Compiles one operand. */
export function compileValue(token: Token, scope: Scope, lenient = false): Getter {
  if (TypeGuards.isQuotedToken(token)) return constant(token.content)
  if (TypeGuards.isNumberToken(token)) return constant(printedNumber(token.getText()))
  if (TypeGuards.isLiteralToken(token)) return constant(LITERALS[token.getText()])
  if (TypeGuards.isPropertyAccessToken(token)) return compileAccess(token, scope, lenient)
  if (TypeGuards.isRangeToken(token)) return compileRange(token, scope)
  if (TypeGuards.isFilteredValueToken(token)) return compileFiltered(token, scope, lenient)
  throw new Error(`an operand of kind ${token.kind} is not known`)
}

type Property = PropertyAccessToken['props'][number]

function compileAccess(token: PropertyAccessToken, scope: Scope, lenient: boolean): Getter {
  const [root, ...rest] = token.props
  let getter: Getter
  let properties: readonly Property[] = rest
  if (token.variable !== undefined) {
    getter = compileValue(token.variable, scope, lenient)
    properties = token.props
  } else if (root === undefined) {
    return () => undefined
  } else {
    getter = compileRoot(root, scope, lenient)
  }
  for (const property of properties) getter = compileProperty(getter, property, scope, lenient)
  return getter
}

function compileRoot(root: Property, scope: Scope, lenient: boolean): Getter {
  const name = writtenName(root)
  if (name !== undefined) return scope.resolve(String(name))
  const getName = compileValue(root, scope, lenient)
  const resolve = scope.resolveLater()
  return frame => {
    const found = getName(frame)
    return typeof found === 'string' || typeof found === 'number' ? resolve(String(found), frame) : undefined
  }
}

function compileProperty(getter: Getter, property: Property, scope: Scope, lenient: boolean): Getter {
  const name = writtenName(property)
  if (typeof name === 'string') {
    const read = propertyReader(name, lenient)
    return frame => read(getter(frame), frame)
  }
  const getKey: Getter = name === undefined ? compileValue(property, scope, lenient) : () => name
  return frame => readProperty(getter(frame), getKey(frame), { lenient, frame })
}

function compileRange(token: RangeToken, scope: Scope): Getter {
  const from = compileValue(token.lhs, scope)
  const to = compileValue(token.rhs, scope)
  return frame => {
    const first = endOfRange(from(frame))
    const last = endOfRange(to(frame))
    const length = Math.max(0, last - first + 1)
    frame.charge(length)
    return Array.from({ length }, (_, index) => first + index)
  }
}

/** A value that is no number counts as 0, and a fraction is cut off, as Shopify does. */
function endOfRange(value: unknown): number {
  const number = Math.trunc(Number(plainValue(value)))
  return Number.isFinite(number) ? number : 0
}

function compileFilter(call: FilterCall, input: Getter, scope: Scope): Getter {
  if (EXPRESSION_FILTERS.has(call.name)) return compileExpressionFilter(call, input, scope, compileFiltered)
  const filter = filterOf(call.name)
  const getters = call.args.map(argument => compileArgument(argument, scope))
  if (call.args.every(isConstant)) return compileConstantFilter(filter, input, getters)
  return frame => {
    const value = input(frame)
    return filter(
      value,
      getters.map(getter => getter(frame)),
      frame,
    )
  }
}

function compileConstantFilter(
  filter: ReturnType<typeof filterOf>,
  input: Getter,
  getters: readonly Getter[],
): Getter {
  let values: readonly unknown[] | null = null
  return (frame: Frame) => {
    values ??= getters.map(getter => getter(frame))
    return filter(input(frame), values, frame)
  }
}

function isConstant(argument: FilterArgument): boolean {
  return (
    TypeGuards.isQuotedToken(argument) ||
    TypeGuards.isNumberToken(argument) ||
    TypeGuards.isLiteralToken(argument)
  )
}

function compileArgument(argument: FilterArgument, scope: Scope): Getter {
  if (!Array.isArray(argument)) return compileValue(argument, scope)
  const [name = '', token] = argument
  const getter: Getter = token === undefined ? () => undefined : compileValue(token, scope)
  return frame => new NamedArgument(name, getter(frame))
}

/**
 * Reads a literal for printing and calculating. With a point it is a decimal, so that `5.0` prints as it is
 * written and `x | times: 1.19` is exact. Without one it is a number, or a bigint if JavaScript would lose
 * digits.
 */
function printedNumber(text: string): number | bigint | Decimal {
  const plain = text.replace(/^\+/, '')
  if (!plain.includes('.')) return wholeNumber(plain)
  const [whole = '', fraction = ''] = plain.split('.')
  const digits = fraction.replace(/0+$/, '')
  return new WrittenDecimal(`${whole.replace(/^(-?)0+(?=\d)/, '$1')}.${digits === '' ? '0' : digits}`)
}

/** Reads a literal for comparing. It is a JavaScript number, unless that would be another number. */
function comparedNumber(text: string): number | bigint | Decimal {
  const printed = printedNumber(text)
  if (!(printed instanceof Decimal)) return printed
  const number = Number(printed.text)
  const isSame = printedNumber(withPoint(String(number))).toString() === printed.text
  return isSame ? number : printed
}

function withPoint(text: string): string {
  return text.includes('.') ? text : `${text}.0`
}

function wholeNumber(text: string): number | bigint {
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : BigInt(text)
}
