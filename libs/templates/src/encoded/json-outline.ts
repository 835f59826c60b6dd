/**
 * Finds the outline of a JSON body: text of the template with values of columns between it. The outline
 * proves that the body is JSON whatever the rows hold, so that it can be written from bytes and needs no
 * check. Other bodies have no outline. They are rendered as text, and checked.
 */
import type { BodySpec, TriggerSpec } from '@sluice/contracts/resources'
import { TypeGuards } from 'liquidjs'
import { NAMES_BESIDE_COLUMNS } from '../liquid/read-property.ts'
import { GIVEN_NAMES } from '../liquid/scope.ts'
import { parseTemplate } from '../liquid/parse/parse-template.ts'
import { writtenName, type Filtered, type TemplateNode } from '../liquid/parse/template-syntax.ts'
import { scanHoles } from '../request/json-text.ts'
import { JSON_FILTERS } from '../filters/filters.ts'
import { NOT_COUNTED, jsonText } from '../values/print-value.ts'

/**
 * The place of a column's value. The value is written there as JSON, or as `{{ }}` prints it, alone or in a
 * string.
 */
export interface Hole {
  readonly column: string
  readonly as: 'json' | 'printed' | 'in string'
}

/**
 * A body consists of `first`, the row's values with `inner` between them, and `last`. `joint` is between two
 * rows of a batch. There is one hole more than pieces in `inner`.
 */
export interface JsonOutline {
  readonly first: string
  readonly holes: readonly Hole[]
  readonly inner: readonly string[]
  readonly joint: string
  readonly last: string
  /**
   * True if the body has to say something of its rows, and does so only with a value that is neither a list
   * nor a map.
   */
  readonly mustSaySomething: boolean
}

/** The text of a row, and the columns between its pieces. */
interface RowPieces {
  readonly holes: readonly { readonly column: string; readonly isJson: boolean }[]
  /** The text before each hole, and behind the last one. */
  readonly texts: readonly string[]
}

/** The text around the rows of a body. */
interface Around {
  readonly before: string
  readonly between: string
  readonly behind: string
}

const NO_BATCH: Around = { before: '', between: '', behind: '' }
/** With more holes, templates might come near the limit of work for a row. */
const MAX_HOLES = 200

/** Returns the outline of a trigger's body; null if there is none. The body must be free of mistakes. */
export function jsonOutline({ body, batch, allowEmpty }: TriggerSpec): JsonOutline | null {
  const batched = batch !== undefined
  const found = body === undefined ? null : piecesOf(body, batched)
  if (found === null) return null
  return provenOutline(found, {
    batched,
    mustSaySomething: found.isChecked && batched && allowEmpty !== true,
  })
}

interface Found {
  readonly row: RowPieces
  readonly around: Around
  /**
   * True if the templates would check the finished body. A field mapper without an envelope is not checked.
   */
  readonly isChecked: boolean
}

function piecesOf(body: BodySpec, batched: boolean): Found | null {
  if ('json' in body) {
    const { nodes } = parseTemplate(body.json)
    return batched ? piecesOfLoop(nodes) : piecesOfRow(nodes)
  }
  if ('fields' in body) return piecesOfFields(body, batched)
  return null
}

function piecesOfRow(nodes: readonly TemplateNode[]): Found | null {
  const row = rowPieces(nodes, columnOfRow)
  return row === null ? null : { row, around: NO_BATCH, isChecked: true }
}

function piecesOfLoop(nodes: readonly TemplateNode[]): Found | null {
  const loops = nodes.filter(({ kind }) => kind !== 'text')
  const [loop] = loops
  if (loop?.kind !== 'for' || loops.length > 1 || !isOverRows(loop)) return null
  const at = nodes.indexOf(loop)
  const { body, between, rest } = splitSeparator(loop.body)
  const row = rowPieces(body, value => columnOf(value, loop.variable))
  const around = {
    before: textOf(nodes.slice(0, at)),
    between: between + rest,
    behind: rest + textOf(nodes.slice(at + 1)),
  }
  return row === null ? null : { row, around, isChecked: true }
}

