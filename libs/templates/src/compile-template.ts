/**
 * Turns a parsed template into functions, once per trigger: what is rendered is compiled, never looked up. A
 * text's kind of escaping is given from outside; inside `{% capture %}` it applies too, and what was captured
 * is not escaped again.
 */
import { compileFiltered, compileValue, isRaw } from './compile-expression.ts'
import type { Frame } from './frame.ts'
import { Loop } from './loop.ts'
import { areEqual, isTruthy } from './operators.ts'
import { plainValue } from './plain-value.ts'
import { EscapedText, Printable, printValue } from './print-value.ts'
import { Scope, Slots, slotValue } from './scope.ts'
import type { Getter, Sees } from './scope.ts'
import { TemplateFault } from './template-fault.ts'
import type { Branch, LoopOptions, ParsedTemplate, TemplateNode } from './template-syntax.ts'

/**
 * How the output of `{{ }}` gets into its place. Both may throw a `TemplateFault` for what has no place
 * there.
 */
export interface Escaping {
  escape(text: string): string
  /** For output with `| raw`. */
  raw(text: string): string
}

export interface CompileOptions extends Sees {
  /** Null for text that is printed as it is. */
  readonly escaping: Escaping | null
}

export interface CompiledTemplate {
  /** The text, where it is the same for all rows. */
  readonly constant: string | null
  /** Renders with what the frame has; throws a `TemplateFault`, or whatever a filter throws. */
  run(frame: Frame): string
}

type Run = (frame: Frame) => void

export function compileTemplate(parsed: ParsedTemplate, options: CompileOptions): CompiledTemplate {
  const constant = constantOf(parsed.nodes)
  if (constant !== null) return { constant, run: () => constant }
  const slots = new Slots()
  declareNames(parsed.nodes, slots)
  const compiler = new TemplateCompiler(options.escaping)
  const run = compiler.sequence(parsed.nodes, new Scope(slots, options))
  return {
    constant: null,
    run: frame => {
      frame.begin(slots.fresh())
      run(frame)
      return frame.out
    },
  }
}

function constantOf(nodes: readonly TemplateNode[]): string | null {
  let text = ''
  for (const node of nodes) {
    if (node.kind !== 'text') return null
    text += node.text
  }
  return text
}

/** Gives a slot to each name that is assigned anywhere, so that every read of it knows the slot. */
function declareNames(nodes: readonly TemplateNode[], slots: Slots): void {
  for (const node of nodes) {
    if (node.kind === 'assign' || node.kind === 'capture') slots.assigned(node.name)
    if (node.kind === 'counter') slots.counter(node.name)
    for (const body of bodiesOf(node)) declareNames(body, slots)
  }
}

/** The sequences of nodes inside a node. */
export function bodiesOf(node: TemplateNode): readonly (readonly TemplateNode[])[] {
  switch (node.kind) {
    case 'capture':
    case 'tablerow':
      return [node.body]
    case 'for':
      return [node.body, node.otherwise]
    case 'if':
    case 'case':
      return [...node.branches.map(branch => branch.body), node.otherwise]
    default:
      return []
  }
}

class TemplateCompiler {
  readonly #escaping: Escaping | null

  constructor(escaping: Escaping | null) {
    this.#escaping = escaping
  }

  sequence(nodes: readonly TemplateNode[], scope: Scope): Run {
    const runs = nodes.map(node => this.#node(node, scope))
    const [only] = runs
    if (only !== undefined && runs.length === 1) return only
    return frame => {
      for (const run of runs) {
        run(frame)
        if (frame.jump !== 'none') return
      }
    }
  }

  #node(node: TemplateNode, scope: Scope): Run {
    switch (node.kind) {
      case 'text': {
        const { text } = node
        return frame => {
          frame.out += text
        }
      }
      case 'output':
        return this.#output(node, scope)
      case 'assign':
        return this.#assign(node, scope)
      case 'capture':
        return this.#capture(node, scope)
      case 'if':
        return this.#if(node, scope)
      case 'case':
        return this.#case(node, scope)
      case 'for':
        return this.#for(node, scope)
      case 'tablerow':
        return this.#tablerow(node, scope)
      case 'cycle':
        return this.#cycle(node, scope)
      case 'counter':
        return this.#counter(node, scope)
      case 'jump':
        return frame => {
          frame.jump = node.to
        }
    }
  }

