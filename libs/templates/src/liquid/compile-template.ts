/**
 * Compiles a parsed template into functions, once per trigger. Rendering only runs these functions. The
 * caller chooses the escaping. It applies inside `{% capture %}`, too, and captured text is not escaped
 * again.
 */
import { compileFiltered, compileValue, compileWritten, isRaw, mayWriteQuotes } from './compile-expression.ts'
import type { Frame } from './frame.ts'
import { Loop } from './loop.ts'
import { JSON_FILTERS } from '../filters/filters.ts'
import { compileItems, loopName, wholeOf } from './loop-items.ts'
import { areEqual, isTruthy } from './operators.ts'
import { plainValue } from '../values/plain-value.ts'
import { EscapedText, printValue } from '../values/print-value.ts'
import { NameSlots, Scope, slotValue, type Getter, type Sees } from './scope.ts'
import { TemplateFault } from './template-fault.ts'
import {
  WrittenText,
  escapedInQuotes,
  hasEscapes,
  insideAfter,
  marked,
  writtenInQuotes,
} from './written-text.ts'
import type { Branch, Filtered, ParsedTemplate, TemplateNode } from './parse/template-syntax.ts'

/**
 * Fits the output of `{{ }}` into its place, behind the text `before`. Each function may throw a
 * `TemplateFault` for text that does not fit there.
 */
export interface Escaping {
  escape(text: string, before: string): string
  /** For text that a `capture` escaped, perhaps for another place. */
  again(text: string, before: string): string
  /** For output with `| raw`. */
  raw(text: string): string
}

export interface CompileOptions extends Sees {
  /** Null for text that is printed unescaped. */
  readonly escaping: Escaping | null
  /** True for a text that has to be JSON. Texts of rows are then escaped between its quotes. */
  readonly isJson?: boolean
}

export interface CompiledTemplate {
  /** The text, if it is the same for all rows. */
  readonly constant: string | null
  /** Renders with the frame's values. Throws a `TemplateFault`, the error of a filter, or a `SlowRender`. */
  run(frame: Frame): string
}

type Run = (frame: Frame) => void

