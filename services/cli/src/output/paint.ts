/** Colours, and text made safe and fit for a terminal. */
import { styleText, stripVTControlCharacters } from 'node:util'

type Style = Parameters<typeof styleText>[0]
export type Paint = (style: Style, text: string) => string

/** Colours text, or leaves it as it is. */
export function painter(color: boolean): Paint {
  return (style, text) => (color ? styleText(style, text, { validateStream: false }) : text)
}

/**
 * Makes text from outside (answers of APIs, rows, file names) safe: characters that a terminal would obey
 * become visible escapes.
 */
export function safe(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, character => {
    if (character === '\n') return '⏎'
    if (character === '\t') return ' '
    if (character === '\r') return ''
    return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`
  })
}

/** A key as people see it. It may be empty. */
export function shownKey(key: string): string {
  return key === '' ? "''" : safe(key)
}

let segmenter: Intl.Segmenter | undefined
/**
 * The segmenter is made with the first text that is not ASCII, since that takes a tenth of a short command.
 */
function graphemesOf(text: string): Iterable<Intl.SegmentData> {
  segmenter ??= new Intl.Segmenter('en', { granularity: 'grapheme' })
  return segmenter.segment(text)
}

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u

/** The number of columns that a text takes on a terminal, without its colour codes. */
export function displayWidth(text: string): number {
  const plain = stripVTControlCharacters(text)
  if (/^[\x20-\x7e]*$/.test(plain)) return plain.length
  let width = 0
  for (const { segment } of graphemesOf(plain)) width += WIDE.test(segment) ? 2 : 1
  return width
}

/** Cuts plain text to a width, and marks the cut with `…`. */
export function fit(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  let cut = ''
  let used = 0
  for (const { segment } of graphemesOf(text)) {
    const wide = displayWidth(segment)
    if (used + wide > Math.max(width, 1) - 1) break
    cut += segment
    used += wide
  }
  return `${cut}…`
}

/** Fills a text, coloured or not, with spaces up to a width. */
export function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const spaces = ' '.repeat(Math.max(0, width - displayWidth(text)))
  return align === 'left' ? text + spaces : spaces + text
}

/** Breaks text into lines of at most `width` columns at spaces; longer words stay whole. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const line = lines.at(-1)
    if (line !== undefined && displayWidth(line) + 1 + displayWidth(word) <= width) {
      lines[lines.length - 1] = `${line} ${word}`
    } else lines.push(word)
  }
  return lines
}

/** The environment that a command works in, or null. */
export function environmentOf(env: { readonly [name: string]: string | undefined }): string | null {
  const name = env['SLUICE_ENV'] ?? ''
  return name === '' ? null : name
}
