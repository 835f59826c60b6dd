/**
 * Text between the quotes of a JSON template. Texts of rows are escaped there. Text of the template is not,
 * since its author means the quotes. Filters mix the two: in `{{ row.x | replace: ', ', '","' }}`, the quotes
 * come from the template. So while such filters work, marks stand for the row's characters that JSON escapes.
 */
import { EscapedText, printValue, type TextCounter } from '../values/print-value.ts'
import { isMap } from './operators.ts'
import { TemplateFault } from './template-fault.ts'
import { unpackJson } from '../values/plain-value.ts'

/**
 * Code points that Unicode reserves, so that no text should have them. If a row has one, it is written as the
 * third of them and a letter.
 */
const MARKS: { readonly [character: string]: string } = {
  '"': '\ufdd0',
  '\\': '\ufdd1',
  '\ufdd0': '\ufdd2a',
  '\ufdd1': '\ufdd2b',
  '\ufdd2': '\ufdd2c',
}
const MARKED = /["\\\ufdd0-\ufdd2]/g
const MEANT: { readonly [mark: string]: string } = Object.fromEntries(
  Object.entries(MARKS).map(([character, mark]) => [mark, character]),
)
const MARK = /[\ufdd0\ufdd1]|\ufdd2[abc]/g
const ESCAPED = /["\\\u0000-\u001f]/
const MARK_OR_CONTROL = /[\u0000-\u001f\ufdd0-\ufdd2]/
const CONTROL = /[\u0000-\u001f]/g

/** A text with characters of the template, and with characters of rows, which are marked. */
export class WrittenText extends EscapedText {
  readonly marked: string

  constructor(marked: string) {
    super(withoutMarks(marked))
    this.marked = marked
  }
}

function withMarks(text: string): string {
  // Most texts have no such character, and a search is cheaper than a replacement.
  return text.search(MARKED) < 0 ? text : text.replaceAll(MARKED, character => MARKS[character] ?? character)
}

function withoutMarks(text: string): string {
  return text.search(MARK) < 0 ? text : text.replaceAll(MARK, mark => MEANT[mark] ?? mark)
}

const MAX_DEPTH = 100

/** Counts the items as work, since a list may hold another one many times over. Returns the list. */
function chargedItems(list: readonly unknown[], counter: TextCounter, depth: number): readonly unknown[] {
  if (depth > MAX_DEPTH) throw new TemplateFault('the list is nested too deep')
  counter.charge(list.length + 1)
  return list
}

/** Marks the texts of a row's value. Maps stay unmarked, since filters look into them. */
export function marked(value: unknown, counter: TextCounter, depth = 0): unknown {
  if (typeof value === 'string') return withMarks(value)
  if (value instanceof WrittenText) return value.marked
  const plain = unpackJson(value)
  if (Array.isArray(plain))
    return chargedItems(plain, counter, depth).map(item => marked(item, counter, depth + 1))
  return plain
}

/** Prints the maps in a marked value, as filters that make text do, and marks the result. */
export function markedText(value: unknown, counter: TextCounter, depth = 0): unknown {
  if (Array.isArray(value))
    return chargedItems(value, counter, depth).map(item => markedText(item, counter, depth + 1))
  return isMap(value) ? withMarks(printValue(value, counter)) : value
}

/** Takes the marks out of a value again. */
export function unmarked(value: unknown, counter: TextCounter, depth = 0): unknown {
  if (typeof value === 'string') return withoutMarks(value)
  if (!Array.isArray(value)) return value
  return chargedItems(value, counter, depth).map(item => unmarked(item, counter, depth + 1))
}

/** Returns the text as it is written between quotes. Line breaks are escaped, even the template's own. */
export function writtenInQuotes({ marked: text }: WrittenText): string {
  if (text.search(MARK_OR_CONTROL) < 0) return text
  return text
    .replaceAll(MARK, mark => {
      const meant = MEANT[mark] ?? mark
      return ESCAPED.test(meant) ? `\\${meant}` : meant
    })
    .replaceAll(CONTROL, inJson)
}

function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

/**
 * Escapes a text of a row for its place between quotes. `isJson` says that a filter such as `json` escaped
 * the text, or a part of it. A text that is valid between quotes then stays as it is.
 */
export function escapedInQuotes(text: string, isJson: boolean): string {
  if (!ESCAPED.test(text)) return text
  return isJson && isValidInQuotes(text) ? text : inJson(text)
}

/** True for text that is valid between quotes as it is. */
function isValidInQuotes(text: string): boolean {
  try {
    JSON.parse(`"${text}"`)
    return true
  } catch {
    return false
  }
}

/** True if JSON has to escape a character of the text. */
export function hasEscapes(text: string): boolean {
  return ESCAPED.test(text)
}

/** Returns true if quotes are open behind this text; null if its last character is an open escape. */
export function insideAfter(text: string, inside: boolean): boolean | null {
  let open = inside
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]
    if (character === '"') open = !open
    else if (character === '\\' && open) {
      at += 1
      if (at >= text.length) return null
    }
  }
  return open
}
