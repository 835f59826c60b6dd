/**
 * The JSONPath of rules and captures: `$`, `.name`, `['name']`, `[n]` and `[*]` (a subset of RFC 9535). It is
 * parsed once, and evaluated for answer after answer.
 */

/** The longest path. A person does not write a longer one. */
export const MAX_PATH_LENGTH = 1_000

type Step =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'all' }

export interface JsonPath {
  /** As it was written. */
  readonly text: string
  readonly steps: readonly Step[]
  /** True if it may find several values: it has a `[*]`. */
  readonly many: boolean
}

export type ParsedJsonPath =
  | { readonly kind: 'path'; readonly path: JsonPath }
  /** `column` is the place of the mistake, counted from 1 in UTF-16 units. */
  | { readonly kind: 'wrong'; readonly column: number; readonly message: string }

const WANTED = "wanted .name, ['name'], [n] or [*]"
/** The kinds of steps. Each pattern is tried at one place only. */
const NAME = /\.([\p{L}_][\p{L}\p{N}_]*)/uy
const INDEX = /\[(0|[1-9]\d{0,8})\]/y
const ALL = /\[\*\]/y
const QUOTED = /\[(?:'((?:[^'\\]|\\['"\\])*)'|"((?:[^"\\]|\\['"\\])*)")\]/y

/** Parses a path. Never throws. */
export function parseJsonPath(text: string): ParsedJsonPath {
  if (text.length > MAX_PATH_LENGTH)
    return { kind: 'wrong', column: 1, message: `wanted a JSONPath of at most ${MAX_PATH_LENGTH} characters` }
  if (!text.startsWith('$'))
    return {
      kind: 'wrong',
      column: 1,
      message: 'wanted a JSONPath, which begins with $, such as $.errors[0]',
    }
  const steps: Step[] = []
  let at = 1
  while (at < text.length) {
    const found = stepAt(text, at)
    if (found === null) return { kind: 'wrong', column: at + 1, message: mistakeAt(text, at) }
    steps.push(found.step)
    at = found.end
  }
  return { kind: 'path', path: { text, steps, many: steps.some(step => step.kind === 'all') } }
}

function stepAt(text: string, at: number): { readonly step: Step; readonly end: number } | null {
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    return pattern.exec(text)
  }
  const name = match(NAME)
  if (name !== null) return { step: { kind: 'name', name: name[1] ?? '' }, end: at + name[0].length }
  const index = match(INDEX)
  if (index !== null) return { step: { kind: 'index', index: Number(index[1]) }, end: at + index[0].length }
  const all = match(ALL)
  if (all !== null) return { step: { kind: 'all' }, end: at + all[0].length }
  const quoted = match(QUOTED)
  if (quoted === null) return null
  const unescaped = (quoted[1] ?? quoted[2] ?? '').replaceAll(/\\(.)/gs, '$1')
  return { step: { kind: 'name', name: unescaped }, end: at + quoted[0].length }
}

/** Returns a message about the step that begins there: what is wrong, and what its writer may have meant. */
function mistakeAt(text: string, at: number): string {
  const rest = text.slice(at)
  const shown = rest.length > 20 ? `${rest.slice(0, 20)}…` : rest
  const found = `${WANTED}, found ${JSON.stringify(shown)}`
  if (rest.startsWith('..')) return `${found}; a path cannot search all levels (..)`
  if (rest.startsWith('.*')) return `${found}; write [*]`
  if (/^\[\s*-\s*\d/.test(rest)) return `${found}; places are counted from the front, from 0`
  if (/^\[\s*\?/.test(rest)) return `${found}; filters are not supported`
  if (/^\[[^'"\]]*[,:]/.test(rest)) return `${found}; a step takes one place or [*]`
  if (/^\[\s*['"]/.test(rest))
    return `${found}; a quoted name ends with its quote and ], and only \\', \\" and \\\\ are escaped`
  if (/^\[\s*[\p{L}_]/u.test(rest)) return `${found}; quote the name`
  if (/^\.[\p{N}-]/u.test(rest) || /^-/.test(rest))
    return `${found}; write a name with other characters as ['name']`
  return found
}

/**
 * Returns the values at a path, in the order of the document. Numbers that are kept as objects are values,
 * and the path does not go into them.
 */
export function valuesAt(path: JsonPath, value: unknown): readonly unknown[] {
  const found: unknown[] = []
  visit(path.steps, 0, value, one => {
    found.push(one)
    return false
  })
  return found
}

/** Returns the first value at a path for which `isIt` is true; undefined if there is none. */
export function firstAt(path: JsonPath, value: unknown, isIt: (value: unknown) => boolean): unknown {
  let first: unknown
  visit(path.steps, 0, value, one => {
    if (!isIt(one)) return false
    first = one
    return true
  })
  return first
}

/**
 * Calls `found` for each value until it returns true. Makes no lists, since an answer may have 500,000
 * values.
 */
function visit(
  steps: readonly Step[],
  at: number,
  value: unknown,
  found: (value: unknown) => boolean,
): boolean {
  const step = steps[at]
  if (step === undefined) return found(value)
  if (Array.isArray(value)) {
    const list: readonly unknown[] = value
    if (step.kind === 'all') return list.some(child => visit(steps, at + 1, child, found))
    return step.kind === 'index' && step.index < list.length && visit(steps, at + 1, list[step.index], found)
  }
  if (!isMap(value)) return false
  if (step.kind === 'all') return valuesOf(value).some(child => visit(steps, at + 1, child, found))
  return (
    step.kind === 'name' && Object.hasOwn(value, step.name) && visit(steps, at + 1, value[step.name], found)
  )
}

/** Caches the values of maps that paths have read, since `Object.values` of a large map is slow. */
const VALUES = new WeakMap<object, readonly unknown[]>()

function valuesOf(map: { readonly [name: string]: unknown }): readonly unknown[] {
  const known = VALUES.get(map)
  if (known !== undefined) return known
  const values = Object.values(map)
  VALUES.set(map, values)
  return values
}

function isMap(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}
