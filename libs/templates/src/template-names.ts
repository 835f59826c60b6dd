/**
 * Which columns a template uses, found without rendering it. What cannot be told counts as the whole row, so
 * that no column that matters is ever left out.
 */
import { TypeGuards } from 'liquidjs'
import type { Token } from 'liquidjs'
import { expressionOf } from './compile-expression-filter.ts'
import { EXPRESSION_FILTERS } from './filters.ts'
import { GIVEN_NAMES } from './scope.ts'
import type { Sees } from './scope.ts'
import { TemplateFault } from './template-fault.ts'
import type { Filtered, PropertyAccessToken, TemplateNode, ValueToken } from './template-syntax.ts'
import { writtenName } from './written-name.ts'

export interface TemplateNames {
  /** Columns by name, of rows and of those that were delivered before. */
  readonly columns: ReadonlySet<string>
  /** Columns of rows as they are now, with the first place where each is used. */
  readonly current: ReadonlyMap<string, number>
  /**
   * Those of them that may mean something else: what stands beside a row, or a name that is assigned
   * somewhere.
   */
  readonly doubtful: ReadonlySet<string>
  /** True if a row is used as a whole, or may be. */
  readonly whole: boolean
  /**
   * Captured values by name, with the first place where each is used; in batches none, since `row.captured`
   * may be a column, and where the template assigns `captured` itself.
   */
  readonly captured: ReadonlyMap<string, number>
}

/**
 * The names that a template uses. Throws a `TemplateFault` where a batch's template uses a name that only
 * requests of one row have.
 */
export function templateNames(nodes: readonly TemplateNode[], sees: Sees): TemplateNames {
  const finder = new NameFinder(sees.batched)
  finder.visit(nodes, new Names(sees.wraps === true ? [['items', 'value']] : []))
  if (finder.assigned.has('captured')) finder.captured.clear()
  return finder
}

/** The names that are no columns at one place: each stands for a row, or for anything else. */
class Names {
  readonly #names: Map<string, 'row' | 'value'>
  constructor(names: Iterable<[string, 'row' | 'value']> = []) {
    this.#names = new Map(names)
  }
  /** A copy to which names may be added that end with a block. */
  inside(): Names {
    return new Names(this.#names)
  }
  add(name: string, kind: 'row' | 'value'): void {
    this.#names.set(name, kind)
  }
  get(name: string): 'row' | 'value' | undefined {
    return this.#names.get(name)
  }
}

type Property = PropertyAccessToken['props'][number]

class NameFinder implements TemplateNames {
  readonly columns = new Set<string>()
  readonly current = new Map<string, number>()
  readonly doubtful = new Set(['captured', 'previous'])
  readonly captured = new Map<string, number>()
  /** Names that are assigned somewhere, whether or not that is ever reached. */
  readonly assigned = new Set<string>()
  whole = false
  readonly #batched: boolean

  constructor(batched: boolean) {
    this.#batched = batched
  }

  visit(nodes: readonly TemplateNode[], names: Names): void {
    for (const node of nodes) this.#node(node, names)
  }

  #node(node: TemplateNode, names: Names): void {
    switch (node.kind) {
      case 'output':
        return this.#filtered(node.value, names)
      case 'assign':
        this.doubtful.add(node.name)
        this.assigned.add(node.name)
        this.#filtered(node.value, names)
        return names.add(node.name, 'value')
      case 'capture':
        this.doubtful.add(node.name)
        this.assigned.add(node.name)
        this.visit(node.body, names)
        return names.add(node.name, 'value')
      case 'if':
        for (const branch of node.branches) {
          this.#filtered(branch.condition, names)
          this.visit(branch.body, names.inside())
        }
        return this.visit(node.otherwise, names.inside())
      case 'case':
        this.#filtered(node.value, names)
        for (const branch of node.branches) {
          for (const value of branch.values) this.#value(value, names)
          this.visit(branch.body, names.inside())
        }
        return this.visit(node.otherwise, names.inside())
      case 'for':
        this.#loop(node, names)
        return this.visit(node.otherwise, names.inside())
      case 'tablerow':
        if (node.columns !== null) this.#value(node.columns, names)
        return this.#loop(node, names)
      case 'cycle':
        if (node.group !== null) this.#value(node.group, names)
        for (const value of node.values) this.#filtered(value, names)
        break
      case 'counter':
        this.doubtful.add(node.name)
        this.assigned.add(node.name)
        break
      case 'text':
      case 'jump':
    }
  }

