/** Requests and answers as lines for people. */
import { safe, shownKey } from './paint.ts'
import { counted } from './wording.ts'

const MAX_KEYS = 3

/** The keys of a request's rows. If there are many, their number and the first keys. */
export function keysText(keys: readonly string[]): string {
  const shown = keys.slice(0, MAX_KEYS).map(shownKey).join(', ')
  return keys.length > MAX_KEYS ? `${counted(keys.length, 'row')}: ${shown}, …` : shown
}

/** Headers and body, indented. */
export function messageLines(headers: { readonly [name: string]: string }, body: string | null): string[] {
  const lines = Object.entries(headers).map(([name, value]) => `  ${safe(name)}: ${safe(value)}`)
  if (body !== null && body !== '') {
    lines.push(
      ...body
        .replace(/\n$/, '')
        .split('\n')
        .map(line => (line === '' ? '' : `  ${safe(line)}`)),
    )
  }
  return lines
}