function isOverRows({ variable, collection, options, otherwise }: TemplateNode & { kind: 'for' }): boolean {
  const { offset, limit, reversed } = options
  if (variable === 'forloop' || otherwise.length > 0 || offset !== null || limit !== null || reversed)
    return false
  if (!TypeGuards.isPropertyAccessToken(collection) || collection.variable !== undefined) return false
  const [root, ...more] = collection.props
  return root !== undefined && more.length === 0 && writtenName(root) === 'rows'
}

/**
 * Splits `{% unless forloop.last %},{% endunless %}` off the end of a loop's body. `between` is the text
 * inside of it, and `rest` the text behind it.
 */
function splitSeparator(nodes: readonly TemplateNode[]): {
  readonly body: readonly TemplateNode[]
  readonly between: string
  readonly rest: string
} {
  const at = nodes.findLastIndex(({ kind }) => kind !== 'text')
  const node = nodes[at]
  if (node?.kind !== 'if') return { body: nodes, between: '', rest: '' }
  const [branch, ...others] = node.branches
  const isSeparator =
    branch?.negated === true && others.length === 0 && node.otherwise.length === 0 && isLast(branch.condition)
  if (!isSeparator || branch.body.some(({ kind }) => kind !== 'text'))
    return { body: nodes, between: '', rest: '' }
  return { body: nodes.slice(0, at), between: textOf(branch.body), rest: textOf(nodes.slice(at + 1)) }
}

function isLast(condition: Filtered): boolean {
  return columnOf(condition, 'forloop') === 'last' && condition.filters.length === 0
}

function textOf(nodes: readonly TemplateNode[]): string {
  return nodes.map(node => (node.kind === 'text' ? node.text : '')).join('')
}

function rowPieces(
  nodes: readonly TemplateNode[],
  columnOf: (value: Filtered) => string | null,
): RowPieces | null {
  const holes: RowPieces['holes'][number][] = []
  const texts: string[] = []
  let text = ''
  for (const node of nodes) {
    if (node.kind === 'text') text += node.text
    else {
      if (node.kind !== 'output') return null
      const [filter, ...more] = node.value.filters
      const isJson = filter !== undefined && JSON_FILTERS.has(filter.name)
      const column = columnOf(node.value)
      if (column === null || more.length > 0 || (filter !== undefined && !isJson)) return null
      holes.push({ column, isJson })
      texts.push(text)
      text = ''
    }
  }
  return { holes, texts: [...texts, text] }
}

/** Returns the column of `row.column`; null for any other expression. Ignores filters. */
function columnOf(value: Filtered, row: string): string | null {
  const names = namesOf(value)
  const [root, column] = names ?? []
  if (names?.length !== 2 || root !== row || column === undefined || NAMES_BESIDE_COLUMNS.has(column))
    return null
  return column
}

/**
 * Returns the column that an expression names in a request of one row; null for any other expression. Ignores
 * filters.
 */
function columnOfRow(value: Filtered): string | null {
  const names = namesOf(value)
  const [name] = names ?? []
  if (names?.length !== 1 || name === undefined) return columnOf(value, 'row')
  return GIVEN_NAMES.has(name) || NAMES_BESIDE_COLUMNS.has(name) ? null : name
}

/** Returns the names of `a.b.c`; null for any other expression. */
function namesOf({ initial }: Filtered): readonly string[] | null {
  const [token, ...more] = initial.postfix
  if (token === undefined || more.length > 0) return null
  if (!TypeGuards.isPropertyAccessToken(token) || token.variable !== undefined) return null
  const names = token.props.map(writtenName)
  return names.every(name => typeof name === 'string') ? names : null
}

/** Takes the pieces of a field mapper. It stops at a field that depends on more than a column. */
class FieldPieces implements RowPieces {
  readonly holes: RowPieces['holes'][number][] = []
  readonly texts: string[] = []
  #text = ''

  finish(): this {
    this.texts.push(this.#text)
    return this
  }

  /** Adds the pieces of a field. Returns false if it has no outline. */
  field(spec: unknown): boolean {
    if (typeof spec === 'string') return this.#column(spec)
    if (Array.isArray(spec))
      return this.#all(
        '[',
        spec.map((item: unknown) => ['', item] as const),
        ']',
      )
    if (typeof spec !== 'object' || spec === null) return false
    const fields: readonly [string, unknown][] = Object.entries(spec)
    const [only, ...others] = fields
    if (only !== undefined && others.length === 0) {
      const [name, content] = only
      if (name === 'template') return false
      if (name === 'value') return this.#write(jsonText(content, NOT_COUNTED))
      if (name === 'object') return this.map(content)
    }
    const { column, whenNull } = Object.fromEntries(fields)
    if (fields.length === 2 && column !== undefined && whenNull !== undefined)
      return whenNull === 'keep' && typeof column === 'string' && this.#column(column)
    return this.map(spec)
  }

