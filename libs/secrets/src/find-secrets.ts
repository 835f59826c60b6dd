/** Finds where the values of secrets stand in a text, in whatever spelling. */
import { formsOf, type Form } from './spellings.ts'

/** A stretch of a text, in UTF-16 units; `end` is the first unit after it. */
export interface Stretch {
  readonly start: number
  readonly end: number
}

/** If the end of a text cuts a value off, at least so many of its characters have to be there. */
const MIN_CUT_CHARACTERS = 2
const LINE_BREAK = /(?:\r?\n|(?:\\r)?\\n)/y
const BASE64_CHARACTER = /[A-Za-z0-9+/_-]/
/** So many units of a text say whether a value may begin there. No form is shorter. */
const LOOKED_AT_UNITS = 4
const HASH_MASK = 0xffff

/** Compiled once for a list of values of at least four characters, and then used for many texts. */
export class SecretFinder {
  readonly #forms: readonly Form[]
  /** Forms by the hash of the units that they may begin with. */
  readonly #byStart = new Map<number, Form[]>()
  /** 1 for each key of the map. This look alone rules out nearly all places of a text. */
  readonly #starts = new Uint8Array(HASH_MASK + 1)

  constructor(values: readonly string[]) {
    this.#forms = [...new Set(values)].flatMap(formsOf)
    for (const form of this.#forms) for (const start of startsOf(form)) this.#add(hashOfStart(start), form)
  }

  /**
   * The stretches that hold a value, in order. None touches another. With `cut`, the text is the beginning of
   * a longer one, and a value that its end cuts in two counts, too.
   */
  find(text: string, { cut }: { readonly cut: boolean }): readonly Stretch[] {
    const found: Stretch[] = []
    const starts = this.#starts
    const { length } = text
    let hash = 0
    for (let at = 0; at < length; at += 1) {
      hash = hashOf(hash, text.charCodeAt(at))
      if (starts[hash] === 0 || at < LOOKED_AT_UNITS - 1) continue
      // Every place is looked at, also within a match, since another value may begin there and go on behind
      // it.
      this.#look(text, at - LOOKED_AT_UNITS + 1, { forms: this.#byStart.get(hash) ?? [], cut, found })
    }
    if (!cut) return found
    for (let at = Math.max(0, length - LOOKED_AT_UNITS + 1); at < length; at += 1)
      this.#look(text, at, { forms: this.#forms, cut, found })
    return found
  }

  #look(
    text: string,
    at: number,
    {
      forms,
      cut,
      found,
    }: { readonly forms: readonly Form[]; readonly cut: boolean; readonly found: Stretch[] },
  ): void {
    for (const form of forms) {
      const end = endOf(text, at, { form, cut })
      if (end === null) continue
      const stretch = widened(text, form, { start: at, end })
      const last = found.at(-1)
      if (last !== undefined && stretch.start <= last.end)
        found[found.length - 1] = { start: last.start, end: Math.max(last.end, stretch.end) }
      else found.push(stretch)
    }
  }

  #add(start: number, form: Form): void {
    this.#starts[start] = 1
    const forms = this.#byStart.get(start)
    if (forms === undefined) this.#byStart.set(start, [form])
    else if (!forms.includes(form)) forms.push(form)
  }
}

/** Depends on the last four units alone: each step moves older units four of sixteen bits out. */
function hashOf(before: number, unit: number): number {
  return ((before << 4) ^ unit) & HASH_MASK
}

function hashOfStart(start: string): number {
  let hash = 0
  for (let at = 0; at < start.length; at += 1) hash = hashOf(hash, start.charCodeAt(at))
  return hash
}

/** The texts of four units that a form may begin with. */
function startsOf(form: Form): ReadonlySet<string> {
  let open = new Set([''])
  const starts = new Set<string>()
  for (const character of form.characters) {
    const longer = new Set<string>()
    for (const begun of open) {
      const breaks = form.base64 && begun !== '' ? ['', '\n', '\r\n', '\\n', '\\r\\n'] : ['']
      for (const lineBreak of breaks) {
        for (const spelling of form.spell(character).all) {
          const text = begun + lineBreak + spelling
          if (text.length < LOOKED_AT_UNITS) longer.add(text)
          else starts.add(text.slice(0, LOOKED_AT_UNITS))
        }
      }
    }
    if (longer.size === 0) break
    open = longer
  }
  return starts
}

/**
 * Where the longest match that begins there ends, or null. A text may be read in several ways (`\\` is one
 * escaped backslash or two bare ones), so all of them are followed side by side.
 */
function endOf(
  text: string,
  at: number,
  { form, cut }: { readonly form: Form; readonly cut: boolean },
): number | null {
  let places: readonly number[] = [at]
  let matched = 0
  for (const character of form.characters) {
    const ahead: number[] = []
    const mayBeCut = cut && matched >= MIN_CUT_CHARACTERS
    for (const place of places) {
      const from = form.base64 && matched > 0 ? afterLineBreak(text, place) : place
      if (mayBeCut && isCutAt(text, from, form)) return text.length
      for (const spelling of form.spell(character).byFirstUnit.get(text.charCodeAt(from)) ?? []) {
        if (text.startsWith(spelling, from)) ahead.push(from + spelling.length)
        else if (mayBeCut && endsWithin(text, from, spelling)) return text.length
      }
    }
    if (ahead.length === 0) return null
    places = ahead.length === 1 ? ahead : [...new Set(ahead)]
    matched += 1
  }
  return Math.max(...places)
}

/** True if the text ends before the spelling does, and agrees with it so far. */
function endsWithin(text: string, from: number, spelling: string): boolean {
  const left = text.length - from
  return left < spelling.length && spelling.startsWith(text.slice(from))
}

function afterLineBreak(text: string, place: number): number {
  const unit = text.charCodeAt(place)
  if (unit !== 10 && unit !== 13 && unit !== 92) return place
  LINE_BREAK.lastIndex = place
  return LINE_BREAK.test(text) ? LINE_BREAK.lastIndex : place
}

/** True if the text ends there, before the next character of the form or in a line break before it. */
function isCutAt(text: string, from: number, { base64 }: Form): boolean {
  if (from >= text.length) return true
  return base64 && (endsWithin(text, from, '\r\n') || endsWithin(text, from, '\\r\\n'))
}

/** Base64: the characters on both sides hold bits of the value, too. */
function widened(text: string, { base64 }: Form, { start, end }: Stretch): Stretch {
  if (!base64) return { start, end }
  const before = BASE64_CHARACTER.test(text.charAt(start - 1)) ? 1 : 0
  const after = BASE64_CHARACTER.test(text.charAt(end)) ? 1 : 0
  return { start: start - before, end: end + after }
}