  #output(node: TemplateNode & { kind: 'output' }, scope: Scope): Run {
    const getter = compileFiltered(node.value, scope)
    const write = this.#writer(isRaw(node.value))
    const { at } = node
    return frame => {
      frame.at = at
      write(getter(frame), frame)
    }
  }

  #writer(raw: boolean): (value: unknown, frame: Frame) => void {
    const escaping = this.#escaping
    if (escaping === null)
      return (value, frame) => {
        frame.out += typeof value === 'string' ? value : printValue(value, frame)
      }
    const escape = raw ? escaping.raw.bind(escaping) : escaping.escape.bind(escaping)
    return (value, frame) => {
      if (value instanceof EscapedText && !raw) frame.out += value.text
      else frame.out += escape(printValue(value, frame))
    }
  }

  #assign(node: TemplateNode & { kind: 'assign' }, scope: Scope): Run {
    const getter = compileFiltered(node.value, scope)
    const slot = scope.slots.assigned(node.name)
    const { at } = node
    return frame => {
      frame.at = at
      frame.slots[slot] = getter(frame)
    }
  }

  #capture(node: TemplateNode & { kind: 'capture' }, scope: Scope): Run {
    const body = this.sequence(node.body, scope)
    const slot = scope.slots.assigned(node.name)
    const escaped = this.#escaping !== null
    return frame => {
      const before = frame.out
      frame.out = ''
      body(frame)
      frame.charge(frame.out.length)
      frame.slots[slot] = escaped ? new EscapedText(frame.out) : frame.out
      frame.out = before
    }
  }

  #if(node: TemplateNode & { kind: 'if' }, scope: Scope): Run {
    const branches = node.branches.map(branch => ({
      applies: compileCondition(branch, scope),
      run: this.sequence(branch.body, scope),
    }))
    const otherwise = this.sequence(node.otherwise, scope)
    const { at } = node
    return frame => {
      for (const { applies, run } of branches) {
        frame.at = at
        if (applies(frame)) {
          run(frame)
          return
        }
      }
      otherwise(frame)
    }
  }

  #case(node: TemplateNode & { kind: 'case' }, scope: Scope): Run {
    const getter = compileFiltered(node.value, scope, true)
    const branches = node.branches.map(branch => ({
      values: branch.values.map(value => compileValue(value, scope, true)),
      run: this.sequence(branch.body, scope),
    }))
    const otherwise = this.sequence(node.otherwise, scope)
    const { at } = node
    return frame => {
      frame.at = at
      const value = getter(frame)
      const branch = branches.find(({ values }) => values.some(each => areEqual(value, each(frame), frame)))
      const run = branch?.run ?? otherwise
      run(frame)
    }
  }

  #for(node: TemplateNode & { kind: 'for' }, scope: Scope): Run {
    const items = compileItems(node, scope)
    const variable = scope.slots.add()
    const loopSlot = scope.slots.add()
    const names = new Map([
      [node.variable, variable],
      ['forloop', loopSlot],
    ])
    const body = this.sequence(node.body, scope.inside(names))
    const otherwise = this.sequence(node.otherwise, scope)
    const steps = stepsOf(node.body)
    return frame => {
      const list = items(frame)
      if (list.length === 0) {
        otherwise(frame)
        return
      }
      const loop = new Loop(list.length)
      frame.slots[loopSlot] = loop
      for (const item of list) {
        frame.step(steps)
        frame.slots[variable] = item
        body(frame)
        loop.index0 += 1
        if (frame.jump === 'none') continue
        const leave = frame.jump === 'break'
        frame.jump = 'none'
        if (leave) break
      }
    }
  }

  #tablerow(node: TemplateNode & { kind: 'tablerow' }, scope: Scope): Run {
    const items = compileItems(node, scope)
    const width = node.columns === null ? null : compileValue(node.columns, scope)
    const variable = scope.slots.add()
    const loopSlot = scope.slots.add()
    const names = new Map([
      [node.variable, variable],
      ['tablerowloop', loopSlot],
    ])
    const body = this.sequence(node.body, scope.inside(names))
    const steps = stepsOf(node.body)
    return frame => {
      const list = items(frame)
      const columns = Math.max(1, (width === null ? 0 : numberOf(width(frame))) || list.length)
      const loop = new Loop(list.length, columns)
      frame.slots[loopSlot] = loop
      for (const item of list) {
        frame.step(steps)
        frame.slots[variable] = item
        const row = Math.floor(loop.index0 / columns) + 1
        const column = (loop.index0 % columns) + 1
        if (column === 1) frame.out += `${row === 1 ? '' : '</tr>'}<tr class="row${row}">`
        frame.out += `<td class="col${column}">`
        body(frame)
        frame.out += '</td>'
        loop.index0 += 1
        const leave = frame.jump === 'break'
        frame.jump = 'none'
        if (leave) break
      }
      if (list.length > 0) frame.out += '</tr>'
    }
  }

  #cycle(node: TemplateNode & { kind: 'cycle' }, scope: Scope): Run {
    const group = node.group === null ? null : compileValue(node.group, scope)
    const choices = node.values.map(value => ({
      getter: compileFiltered(value, scope),
      write: this.#writer(isRaw(value)),
    }))
    const { at, signature } = node
    return frame => {
      frame.at = at
      const name = group === null ? '' : printValue(group(frame), frame)
      frame.charge(name.length)
      const key = `cycle:${name}:${signature}`
      const position = frame.positions.get(key) ?? 0
      frame.positions.set(key, (position + 1) % choices.length)
      const choice = choices[position]
      choice?.write(choice.getter(frame), frame)
    }
  }

  #counter(node: TemplateNode & { kind: 'counter' }, scope: Scope): Run {
    const slot = scope.slots.counter(node.name)
    const { step } = node
    return frame => {
      const before = numberOf(slotValue(frame, slot))
      frame.slots[slot] = before + step
      // Liquid prints the value before counting up, and after counting down.
      frame.out += String(step > 0 ? before : before + step)
    }
  }
}

