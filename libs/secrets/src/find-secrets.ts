/** Finds the values of secrets in a text, in any spelling. */
import { formsOf, type Form } from './spellings.ts'

/** A range of a text, in UTF-16 units. `end` is the first unit after it. */
export interface TextRange {
  readonly start: number
  readonly end: number
}

const LINE_BREAK = /(?:\r?\n|(?:\\r)?\\n)/y
const BASE64_CHARACTER = /[A-Za-z0-9+/_-]/
/** This many units of a text show whether a value may begin there. No form is shorter. */
const START_UNITS = 4
const HASH_MASK = 0xffff

interface Sought {
  readonly form: Form
  /** True if this is only the beginning of a longer value. A match then extends to the end of the text. */
  readonly isBeginning: boolean
}

/**
 * Finds values of at least four characters. It is compiled once for a list of values, and then used for many
 * texts. It looks for at most `maxUnits` UTF-16 units of each value. If it finds the beginning of a longer
 * value, the rest of the text counts as that value.
 */
export class SecretFinder {
  /** The forms, by the hash of the units that they may begin with. */
  readonly #byStart = new Map<number, Sought[]>()
  /** Has a 1 for each key of the map. This check alone rules out nearly all places of a text. */
  readonly #starts = new Uint8Array(HASH_MASK + 1)

  constructor(values: readonly string[], maxUnits: number) {
    for (const value of new Set(values)) {
      const isBeginning = value.length > maxUnits
      const sought = isBeginning ? value.slice(0, maxUnits).replace(/[\uD800-\uDBFF]$/, '') : value
      for (const form of formsOf(sought))
        for (const start of startsOf(form)) this.#add(hashOfStart(start), { form, isBeginning })
    }
  }

  /** Returns the ranges with a value, in order. No two of them touch. */
  find(text: string): readonly TextRange[] {
    const found: TextRange[] = []
    const starts = this.#starts
    const { length } = text
    let hash = 0
    for (let at = 0; at < length; at += 1) {
      hash = hashOf(hash, text.charCodeAt(at))
      if (starts[hash] === 0 || at < START_UNITS - 1) continue
      // Places within a match are checked, too, since another value may begin there and end after it.
      this.#look(text, at - START_UNITS + 1, { sought: this.#byStart.get(hash) ?? [], found })
    }
    return found
  }

  #look(
    text: string,
    at: number,
    { sought, found }: { readonly sought: readonly Sought[]; readonly found: TextRange[] },
  ): void {
    for (const { form, isBeginning } of sought) {
      const matched = endOf(text, at, form)
      if (matched === null) continue
      const { start, end } = widened(text, form, { start: at, end: isBeginning ? text.length : matched })
      const last = found.at(-1)
      if (last !== undefined && start <= last.end)
        found[found.length - 1] = { start: last.start, end: Math.max(last.end, end) }
      else found.push({ start, end })
    }
  }

  #add(start: number, sought: Sought): void {
    this.#starts[start] = 1
    const there = this.#byStart.get(start)
    if (there === undefined) this.#byStart.set(start, [sought])
    else if (!there.some(({ form }) => form === sought.form)) there.push(sought)
  }
}

/** Depends only on the last four units: each step shifts older units by four of sixteen bits. */
function hashOf(before: number, unit: number): number {
  return ((before << 4) ^ unit) & HASH_MASK
}

function hashOfStart(start: string): number {
  let hash = 0
  for (let at = 0; at < start.length; at += 1) hash = hashOf(hash, start.charCodeAt(at))
  return hash
}

/** Returns the texts of four units that a form may begin with. */
function startsOf(form: Form): ReadonlySet<string> {
  let open = new Set([''])
  const starts = new Set<string>()
  for (const character of form.characters) {
    const longer = new Set<string>()
    for (const start of open) {
      const breaks = form.base64 && start !== '' ? ['', '\n', '\r\n', '\\n', '\\r\\n'] : ['']
      for (const lineBreak of breaks) {
        for (const spelling of form.spell(character).all) {
          const text = start + lineBreak + spelling
          if (text.length < START_UNITS) longer.add(text)
          else starts.add(text.slice(0, START_UNITS))
        }
      }
    }
    if (longer.size === 0) break
    open = longer
  }
  return starts
}

/**
 * Returns the end of the longest match that begins at `at`; null if there is none. A text may be read in
 * several ways (`\\` is one escaped backslash or two plain ones), so all ways are followed side by side.
 */
function endOf(text: string, at: number, form: Form): number | null {
  let places: readonly number[] = [at]
  let isFirst = true
  for (const character of form.characters) {
    const ahead: number[] = []
    for (const place of places) {
      const from = form.base64 && !isFirst ? afterLineBreak(text, place) : place
      for (const spelling of form.spell(character).byFirstUnit.get(text.charCodeAt(from)) ?? [])
        if (text.startsWith(spelling, from)) ahead.push(from + spelling.length)
    }
    if (ahead.length === 0) return null
    places = ahead.length === 1 ? ahead : [...new Set(ahead)]
    isFirst = false
  }
  return Math.max(...places)
}

function afterLineBreak(text: string, place: number): number {
  const unit = text.charCodeAt(place)
  if (unit !== 10 && unit !== 13 && unit !== 92) return place
  LINE_BREAK.lastIndex = place
  return LINE_BREAK.test(text) ? LINE_BREAK.lastIndex : place
}

/** Adds the characters on both sides of a match in Base64, which contain bits of the value, too. */
function widened(text: string, { base64 }: Form, { start, end }: TextRange): TextRange {
  if (!base64) return { start, end }
  const before = BASE64_CHARACTER.test(text.charAt(start - 1)) ? 1 : 0
  const after = BASE64_CHARACTER.test(text.charAt(end)) ? 1 : 0
  return { start: start - before, end: end + after }
}
