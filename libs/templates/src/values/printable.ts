import { Decimal } from '@sluice/contracts/values'

const MAX_SHOWN = 40

/** Names a value in a message: its kind, and the beginning of a text or number. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (typeof value === 'string') return `the text ${JSON.stringify(shortened(value))}`
  if (typeof value === 'number' || typeof value === 'bigint' || value instanceof Decimal)
    return `the number ${shortened(String(value))}`
  if (typeof value === 'boolean') return String(value)
  if (value instanceof Uint8Array) return 'bytes'
  return Array.isArray(value) ? 'a list' : 'a map'
}

/** Shortens a row's text for a message, on one line. */
export function shortened(text: string): string {
  return printableLine(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text)
}

/**
 * These characters would act on a terminal or a log instead of showing: controls, line separators, and marks
 * that change the direction of text.
 */
const ACTING =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g

/** Makes a text fit into one line of a message. */
export function printableLine(text: string): string {
  return text.toWellFormed().replaceAll(/\s+/g, ' ').replaceAll(ACTING, '�')
}

/** Names one character in a message: in quotes, or by its number if it is invisible. */
export function printableCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0
  if (character === '\n') return 'a line break'
  if (character === '\t') return 'a tab'
  if (!character.isWellFormed() || character.search(ACTING) >= 0 || (code !== 0x20 && /\s/.test(character)))
    return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
  return JSON.stringify(character)
}