export function compileTemplate(parsed: ParsedTemplate, options: CompileOptions): CompiledTemplate {
  const constant = constantOf(parsed.nodes)
  if (constant !== null) return { constant, run: () => constant }
  const slots = new NameSlots()
  declareNames(parsed.nodes, slots)
  const compiler = new TemplateCompiler(options)
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

/** Gives each assigned name a slot before any read of the name is compiled. */
function declareNames(nodes: readonly TemplateNode[], slots: NameSlots): void {
  for (const node of nodes) {
    if (node.kind === 'assign' || node.kind === 'capture') slots.assigned(node.name)
    if (node.kind === 'counter') slots.counter(node.name)
    for (const body of bodiesOf(node)) declareNames(body, slots)
  }
}

/** Returns the sequences of nodes inside a node. */
export function bodiesOf(node: TemplateNode): readonly (readonly TemplateNode[])[] {
  switch (node.kind) {
    case 'capture':
    case 'ifchanged':
    case 'tablerow':
      return [node.body]
    case 'for':
      return [node.body, node.otherwise]
    case 'if':
      return [...node.branches.map(branch => branch.body), node.otherwise]
    case 'case':
      return node.branches.map(branch => branch.body)
    default:
      return []
  }
}

const NOTHING: Run = () => undefined

class TemplateCompiler {
  readonly #escaping: Escaping | null
  readonly #isJson: boolean
  /** In JSON, true if quotes are open before the next node; null if that depends on the rows. */
  #inside: boolean | null = false
  #isCapturing = false

  constructor({ escaping, isJson = false }: CompileOptions) {
    this.#escaping = escaping
    this.#isJson = isJson
  }

  /** Compiles nodes that are rendered any number of times in one place. */
  #repeated(nodes: readonly TemplateNode[], scope: Scope): Run {
    return this.#together([nodes], scope)[0] ?? NOTHING
  }

  /**
   * Compiles sequences of which each may be rendered or not. If one of them opens or closes quotes, it is
   * unknown inside of them and behind them whether quotes are open.
   */
  #together(bodies: readonly (readonly TemplateNode[])[], scope: Scope): Run[] {
    const before = this.#inside
    const compiled = bodies.map(body => {
      this.#inside = before
      return { run: this.sequence(body, scope), isSame: body.length === 0 || this.#inside === before }
    })
    this.#inside = before
    if (before === null || compiled.every(({ isSame }) => isSame)) return compiled.map(({ run }) => run)
    this.#inside = null
    return bodies.map(body => this.sequence(body, scope))
  }

  /** Compiles sequences of which exactly one is rendered. All of them may open quotes, or all close them. */
  #alternatives(bodies: readonly (readonly TemplateNode[])[], scope: Scope): Run[] {
    const before = this.#inside
    const ends = new Set<boolean | null>()
    const runs = bodies.map(body => {
      this.#inside = before
      const run = this.sequence(body, scope)
      ends.add(this.#inside)
      return run
    })
    const [end = before] = ends
    this.#inside = ends.size === 1 ? end : null
    return runs
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
        if (this.#isJson && this.#inside !== null) this.#inside = insideAfter(text, this.#inside)
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
      case 'ifchanged':
        return this.#ifChanged(node, scope)
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
    const getter = this.#value(node.value, scope)
    const write = this.#writer(node.value)
    const { at } = node
    return frame => {
      frame.at = at
      write(getter(frame), frame)
    }
  }

  #value(value: Filtered, scope: Scope): Getter {
    const isWritten = this.#isJson && mayWriteQuotes(value, scope)
    return isWritten ? compileWritten(value, scope) : compileFiltered(value, scope)
  }

  #writer(output: Filtered): (value: unknown, frame: Frame) => void {
    const escaping = this.#escaping
    const raw = isRaw(output)
    if (this.#isJson && !raw && (this.#inside !== false || this.#isCapturing)) return this.#jsonWriter(output)
    if (escaping === null)
      return (value, frame) => {
        frame.out += typeof value === 'string' ? value : printValue(value, frame)
      }
    if (raw)
      return (value, frame) => {
        frame.out += escaping.raw(printValue(value, frame))
      }
    return (value, frame) => {
      if (value instanceof EscapedText) frame.out += escaping.again(value.text, frame.out)
      else frame.out += escaping.escape(printValue(value, frame), frame.out)
    }
  }

  /**
   * Writes an output that is between quotes of JSON. An output in a `capture` is written in the same way,
   * since the captured text may be put between quotes later.
   */
  #jsonWriter({ filters }: Filtered): (value: unknown, frame: Frame) => void {
    const isJson = filters.some(({ name }) => JSON_FILTERS.has(name))
    if (this.#inside === false)
      return (value, frame) => {
        frame.out += String(marked(value instanceof WrittenText ? value : printValue(value, frame), frame))
      }
    const isCertain = this.#inside === true
    return (value, frame) => {
      const text = printValue(value, frame)
      if (isCertain)
        frame.out += value instanceof WrittenText ? writtenInQuotes(value) : escapedInQuotes(text, isJson)
      else if (isJson || !hasEscapes(text)) frame.out += text
      else
        throw new TemplateFault(
          'the text has a quotation mark, a backslash or a line break, and only some rows have quotes around it; ' +
            'print it with "| json" and without quotes around it',
        )
    }
  }

  #assign(node: TemplateNode & { kind: 'assign' }, scope: Scope): Run {
    const getter = this.#value(node.value, scope)
    const slot = scope.slots.assigned(node.name)
    const { at } = node
    return frame => {
      frame.at = at
      frame.slots[slot] = getter(frame)
    }
  }

  #capture(node: TemplateNode & { kind: 'capture' }, scope: Scope): Run {
    const [inside, isCapturing] = [this.#inside, this.#isCapturing]
    this.#inside = false
    this.#isCapturing = true
    const body = this.sequence(node.body, scope)
    this.#inside = inside
    this.#isCapturing = isCapturing
    const slot = scope.slots.assigned(node.name)
    const escaped = this.#escaping !== null
    const isJson = this.#isJson
    return frame => {
      const before = frame.out
      frame.out = ''
      body(frame)
      frame.charge(frame.out.length)
      frame.slots[slot] = isJson
        ? new WrittenText(frame.out)
        : escaped
          ? new EscapedText(frame.out)
          : frame.out
      frame.out = before
    }
  }

  #ifChanged(node: TemplateNode & { kind: 'ifchanged' }, scope: Scope): Run {
    const body = this.#repeated(node.body, scope)
    return frame => {
      const before = frame.out
      frame.out = ''
      body(frame)
      frame.charge(frame.out.length)
      const text = frame.out
      frame.out = text === frame.lastChange ? before : before + text
      frame.lastChange = text
    }
  }

  #if(node: TemplateNode & { kind: 'if' }, scope: Scope): Run {
    const runs = this.#alternatives([...node.branches.map(({ body }) => body), node.otherwise], scope)
    const branches = node.branches.map((branch, place) => ({
      applies: compileCondition(branch, scope),
      run: runs[place] ?? NOTHING,
    }))
    const otherwise = runs.at(-1) ?? NOTHING
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

  /** As with Shopify, a `when` is rendered once for each of its values that fits, and `else` if none did. */
  #case(node: TemplateNode & { kind: 'case' }, scope: Scope): Run {
    const getter = compileFiltered(node.value, scope, true)
    const runs = this.#together(
      node.branches.map(({ body }) => body),
      scope,
    )
    const branches = node.branches.map((branch, place) => ({
      values: branch.values?.map(value => compileValue(value, scope, true)) ?? null,
      run: runs[place] ?? NOTHING,
    }))
    const { at } = node
    return frame => {
      frame.at = at
      const value = getter(frame)
      let isFound = false
      for (const { values, run } of branches) {
        const fits = values === null ? 0 : countOf(values, each => areEqual(value, each(frame), frame))
        if (fits > 0) isFound = true
        const times = values === null && !isFound ? 1 : fits
        for (let time = 0; time < times; time += 1) {
          run(frame)
          if (frame.jump !== 'none') return
        }
      }
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
    const parentSlot = scope.loopSlot('forloop')
    const name = loopName(node)
    const body = this.#repeated(node.body, scope.inside(names))
    const otherwise = this.#repeated(node.otherwise, scope)
    const steps = stepsOf(node.body)
    return frame => {
      const list = items(frame)
      if (list.length === 0) {
        otherwise(frame)
        return
      }
      const parent = parentSlot === undefined ? null : frame.slots[parentSlot]
      const loop = new Loop(list.length, { name, parent })
      frame.slots[loopSlot] = loop
      for (const item of list) {
        frame.step(steps)
        frame.slots[variable] = item
        body(frame)
        loop.index0 += 1
        if (frame.jump === 'none') continue
        const isBreak = frame.jump === 'break'
        frame.jump = 'none'
        if (isBreak) break
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
    const body = this.#repeated(node.body, scope.inside(names))
    const steps = stepsOf(node.body)
    return frame => {
      const list = items(frame)
      const columns = Math.max(1, (width === null ? null : wholeOf(width(frame), 'cols')) || list.length)
      const loop = new Loop(list.length, { columns })
      frame.slots[loopSlot] = loop
      frame.out += '<tr class="row1">\n'
      for (const item of list) {
        frame.step(steps)
        frame.slots[variable] = item
        const row = Math.floor(loop.index0 / columns) + 1
        const column = (loop.index0 % columns) + 1
        if (column === 1 && row > 1) frame.out += `</tr>\n<tr class="row${row}">`
        frame.out += `<td class="col${column}">`
        body(frame)
        frame.out += '</td>'
        loop.index0 += 1
        const isBreak = frame.jump === 'break'
        frame.jump = 'none'
        if (isBreak) break
      }
      frame.out += '</tr>\n'
    }
  }

  #cycle(node: TemplateNode & { kind: 'cycle' }, scope: Scope): Run {
    const group = node.group === null ? null : compileValue(node.group, scope)
    const choices = node.values.map(value => ({
      getter: this.#value(value, scope),
      write: this.#writer(value),
    }))
    const { at, signature } = node
    return frame => {
      frame.at = at
      // Cycles with the same group count together, even if their values differ.
      const name = group === null ? `:${signature}` : printValue(group(frame), frame)
      frame.charge(name.length)
      const key = `cycle:${name}`
      const position = frame.positions.get(key) ?? 0
      frame.positions.set(key, position + 1 < choices.length ? position + 1 : 0)
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

function numberOf(value: unknown): number {
  const number = Math.trunc(Number(plainValue(value)))
  return Number.isNaN(number) ? 0 : number
}

function countOf<T>(items: readonly T[], test: (item: T) => boolean): number {
  return items.reduce((count, item) => count + (test(item) ? 1 : 0), 0)
}

/** Counts the steps of one pass through the nodes. Loops inside count their own. */
function stepsOf(nodes: readonly TemplateNode[]): number {
  let steps = 1
  for (const node of nodes) {
    steps += 1
    if (node.kind === 'for' || node.kind === 'tablerow') continue
    for (const body of bodiesOf(node)) steps += stepsOf(body)
  }
  return steps
}
