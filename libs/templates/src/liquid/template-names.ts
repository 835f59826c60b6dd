/**
 * Finds the columns that a template uses, without rendering it. If only rendering shows which columns it
 * uses, the whole row counts as used, so that every needed column is there. A name that can never have a
 * value is a mistake: it would print nothing.
 */
import { nearestHint } from '@sluice/domain/nearest-name'
import { TypeGuards, type QuotedToken, type Token } from 'liquidjs'
import { expressionOf } from './compile-expression.ts'
import { bodiesOf } from './compile-template.ts'
import { EXPRESSION_FILTERS } from '../filters/filters.ts'
import { KEEPS_ITEMS, READS_PROPERTY, TAKES_ITEM, keysOfText } from '../filters/list-filters.ts'
import { LOOP_NAMES } from './loop.ts'
import { GIVEN_NAMES, type Sees } from './scope.ts'
import { TemplateFault } from './template-fault.ts'
import {
  writtenName,
  type FilterCall,
  type Filtered,
  type PropertyAccessToken,
  type TemplateNode,
  type ValueToken,
} from './parse/template-syntax.ts'

export interface TemplateNames {
  /** Columns of rows as they are now, and as they were delivered before. */
  readonly columns: ReadonlySet<string>
  /** Columns of rows as they are now, with the first place where each is used. */
  readonly current: ReadonlyMap<string, number>
  /** Columns whose name may mean something else: `captured`, `previous`, or a name that is assigned. */
  readonly ambiguous: ReadonlySet<string>
  /** True if a row is used as a whole, or may be. */
  readonly usesWholeRow: boolean
  /**
   * Captured values, with the first place where each is used. Empty in batches, since `row.captured` may be a
   * column, and if the template assigns `captured` itself.
   */
  readonly captured: ReadonlyMap<string, number>
  /**
   * True if the template uses anything of a row, or a value that belongs to it. The number of rows does not
   * count.
   */
  readonly usesRows: boolean
}

/**
 * Returns the names that a template uses. Throws a `TemplateFault` for a name that can never have a value: a
 * bare name in a batch that nothing assigns, or a property that a run, a sync, a list of rows or a loop does
 * not have.
 */
export function templateNames(nodes: readonly TemplateNode[], sees: Sees): TemplateNames {
  const finder = new NameFinder(sees.batched, countAssignments(nodes))
  finder.visit(nodes, new Names(sees.wraps === true ? [['items', 'value']] : []))
  if (finder.assigned.has('captured')) finder.captured.clear()
  return finder
}

/** Counts how often a template assigns, captures or increments each name. */
function countAssignments(
  nodes: readonly TemplateNode[],
  counts = new Map<string, number>(),
): ReadonlyMap<string, number> {
  for (const node of nodes) {
    if (node.kind === 'assign' || node.kind === 'capture' || node.kind === 'counter')
      counts.set(node.name, (counts.get(node.name) ?? 0) + 1)
    for (const body of bodiesOf(node)) countAssignments(body, counts)
  }
  return counts
}

/** A name stands for one row, a list of rows, the place of a loop, or any other value. */
type Kind = 'row' | 'rows' | 'forloop' | 'tablerowloop' | 'value'

/** The properties of `run` and `sync`. */
const FIELDS: { readonly [name: string]: readonly string[] } = {
  run: ['id', 'startedAt'],
  sync: ['name'],
}

