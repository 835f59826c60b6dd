/**
 * Escapes values in XML templates, and checks that a body is well-formed (XML 1.0, fifth edition). A DOCTYPE
 * is refused: no API wants one, and attacks on XML parsers use it.
 */
import type { Escaping } from '../liquid/compile-template.ts'
import { printableCharacter } from '../values/printable.ts'
import { TemplateFault } from '../liquid/template-fault.ts'

const TO_ESCAPE = /[&<>"'\r]/g
const ESCAPED: { readonly [character: string]: string } = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
  // A parser would read a bare carriage return as a line feed.
  '\r': '&#13;',
}
/** XML may not hold these characters, not even escaped. Lone surrogates are among them. */
const FORBIDDEN = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u

export const XML_ESCAPING: Escaping = {
  escape: (text, before) => {
    const escaped = allowed(text).replaceAll(TO_ESCAPE, character => ESCAPED[character] ?? '')
    return withoutBlanksOf(escaped, before)
  },
  again: withoutBlanksOf,
  raw: allowed,
}

/** Parsers turn unescaped line breaks and tabs in an attribute into spaces (XML 1.0, 3.3.3). */
const BLANKS_OF_ATTRIBUTES: { readonly [character: string]: string } = {
  '\n': '&#10;',
  '\t': '&#9;',
  '\r': '&#13;',
}

function withoutBlanksOf(text: string, before: string): string {
  if (!/[\n\t\r]/.test(text) || !endsInAttribute(before)) return text
  return text.replaceAll(/[\n\t\r]/g, character => BLANKS_OF_ATTRIBUTES[character] ?? '')
}

/** True if the next character would be in the value of an attribute. A tag has no "<" in it. */
function endsInAttribute(before: string): boolean {
  const open = before.lastIndexOf('<')
  if (open < 0 || !/[\w:\u0080-\uffff]/.test(before.charAt(open + 1))) return false
  let quote = ''
  for (let at = open + 1; at < before.length; at += 1) {
    const character = before.charAt(at)
    if (quote !== '') quote = character === quote ? '' : quote
    else if (character === '"' || character === "'") quote = character
    else if (character === '>') return false
  }
  return quote !== ''
}

function allowed(text: string): string {
  const found = FORBIDDEN.exec(text)
  if (found === null) return text
  throw new TemplateFault(`a value has ${printableCharacter(found[0])}, which XML cannot hold`)
}

export interface XmlError {
  readonly at: number
  readonly message: string
}

/** Returns the first error that makes the text no well-formed XML; null if there is none. */
export function xmlError(text: string): XmlError | null {
  try {
    new XmlReader(text).read()
    return null
  } catch (error) {
    if (error instanceof TemplateFault) return { at: error.at ?? 0, message: error.message }
    throw error
  }
}

const NAME_START =
  ':A-Z_a-z\\u{c0}-\\u{d6}\\u{d8}-\\u{f6}\\u{f8}-\\u{2ff}\\u{370}-\\u{37d}\\u{37f}-\\u{1fff}\\u{200c}-\\u{200d}\\u{2070}-\\u{218f}\\u{2c00}-\\u{2fef}\\u{3001}-\\u{d7ff}\\u{f900}-\\u{fdcf}\\u{fdf0}-\\u{fffd}\\u{10000}-\\u{effff}'
const NAME = new RegExp(
  `[${NAME_START}][${NAME_START}.0-9\\u{b7}\\u{300}-\\u{36f}\\u{203f}-\\u{2040}-]*`,
  'uy',
)
const BLANK = /[ \t\r\n]+/y
const REFERENCE = /&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));/y
const DECLARATION =
  /<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"1\.\d+"|'1\.\d+')(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:"[A-Za-z][\w.-]*"|'[A-Za-z][\w.-]*'))?(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\r\n]*\?>/y
const MAX_DEPTH = 1_000

interface OpenElement {
  readonly name: string
  readonly at: number
}

class XmlReader {
  readonly #text: string
  #at = 0
  readonly #open: OpenElement[] = []
  #hasRoot = false

  constructor(text: string) {
    this.#text = text
  }

