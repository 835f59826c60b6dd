/** Headers: no value can end its line and begin another. */
import type { Escaping } from './compile-template.ts'
import { printableCharacter } from './printable.ts'
import { TemplateFault } from './template-fault.ts'

/** A header's name as RFC 9110 §5.1 has it. */
export const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const LINE_BREAK = /[\r\n]/
const NOT_ALLOWED = /[^\t\u0020-\u007e\u0080-\u00ff]/u

export const HEADER_ESCAPING: Escaping = {
  escape: withoutLineBreak,
  again: withoutLineBreak,
  raw: withoutLineBreak,
}

function withoutLineBreak(text: string): string {
  if (LINE_BREAK.test(text))
    throw new TemplateFault('a value has a line break, which would begin another header')
  return text
}

/** The value as it is sent; throws a `TemplateFault` for what no header can carry. */
export function finishHeader(rendered: string): string {
  const value = rendered.trim()
  if (LINE_BREAK.test(value))
    throw new TemplateFault('the header has a line break, which would begin another header')
  const wrong = NOT_ALLOWED.exec(value)
  if (wrong !== null)
    throw new TemplateFault(
      `the header has ${printableCharacter(wrong[0])}, which headers cannot carry; use "| url_encode" or "| base64_encode"`,
    )
  return value
}