/** The names at one place of a template that are no columns, each with its kind. */
class Names {
  readonly #names: Map<string, Kind>
  constructor(names: Iterable<[string, Kind]> = []) {
    this.#names = new Map(names)
  }
  /** Returns a copy for the inside of a block. Names that are added to it end with the block. */
  inside(): Names {
    return new Names(this.#names)
  }
  add(name: string, kind: Kind): void {
    this.#names.set(name, kind)
  }
  get(name: string): Kind | undefined {
    return this.#names.get(name)
  }
  all(): readonly string[] {
    return [...this.#names.keys()]
  }
  /** The innermost name that stands for a row. */
  row(): string | undefined {
    return [...this.#names].findLast(([, kind]) => kind === 'row')?.[0]
  }
}

type Property = PropertyAccessToken['props'][number]

class NameFinder implements TemplateNames {
  readonly columns = new Set<string>()
  readonly current = new Map<string, number>()
  readonly ambiguous = new Set(['captured', 'previous'])
  readonly captured = new Map<string, number>()
  /** Names that the template assigns, even if no rendering reaches the assignment. */
  readonly assigned = new Set<string>()
  usesWholeRow = false
  usesRows = false
  readonly #batched: boolean
  readonly #assignments: ReadonlyMap<string, number>

  constructor(batched: boolean, assignments: ReadonlyMap<string, number>) {
    this.#batched = batched
    this.#assignments = assignments
  }

  visit(nodes: readonly TemplateNode[], names: Names): void {
    for (const node of nodes) this.#node(node, names)
  }

  #node(node: TemplateNode, names: Names): void {
    switch (node.kind) {
      case 'output':
        this.#filtered(node.value, names)
        break
      case 'assign':
        this.ambiguous.add(node.name)
        this.assigned.add(node.name)
        return names.add(node.name, this.#assignedKind(node, names))
      case 'capture':
        this.ambiguous.add(node.name)
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
          for (const value of branch.values ?? []) this.#value(value, names)
          this.visit(branch.body, names.inside())
        }
        return
      case 'ifchanged':
        return this.visit(node.body, names.inside())
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
        this.ambiguous.add(node.name)
        this.assigned.add(node.name)
        break
      case 'text':
      case 'jump':
    }
  }

  /** Returns the kind of an assigned name from here on. A name that is assigned twice may be anything. */
  #assignedKind(node: TemplateNode & { kind: 'assign' }, names: Names): Kind {
    const kind = this.#filtered(node.value, names)
    return this.#assignments.get(node.name) === 1 ? kind : 'value'
  }

  #loop(node: TemplateNode & { kind: 'for' | 'tablerow' }, names: Names): void {
    const { offset, limit } = node.options
    for (const option of [offset, limit])
      if (option !== null && option !== 'continue') this.#value(option, names)
    const overRows = kindOf(node.collection, names) === 'rows'
    if (!overRows) this.#value(node.collection, names)
    const inside = names.inside()
    inside.add(node.variable, overRows ? 'row' : 'value')
    const loop = node.kind === 'for' ? 'forloop' : 'tablerowloop'
    inside.add(loop, loop)
    this.visit(node.body, inside)
  }

  /** Notes the names that an expression uses. Returns its kind. */
  #filtered(value: Filtered, names: Names): Kind {
    const { postfix } = value.initial
    const [only] = postfix
    let kind: Kind = postfix.length === 1 && only !== undefined ? kindOf(only, names) : 'value'
    if (kind !== 'rows' || !endsWithoutRows(value.filters))
      for (const token of postfix) if (!TypeGuards.isOperatorToken(token)) this.#value(token, names)
    for (const filter of value.filters) kind = this.#filter(filter, kind, names)
    return kind
  }

  #filter(filter: FilterCall, input: Kind, names: Names): Kind {
    const output = filteredKind(filter, input)
    if (EXPRESSION_FILTERS.has(filter.name)) {
      const { itemName, expression } = expressionOf(filter)
      const inside = names.inside()
      inside.add(itemName, input === 'rows' ? 'row' : 'value')
      this.#filtered(expression, inside)
      return output
    }
    const [property] = filter.args
    if (input === 'rows' && READS_PROPERTY.has(filter.name) && isQuoted(property)) this.#useProperty(property)
    for (const argument of filter.args) {
      const token = Array.isArray(argument) ? argument[1] : argument
      if (token !== undefined) this.#value(token, names)
    }
    return output
  }

  /** Notes a property that a filter reads. It may be a column of that very name, or a path. */
  #useProperty({ content, begin }: QuotedToken): void {
    const [column, inner] = keysOfText(content)
    this.columns.add(content)
    if (column !== undefined) this.#useColumn(String(column), begin)
    if (column !== 'previous') return
    if (inner === undefined) this.usesWholeRow = true
    else this.columns.add(String(inner))
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
    if (TypeGuards.isWordToken(root) && root.content.startsWith('-'))
      throw new TemplateFault(
        `"${root.content}" is no name; for a column of that name write ['${root.content}']`,
        at,
      )
    if (name === undefined) this.usesWholeRow = true
    else this.#name(String(name), rest, { names, at })
  }

  #name(name: string, rest: readonly Property[], { names, at }: { names: Names; at: number }): void {
    const local = names.get(name)
    if (local === 'value') return
    if (local === 'row') return this.#useRow(rest, at)
    if (local === 'rows') return this.#useRows(rest, { name, at })
    if (local !== undefined) return assertLoopFields(rest, { loop: local, at })
    if (name === 'rows') return this.#useRows(rest, { name, at })
    if (!GIVEN_NAMES.has(name)) {
      if (!this.#batched) this.#useColumn(name, at)
      else if (!this.#assignments.has(name)) throw unknownName(name, names, at)
      return
    }
    const fields = FIELDS[name]
    if (fields !== undefined) return assertField(rest, { owner: name, fields, at })
    if (this.#batched) throw onlyForOneRow(name, names, at)
    if (name === 'row') this.#useRow(rest, at)
    if (name === 'previous') this.#usePrevious(rest)
    if (name === 'captured') this.#useCaptured(rest, at)
  }

  #useCaptured([property]: readonly Property[], at: number): void {
    this.usesRows = true
    const name = property === undefined ? undefined : writtenName(property)
    if (name !== undefined && !this.captured.has(String(name))) this.captured.set(String(name), at)
  }

  #useRow([property, ...rest]: readonly Property[], at: number): void {
    this.usesRows = true
    const name = property === undefined ? undefined : writtenName(property)
    if (name === undefined) {
      this.usesWholeRow = true
      return
    }
    this.#useColumn(String(name), at)
    if (name === 'previous') this.#usePrevious(rest)
  }

  /** Notes a column of the row as it was delivered before. The model may have lost that column. */
  #usePrevious([property]: readonly Property[]): void {
    this.usesRows = true
    const name = property === undefined ? undefined : writtenName(property)
    if (name === undefined) this.usesWholeRow = true
    else this.columns.add(String(name))
  }

  #useRows([property, ...rest]: readonly Property[], { name, at }: { name: string; at: number }): void {
    const field = property === undefined ? undefined : writtenName(property)
    if (field === 'size') return
    this.usesRows = true
    if (property === undefined) this.usesWholeRow = true
    else if (typeof field === 'string' && !LIST_PROPERTIES.has(field) && !/^-?\d+$/.test(field))
      throw new TemplateFault(
        `"${name}" is the list of rows, which has no "${field}"; write {% for row in ${name} %} and use row.${field}`,
        at,
      )
    else this.#useRow(rest, at)
  }

  #useColumn(name: string, at: number): void {
    this.usesRows = true
    this.columns.add(name)
    if (!this.current.has(name)) this.current.set(name, at)
  }
}

