/** Checks headers, so that no value can end its line and begin another header. */
import { HOST_WANTED, isHost, NOT_IN_HEADER_VALUE } from '@sluice/contracts/specs/http-texts'
import type { Escaping } from '../liquid/compile-template.ts'
import type { LiteralFault } from './literal-texts.ts'
import { printableCharacter } from '../values/printable.ts'
import { TemplateFault } from '../liquid/template-fault.ts'

const LINE_BREAK = /[\r\n]/

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

/** Returns the value as it is sent. Throws a `TemplateFault` for a text that no header can carry. */
export function finishHeader(rendered: string): string {
  const value = rendered.trim()
  if (LINE_BREAK.test(value))
    throw new TemplateFault('the header has a line break, which would begin another header')
  const wrong = NOT_IN_HEADER_VALUE.exec(value)
  if (wrong !== null) throw new TemplateFault(cannotCarry(wrong[0]))
  return value
}

/**
 * Returns the value of `Host` as it is sent. Throws a `TemplateFault` for a text that is no host, which
 * servers refuse.
 */
export function finishHost(rendered: string): string {
  const value = finishHeader(rendered)
  if (!isHost(value)) throw new TemplateFault(`the header has to be ${HOST_WANTED}`)
  return value
}

/**
 * Finds a fault of a piece of a header's template that no value around it can mend. Line breaks are no fault,
 * since they may be at an end, where white space is cut off.
 */
export function headerLiteralFault(piece: string): LiteralFault | null {
  const wrong = NOT_IN_HEADER_VALUE.exec(piece.replaceAll(LINE_BREAKS, ' '))
  return wrong === null ? null : { index: wrong.index, message: cannotCarry(wrong[0]) }
}
const LINE_BREAKS = /[\r\n]/g

function cannotCarry(character: string): string {
  return `the header has ${printableCharacter(character)}, which headers cannot carry; use "| url_encode" or "| base64_encode"`
}
