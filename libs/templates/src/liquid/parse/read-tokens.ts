/**
 * Cuts a template's text at its delimiters. It drops white space beside a dash (`{%-`, `-%}`), and finds no
 * tags inside `raw`, `comment` and `doc`. liquidjs reads the expressions inside of the delimiters.
 */
import type { Tokenizer } from 'liquidjs'
import { ExpressionTokenizer } from './expression-tokenizer.ts'
import { TemplateFault } from '../template-fault.ts'
import type { TagSource } from './template-syntax.ts'

/** `begin` is the token's place in the text. */
export type TopLevelToken =
  | { readonly kind: 'text'; readonly begin: number; readonly text: string }
  /** Text between `{% raw %}` and `{% endraw %}`. */
  | { readonly kind: 'raw'; readonly begin: number; readonly text: string }
  | { readonly kind: 'output'; readonly begin: number; readonly range: [number, number] }
  | { readonly kind: 'tag'; readonly tag: TagSource }

const MAX_EXCERPT = 32

/** Throws a `TemplateFault`, or an error of liquidjs's, for a tag that is not closed. */
export function readTokens(text: string): TopLevelToken[] {
  return new TokenReader(text).read()
}

class TokenReader {
  readonly #text: string
  readonly #tokens: TopLevelToken[] = []
  #at = 0
  /** True if the next text loses the white space at its start. */
  #trims = false

  constructor(text: string) {
    this.#text = text
  }

  read(): TopLevelToken[] {
    const text = this.#text
    for (;;) {
      const open = nextOpening(text, this.#at)
      this.#addText(open, text.charAt(open + 2) === '-')
      if (open >= text.length) return this.#tokens
      if (text.charAt(open + 1) === '{') this.#output(open)
      else this.#tag(open)
    }
  }

  #addText(end: number, trimsEnd: boolean): void {
    const begin = this.#at
    let text = this.#text.slice(begin, end)
    if (this.#trims) text = text.trimStart()
    if (trimsEnd) text = text.trimEnd()
    if (text !== '') this.#tokens.push({ kind: 'text', begin, text })
  }

  #output(begin: number): void {
    const end = endOfOutput(this.#text, begin + 2)
    if (end < 0) throw new TemplateFault(`output ${this.#excerpt(begin)} not closed`, begin)
    this.#tokens.push({ kind: 'output', begin, range: this.#takeRange(begin, end) })
  }

  /** Moves behind the delimiters. Returns the range between them, without dashes. */
  #takeRange(begin: number, end: number): [number, number] {
    const text = this.#text
    const from = begin + (text.charAt(begin + 2) === '-' ? 3 : 2)
    this.#trims = end - 3 >= from && text.charAt(end - 3) === '-'
    this.#at = end
    return [from, end - (this.#trims ? 3 : 2)]
  }

  #tag(begin: number): void {
    const close = this.#text.indexOf('%}', begin + 2)
    if (close < 0) throw new TemplateFault(`tag ${this.#excerpt(begin)} not closed`, begin)
    const range = this.#takeRange(begin, close + 2)
    const tokenizer = new ExpressionTokenizer(this.#text, range)
    const tag = tagOf(begin, tokenizer, range[1])
    if (tag.name === 'raw') this.#raw(begin)
    else if (tag.name === 'comment') this.#comment(begin)
    else if (tag.name === 'doc') this.#doc(begin, tag.args)
    else this.#tokens.push({ kind: 'tag', tag })
  }

  #raw(begin: number): void {
    const from = this.#at
    const end = this.#closing(/\{%-?\s*endraw\s*-?%\}/g, 'raw', begin)
    this.#tokens.push({ kind: 'raw', begin, text: this.#text.slice(from, end) })
  }

  /** Skips a comment. It ends where as many comments have ended as have begun. */
  #comment(begin: number): void {
    const tag = /\{%-?\s*(comment|endcomment|raw)\b/g
    tag.lastIndex = this.#at
    for (let depth = 1; depth > 0;) {
      const found = tag.exec(this.#text)
      if (found === null) throw notClosed('comment', begin)
      this.#at = found.index
      if (found[1] === 'raw') this.#closing(/\{%-?\s*endraw\s*-?%\}/g, 'comment', begin)
      else depth += found[1] === 'comment' ? 1 : -1
      // Without this, each `endcomment` would search the rest of the text.
      if (this.#text.indexOf('%}', this.#at) < 0) throw notClosed('comment', begin)
      if (depth === 0) this.#closing(/\{%-?\s*endcomment\b.*?%\}/gs, 'comment', begin)
      tag.lastIndex = Math.max(tag.lastIndex, this.#at)
    }
  }

  #doc(begin: number, args: string): void {
    if (args.trim() !== '') throw new TemplateFault(`unexpected "${args.trim()}" in {% doc %}`, begin)
    const from = this.#at
    const end = this.#closing(/\{%-?\s*enddoc\s*-?%\}/g, 'doc', begin)
    const inner = this.#text.slice(from, end).search(/\{%-?\s*doc\b/)
    if (inner >= 0) throw new TemplateFault('{% doc %} cannot stand in {% doc %}', from + inner)
  }

  /** Moves behind the next end tag that fits the pattern. Returns the place where that tag begins. */
  #closing(pattern: RegExp, name: string, begin: number): number {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)
    if (found === null && name === 'raw')
      throw new TemplateFault(`raw ${this.#excerpt(begin)} not closed`, this.#at)
    if (found === null) throw notClosed(name, begin)
    this.#takeRange(found.index, pattern.lastIndex)
    return found.index
  }

  #excerpt(begin: number): string {
    const rest = this.#text.slice(begin)
    return JSON.stringify(rest.length > MAX_EXCERPT ? `${rest.slice(0, MAX_EXCERPT - 3)}...` : rest)
  }
}

/** Reads a tag whose tokenizer is before its name. Throws a `TemplateFault` if there is no name. */
export function tagOf(begin: number, tokenizer: Tokenizer, end: number): TagSource {
  const name = tokenizer.readTagName()
  if (name === '') throw new TemplateFault('illegal tag syntax, tag name expected', tokenizer.p)
  tokenizer.skipBlank()
  return { name, args: tokenizer.input.slice(tokenizer.p, end).trimEnd(), begin, tokenizer }
}

export function notClosed(name: string, begin: number): TemplateFault {
  return new TemplateFault(`{% ${name} %} is not closed: {% end${name} %} is missing`, begin)
}

/** Returns the place of the next `{{` or `{%`; the end of the text if there is none. */
function nextOpening(text: string, from: number): number {
  let at = text.indexOf('{', from)
  while (at >= 0) {
    const next = text.charAt(at + 1)
    if (next === '{' || next === '%') return at
    at = text.indexOf('{', at + 1)
  }
  return text.length
}

/** Returns the place behind the next `}}` outside of quotes; -1 if there is none. */
function endOfOutput(text: string, from: number): number {
  let at = from
  while (at < text.length) {
    const character = text.charAt(at)
    if (character === '}' && text.charAt(at + 1) === '}') return at + 2
    at = character === '"' || character === "'" ? endOfQuoted(text, at) : at + 1
  }
  return -1
}

function endOfQuoted(text: string, begin: number): number {
  const quote = text.charAt(begin)
  for (let at = begin + 1; at < text.length; at += 1) {
    if (text.charAt(at) === '\\') at += 1
    else if (text.charAt(at) === quote) return at + 1
  }
  return text.length
}
