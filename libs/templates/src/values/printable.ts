import { Decimal } from '@sluice/contracts/values'

const MAX_SHOWN = 40

/** A value as messages name it: its kind, and the value itself if it is short. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (typeof value === 'string') return `the text ${JSON.stringify(shortened(value))}`
  if (typeof value === 'number' || typeof value === 'bigint' || value instanceof Decimal)
    return `the number ${shortened(String(value))}`
  if (typeof value === 'boolean') return String(value)
  if (value instanceof Uint8Array) return 'bytes'
  return Array.isArray(value) ? 'a list' : 'a map'
}

/** A text out of a row as messages show it: its beginning, on one line. */
export function shortened(text: string): string {
  return printableLine(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text)
}

/**
 * Characters that would act on a terminal or a log instead of showing: controls, line separators, and marks
 * that turn the direction of what follows.
 */
const ACTING =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g

/** A piece of a rendered text as one line of a message. */
export function printableLine(text: string): string {
  return text.toWellFormed().replaceAll(/\s+/g, ' ').replaceAll(ACTING, '�')
}

/** One character as a message names it: in quotes, or by its number if it is invisible. */
export function printableCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0
  if (character === '\n') return 'a line break'
  if (character === '\t') return 'a tab'
  if (!character.isWellFormed() || character.search(ACTING) >= 0 || (code !== 0x20 && /\s/.test(character)))
    return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
  return JSON.stringify(character)
}