  /** Reads all of the text. Throws a `TemplateFault` with the place of the first error. */
  read(): void {
    const found = FORBIDDEN.exec(this.#text)
    if (found !== null) this.#fail(`${printableCharacter(found[0])} is no character of XML`, found.index)
    if (this.#text.startsWith('\ufeff')) this.#at = 1
    if (this.#take(DECLARATION) === null && this.#text.startsWith('<?xml', this.#at))
      this.#fail('the XML declaration is not understood')
    while (this.#at < this.#text.length) {
      if (this.#text[this.#at] === '<') this.#markup()
      else this.#characters()
    }
    const open = this.#open.at(-1)
    if (open !== undefined) this.#fail(`<${open.name}> is not closed`, open.at)
    if (!this.#hasRoot) this.#fail('there is no element', this.#text.length)
  }

  #markup(): void {
    if (this.#text.startsWith('<!--', this.#at)) this.#comment()
    else if (this.#text.startsWith('<![CDATA[', this.#at)) this.#cdata()
    else if (this.#text.startsWith('<?', this.#at)) this.#instruction()
    else if (this.#text.startsWith('</', this.#at)) this.#endTag()
    else if (this.#text.startsWith('<!', this.#at)) this.#fail('a DOCTYPE is not allowed')
    else this.#startTag()
  }

  #comment(): void {
    const end = this.#text.indexOf('--', this.#at + 4)
    if (end < 0) this.#fail('the comment is not closed')
    if (this.#text[end + 2] !== '>') this.#fail('a comment cannot hold "--"', end)
    this.#at = end + 3
  }

  #cdata(): void {
    if (this.#open.length === 0) this.#fail('CDATA stands outside of the root element')
    this.#at = this.#endOf(']]>', 'the CDATA section is not closed')
  }

  #instruction(): void {
    const begin = this.#at
    this.#at += 2
    const name = this.#take(NAME)
    if (name === null || name.toLowerCase() === 'xml')
      this.#fail('an XML declaration can only stand at the very beginning', begin)
    this.#at = this.#endOf('?>', 'the processing instruction is not closed')
  }

  /** Returns the place behind the next `closing`. Fails with the message if there is none. */
  #endOf(closing: string, message: string): number {
    const end = this.#text.indexOf(closing, this.#at)
    if (end < 0) this.#fail(message)
    return end + closing.length
  }

  #startTag(): void {
    const begin = this.#at
    this.#at += 1
    const name = this.#take(NAME)
    if (name === null) this.#fail('"<" begins no tag; a "<" in a text is written &lt;', begin)
    if (this.#open.length === 0 && this.#hasRoot) this.#fail(`<${name}> is a second root element`, begin)
    this.#hasRoot = true
    const attributes = new Set<string>()
    for (;;) {
      const blank = this.#take(BLANK)
      if (this.#text.startsWith('/>', this.#at)) {
        this.#at += 2
        return
      }
      if (this.#text[this.#at] === '>') {
        this.#at += 1
        this.#open.push({ name, at: begin })
        if (this.#open.length > MAX_DEPTH)
          this.#fail(`elements are nested deeper than ${MAX_DEPTH} levels`, begin)
        return
      }
      if (blank === null) this.#fail(`expected whitespace, ">" or "/>" in <${name}>`)
      this.#attribute(name, attributes)
    }
  }

  #attribute(element: string, seen: Set<string>): void {
    const begin = this.#at
    const name = this.#take(NAME)
    if (name === null) this.#fail(`expected an attribute, ">" or "/>" in <${element}>`)
    if (seen.has(name)) this.#fail(`the attribute ${name} is there twice`, begin)
    seen.add(name)
    this.#take(BLANK)
    if (this.#text[this.#at] !== '=') this.#fail(`expected "=" after the attribute ${name}`)
    this.#at += 1
    this.#take(BLANK)
    const quote = this.#text[this.#at]
    if (quote !== '"' && quote !== "'") this.#fail(`the value of the attribute ${name} is not in quotes`)
    const end = this.#text.indexOf(quote, this.#at + 1)
    if (end < 0) this.#fail(`the value of the attribute ${name} is not closed`)
    this.#at += 1
    while (this.#at < end) {
      const character = this.#text[this.#at]
      if (character === '<') this.#fail(`a "<" in the attribute ${name} is written &lt;`)
      if (character === '&') this.#reference()
      else this.#at += 1
    }
    this.#at = end + 1
  }

  #endTag(): void {
    const begin = this.#at
    this.#at += 2
    const name = this.#take(NAME)
    this.#take(BLANK)
    if (name === null || this.#text[this.#at] !== '>') this.#fail('the end tag is not understood', begin)
    const open = this.#open.pop()
    if (open === undefined) this.#fail(`</${name}> closes nothing`, begin)
    if (open.name !== name) this.#fail(`</${name}> does not close <${open.name}>`, begin)
    this.#at += 1
  }

  /** Reads text between tags. */
  #characters(): void {
    const next = this.#text.indexOf('<', this.#at)
    const end = next < 0 ? this.#text.length : next
    const text = this.#text.slice(this.#at, end)
    if (this.#open.length === 0) {
      const stray = text.search(/[^ \t\r\n]/)
      if (stray >= 0) this.#fail('text stands outside of the root element', this.#at + stray)
    }
    const section = text.indexOf(']]>')
    if (section >= 0) this.#fail('"]]>" in a text is written ]]&gt;', this.#at + section)
    while (this.#skipTo('&', end)) this.#reference()
    this.#at = end
  }

  /** Moves to the next `character` before `end`. Returns false if there is none. */
  #skipTo(character: string, end: number): boolean {
    const next = this.#text.slice(this.#at, end).indexOf(character)
    if (next >= 0) this.#at += next
    return next >= 0
  }

  #reference(): void {
    REFERENCE.lastIndex = this.#at
    const match = REFERENCE.exec(this.#text)
    if (match === null) this.#fail('"&" begins no reference that XML knows; a "&" in a text is written &amp;')
    const [, , decimal, hex] = match
    const digits = decimal ?? hex
    if (digits !== undefined) {
      const code = Number.parseInt(digits, decimal === undefined ? 16 : 10)
      if (code > 0x10ffff || FORBIDDEN.test(String.fromCodePoint(code)))
        this.#fail(`${match[0]} is no character of XML`)
    }
    this.#at = REFERENCE.lastIndex
  }

  #take(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)
    if (match === null) return null
    this.#at = pattern.lastIndex
    return match[0]
  }

  #fail(message: string, at = this.#at): never {
    throw new TemplateFault(message, at)
  }
}
