/**
 * Text between the quotes of a JSON template. A text of a row is escaped there, and what the template itself
 * writes counts as written. Filters mix the two: of `{{ row.x | replace: ', ', '","' }}`, the quotes come
 * from the template. So while such filters work, characters of the row that JSON escapes stand as marks.
 */
import { EscapedText, printValue, type TextCounter } from '../values/print-value.ts'
import { isMap } from './operators.ts'
import { TemplateFault } from './template-fault.ts'
import { unpackJson } from '../values/plain-value.ts'

/** Code points that Unicode keeps out of texts. If a row has one, it stands as the third with a letter. */
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

/** A text that a template put together of what it writes itself and of texts of rows, which are marked. */
export class WrittenText extends EscapedText {
  readonly marked: string

  constructor(marked: string) {
    super(withoutMarks(marked))
    this.marked = marked
  }
}

function withMarks(text: string): string {
  // Most texts have none, and looking alone is cheaper.
  return text.search(MARKED) < 0 ? text : text.replaceAll(MARKED, character => MARKS[character] ?? character)
}

function withoutMarks(text: string): string {
  return text.search(MARK) < 0 ? text : text.replaceAll(MARK, mark => MEANT[mark] ?? mark)
}

const MAX_DEPTH = 100

/** As many items as it looks at count as work: a list may hold another one many times over. */
function itemsOf(list: readonly unknown[], counter: TextCounter, depth: number): readonly unknown[] {
  if (depth > MAX_DEPTH) throw new TemplateFault('the list is nested too deep')
  counter.charge(list.length + 1)
  return list
}

/** A value of a row, with marks in its texts. Maps stay as they are, since filters look into them. */
export function marked(value: unknown, counter: TextCounter, depth = 0): unknown {
  if (typeof value === 'string') return withMarks(value)
  if (value instanceof WrittenText) return value.marked
  const plain = unpackJson(value)
  if (Array.isArray(plain))
    return itemsOf(plain, counter, depth).map(item => marked(item, counter, depth + 1))
  return plain
}

/** The same with maps printed, as a filter prints them that makes text. */
export function markedText(value: unknown, counter: TextCounter, depth = 0): unknown {
  if (Array.isArray(value))
    return itemsOf(value, counter, depth).map(item => markedText(item, counter, depth + 1))
  return isMap(value) ? withMarks(printValue(value, counter)) : value
}

export function unmarked(value: unknown, counter: TextCounter, depth = 0): unknown {
  if (typeof value === 'string') return withoutMarks(value)
  if (!Array.isArray(value)) return value
  return itemsOf(value, counter, depth).map(item => unmarked(item, counter, depth + 1))
}

/** As it stands between quotes. A line break cannot, whoever writes it. */
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
 * A text of a row, between quotes. `isJson`: a filter has escaped it, which is enough where it was all of it.
 */
export function escapedInQuotes(text: string, isJson: boolean): string {
  if (!ESCAPED.test(text)) return text
  return isJson && isInside(text) ? text : inJson(text)
}

/** True for text that stands between quotes as it is. */
function isInside(text: string): boolean {
  try {
    JSON.parse(`"${text}"`)
    return true
  } catch {
    return false
  }
}

/** True if JSON would have to escape it. */
export function hasEscapes(text: string): boolean {
  return ESCAPED.test(text)
}

/** Whether quotes are open behind this text; null if its last backslash escapes what follows. */
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