  map(fields: unknown): boolean {
    if (typeof fields !== 'object' || fields === null) return false
    return this.#all(
      '{',
      Object.entries(fields).map(([name, spec]) => [`${JSON.stringify(name)}:`, spec] as const),
      '}',
    )
  }

  #all(open: string, parts: readonly (readonly [string, unknown])[], close: string): boolean {
    this.#text += open
    const all = parts.every(([before, spec], index) => {
      this.#text += (index === 0 ? '' : ',') + before
      return this.field(spec)
    })
    this.#text += close
    return all
  }

  #column(column: string): boolean {
    if (NAMES_BESIDE_COLUMNS.has(column)) return false
    this.holes.push({ column, isJson: true })
    this.texts.push(this.#text)
    this.#text = ''
    return true
  }

  #write(text: string): boolean {
    this.#text += text
    return true
  }
}

function piecesOfFields(
  body: Extract<BodySpec, { readonly fields: unknown }>,
  batched: boolean,
): Found | null {
  const pieces = new FieldPieces()
  if ((body.whenNull ?? 'keep') !== 'keep' || !pieces.map(body.fields)) return null
  const envelope = envelopeOf(body.wrap)
  if (envelope === null) return null
  const [open, close] = batched ? ['[', ']'] : ['', '']
  const { before, behind } = envelope
  const around = { before: before + open, between: ',', behind: close + behind }
  return { row: pieces.finish(), around, isChecked: body.wrap !== undefined }
}

function envelopeOf(wrap: string | undefined): { readonly before: string; readonly behind: string } | null {
  if (wrap === undefined) return { before: '', behind: '' }
  const { nodes } = parseTemplate(wrap)
  const at = nodes.findIndex(({ kind }) => kind !== 'text')
  const node = nodes[at]
  if (node?.kind !== 'output' || node.value.filters.length > 0) return null
  const names = namesOf(node.value)
  if (names?.length !== 1 || names[0] !== 'items') return null
  const rest = nodes.slice(at + 1)
  if (rest.some(({ kind }) => kind !== 'text')) return null
  return { before: textOf(nodes.slice(0, at)), behind: textOf(rest) }
}

/**
 * Proves that the pieces make JSON. It scans two rows with a hole for each value. The same brackets must be
 * open where the first and where the second row begins. Then any number of rows is JSON if two are. Each
 * trailing comma lies within a piece, since a value lies between two pieces. The comma is cut there.
 */
function provenOutline(
  { row, around }: Found,
  { batched, mustSaySomething }: { readonly batched: boolean; readonly mustSaySomething: boolean },
): JsonOutline | null {
  const { holes, texts } = row
  const start = texts[0] ?? ''
  const end = texts.at(-1) ?? ''
  if (holes.length === 0 || holes.length > MAX_HOLES) return null
  const inner = texts.slice(1, -1)
  const joint = end + around.between + start
  const first = around.before + start
  const last = end + around.behind
  const pieces = batched ? [first, ...inner, joint, ...inner, last] : [first, ...inner, last]
  const scan = scanHoles(pieces, hole => holes[hole % holes.length]?.isJson === true)
  if (scan === null) return null
  const { places } = scan
  if (batched && places[holes.length]?.state !== places[0]?.state) return null
  const cut = scan.pieces
  return {
    first: cut[0] ?? '',
    inner: cut.slice(1, holes.length),
    joint: batched ? (cut[holes.length] ?? '') : '',
    last: cut.at(-1) ?? '',
    holes: holes.map(({ column, isJson }, index) => ({
      column,
      as: isJson ? 'json' : places[index]?.inString === true ? 'in string' : 'printed',
    })),
    mustSaySomething: mustSaySomething && !scan.hasScalar,
  }
}
