import { compileValue } from './compile-expression.ts'
import { isExact } from '../values/exact-numbers.ts'
import type { Frame } from './frame.ts'
import { kindOf } from '../values/printable.ts'
import { plainValue } from '../values/plain-value.ts'
import { Printable } from '../values/print-value.ts'
import type { Getter, Scope } from './scope.ts'
import { TemplateFault } from './template-fault.ts'
import type { LoopOptions, TemplateNode } from './parse/template-syntax.ts'

/** Compiles the collection of a loop and its options into the items that the loop goes through. */
export function compileItems(
  node: TemplateNode & { kind: 'for' | 'tablerow' },
  scope: Scope,
): (frame: Frame) => readonly unknown[] {
  const collection = compileValue(node.collection, scope, true)
  const { at } = node
  const select = compileLoopOptions(node.options, loopName(node), scope)
  return frame => {
    frame.at = at
    const items = itemsOf(collection(frame), frame)
    return select === null ? items : select(items, frame)
  }
}

function compileLoopOptions(
  options: LoopOptions,
  signature: string,
  scope: Scope,
): ((items: readonly unknown[], frame: Frame) => readonly unknown[]) | null {
  const { offset, limit, reversed } = options
  const key = `for:${signature}`
  const skip: Getter | null =
    offset === null
      ? null
      : offset === 'continue'
        ? frame => frame.positions.get(key) ?? 0
        : compileValue(offset, scope)
  const take = limit === null ? null : compileValue(limit, scope)
  return (items, frame) => {
    const from = skip === null ? 0 : (wholeOf(skip(frame), 'offset') ?? 0)
    const most = take === null ? null : wholeOf(take(frame), 'limit')
    const to = most === null ? items.length : from + most
    const selected = from === 0 && to >= items.length ? items : items.slice(from, to)
    frame.positions.set(key, from + selected.length)
    if (!reversed) return selected
    frame.charge(selected.length)
    return selected.toReversed()
  }
}

/** Returns Shopify's name of a loop, such as `item-list`. */
export function loopName(node: TemplateNode & { kind: 'for' | 'tablerow' }): string {
  return `${node.variable}-${node.collection.getText()}`
}

/**
 * Reads a whole number of a loop's option; null if the option is null. Throws a `TemplateFault` otherwise.
 */
export function wholeOf(value: unknown, option: string): number | null {
  const plain = plainValue(value)
  if (plain === null || plain === undefined) return null
  const isNumber = typeof plain === 'number' || isExact(plain) || typeof plain === 'string'
  const number = isNumber && String(plain).trim() !== '' ? Math.trunc(Number(plain)) : Number.NaN
  if (Number.isSafeInteger(number)) return number
  throw new TemplateFault(`the ${option} of a loop has to be a whole number, found ${kindOf(plain)}`)
}

/** Returns the items of a list, a text as one item, or the pairs of name and value of a map. */
function itemsOf(value: unknown, frame: Frame): readonly unknown[] {
  const plain = plainValue(value)
  if (Array.isArray(plain)) return plain
  if (typeof plain === 'string') return plain === '' ? [] : [plain]
  if (plain instanceof Printable) return itemsOf(plain.printed(), frame)
  if (plain instanceof Uint8Array)
    throw new TemplateFault('a loop goes through lists and maps, not through bytes')
  if (typeof plain !== 'object' || plain === null) return []
  const entries = Object.entries(plain)
  frame.charge(entries.length)
  return entries
}