const LIST_PROPERTIES: ReadonlySet<string> = new Set(['first', 'last', 'size'])

function isQuoted(token: FilterCall['args'][number] | undefined): token is QuotedToken {
  return token !== undefined && !Array.isArray(token) && TypeGuards.isQuotedToken(token)
}

/**
 * True if the filters give the number of rows, and otherwise use only properties that are written as
 * literals.
 */
function endsWithoutRows(filters: readonly FilterCall[]): boolean {
  const end = filters.findIndex(filter => !readsOnlyWritten(filter))
  return filters[end]?.name === 'size'
}

function readsOnlyWritten({ name, args }: FilterCall): boolean {
  if (name === 'reverse') return true
  return KEEPS_ITEMS.has(name) && (EXPRESSION_FILTERS.has(name) || isQuoted(args[0]))
}

/** Returns the kind of a filter's result. */
function filteredKind({ name }: FilterCall, input: Kind): Kind {
  if (input !== 'rows') return 'value'
  if (KEEPS_ITEMS.has(name)) return 'rows'
  return TAKES_ITEM.has(name) ? 'row' : 'value'
}

/** Throws a `TemplateFault` for a property that the owner lacks. */
function assertField(
  [property]: readonly Property[],
  { owner, fields, at }: { owner: string; fields: readonly string[]; at: number },
): void {
  const field = property === undefined ? undefined : writtenName(property)
  if (field === undefined || fields.includes(String(field))) return
  const hint = nearestHint(String(field), fields) || `; it has ${fields.join(', ')}`
  throw new TemplateFault(`"${owner}" has no "${field}"${hint}`, at)
}

function assertLoopFields(
  rest: readonly Property[],
  { loop, at }: { loop: 'forloop' | 'tablerowloop'; at: number },
): void {
  // A parent loop has the properties of a loop.
  const from = rest.findIndex(property => writtenName(property) !== 'parentloop')
  if (from >= 0) assertField(rest.slice(from), { owner: loop, fields: LOOP_NAMES[loop], at })
}

function unknownName(name: string, names: Names, at: number): TemplateFault {
  const row = names.row()
  const known = [...names.all(), 'rows', 'run', 'sync']
  const hint =
    nearestHint(name, known) ||
    (row === undefined
      ? `; a batch has its rows in "rows": {% for row in rows %} … {{ row.${name} }} … {% endfor %}`
      : `; for the column write ${row}.${name}`)
  return new TemplateFault(`unknown name "${name}"${hint}`, at)
}

function onlyForOneRow(name: string, names: Names, at: number): TemplateFault {
  const row = names.row() ?? 'row'
  const place = row === 'row' ? 'in a batch, write {% for row in rows %} and' : 'in this loop,'
  return new TemplateFault(
    `"${name}" is there for one row a request only; ${place} use ${name === 'row' ? row : `${row}.${name}`}`,
    at,
  )
}

/** Returns the kind of an operand. */
function kindOf(token: Token | ValueToken, names: Names): Kind {
  if (!TypeGuards.isPropertyAccessToken(token) || token.variable !== undefined || token.props.length !== 1)
    return 'value'
  const [root] = token.props
  const name = root === undefined ? undefined : writtenName(root)
  const local = name === undefined ? undefined : names.get(String(name))
  return local ?? (name === 'rows' ? 'rows' : 'value')
}