  #loop(node: TemplateNode & { kind: 'for' | 'tablerow' }, names: Names): void {
    const { offset, limit } = node.options
    for (const option of [offset, limit])
      if (option !== null && option !== 'continue') this.#value(option, names)
    const overRows = isRows(node.collection, names)
    if (!overRows) this.#value(node.collection, names)
    const inside = names.inside()
    inside.add(node.variable, overRows ? 'row' : 'value')
    inside.add(node.kind === 'for' ? 'forloop' : 'tablerowloop', 'value')
    this.visit(node.body, inside)
  }

  #filtered(value: Filtered, names: Names): void {
    const { postfix } = value.initial
    const [only] = postfix
    const counted =
      postfix.length === 1 && value.filters[0]?.name === 'size' && only !== undefined && isRows(only, names)
    if (!counted)
      for (const token of postfix) if (!TypeGuards.isOperatorToken(token)) this.#value(token, names)
    for (const filter of value.filters) {
      if (EXPRESSION_FILTERS.has(filter.name)) {
        const { itemName, expression } = expressionOf(filter)
        const inside = names.inside()
        inside.add(itemName, 'value')
        this.#filtered(expression, inside)
        continue
      }
      for (const argument of filter.args) {
        const token = Array.isArray(argument) ? argument[1] : argument
        if (token !== undefined) this.#value(token, names)
      }
    }
  }

  #value(token: Token | ValueToken, names: Names): void {
    if (TypeGuards.isRangeToken(token)) {
      this.#value(token.lhs, names)
      this.#value(token.rhs, names)
    } else if (TypeGuards.isFilteredValueToken(token)) {
      this.#filtered(token, names)
    } else if (TypeGuards.isPropertyAccessToken(token)) {
      this.#access(token, names)
    }
  }

  #access(token: PropertyAccessToken, names: Names): void {
    for (const property of token.props) if (writtenName(property) === undefined) this.#value(property, names)
    if (token.variable !== undefined) return this.#value(token.variable, names)
    const [root, ...rest] = token.props
    if (root === undefined) return
    const at = token.begin
    const name = writtenName(root)
    if (name === undefined) this.whole = true
    else this.#name(String(name), rest, { names, at })
  }

  #name(name: string, rest: readonly Property[], { names, at }: { names: Names; at: number }): void {
    const local = names.get(name)
    if (local === 'value') return
    if (local === 'row') return this.#ofRow(rest, at)
    if (name === 'rows') return this.#ofRows(rest, at)
    if (!GIVEN_NAMES.has(name)) {
      if (!this.#batched) this.#column(name, at)
      return
    }
    if (name === 'run' || name === 'sync') return
    if (this.#batched)
      throw new TemplateFault(
        `"${name}" is there for one row a request only; in a batch, write {% for row in rows %} and use ` +
          (name === 'row' ? 'row' : `row.${name}`),
        at,
      )
    if (name === 'row') this.#ofRow(rest, at)
    if (name === 'previous') this.#ofPrevious(rest)
    if (name === 'captured') this.#ofCaptured(rest, at)
  }

  #ofCaptured([property]: readonly Property[], at: number): void {
    const name = property === undefined ? undefined : writtenName(property)
    if (name !== undefined && !this.captured.has(String(name))) this.captured.set(String(name), at)
  }

  #ofRow([property, ...rest]: readonly Property[], at: number): void {
    const name = property === undefined ? undefined : writtenName(property)
    if (name === undefined) {
      this.whole = true
      return
    }
    this.#column(String(name), at)
    if (name === 'previous') this.#ofPrevious(rest)
  }

  /** What was delivered before may have had columns that the model lost. */
  #ofPrevious([property]: readonly Property[]): void {
    const name = property === undefined ? undefined : writtenName(property)
    if (name === undefined) this.whole = true
    else this.columns.add(String(name))
  }

  #ofRows([property, ...rest]: readonly Property[], at: number): void {
    if (property === undefined) this.whole = true
    else if (writtenName(property) !== 'size') this.#ofRow(rest, at)
  }

  #column(name: string, at: number): void {
    this.columns.add(name)
    if (!this.current.has(name)) this.current.set(name, at)
  }
}

/** True for the list of all rows. */
function isRows(token: Token | ValueToken, names: Names): boolean {
  if (!TypeGuards.isPropertyAccessToken(token) || token.variable !== undefined || token.props.length !== 1)
    return false
  const [root] = token.props
  return root !== undefined && writtenName(root) === 'rows' && names.get('rows') === undefined
}