function compileCondition(branch: Branch, scope: Scope): (frame: Frame) => boolean {
  const getter = compileFiltered(branch.condition, scope, true)
  return branch.negated ? frame => !isTruthy(getter(frame)) : frame => isTruthy(getter(frame))
}

/** The items that a loop goes through, its options applied. */
function compileItems(
  node: TemplateNode & { kind: 'for' | 'tablerow' },
  scope: Scope,
): (frame: Frame) => readonly unknown[] {
  const collection = compileValue(node.collection, scope, true)
  const { at } = node
  const select = compileLoopOptions(node.options, `${node.variable}-${node.collection.getText()}`, scope)
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
    const from = skip === null ? 0 : numberOf(skip(frame))
    const to = take === null ? items.length : from + numberOf(take(frame))
    const selected = from === 0 && to >= items.length ? items : items.slice(from, to)
    frame.positions.set(key, from + selected.length)
    if (!reversed) return selected
    frame.charge(selected.length)
    return selected.toReversed()
  }
}

function numberOf(value: unknown): number {
  const number = Math.trunc(Number(plainValue(value)))
  return Number.isNaN(number) ? 0 : number
}

/** A list as it is, text as one item, a map as pairs of name and value. */
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

/** How much work one pass through the nodes is, loops inside left out: they count themselves. */
function stepsOf(nodes: readonly TemplateNode[]): number {
  let steps = 1
  for (const node of nodes) {
    steps += 1
    if (node.kind === 'for' || node.kind === 'tablerow') continue
    for (const body of bodiesOf(node)) steps += stepsOf(body)
  }
  return steps
}
