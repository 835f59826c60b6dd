/**
 * Cursors of pages: JSON in base64url. So a cursor needs no quotes in a shell or a URL, whatever key it
 * holds.
 */
import { SluiceError } from '@sluice/contracts/errors'

export function formatCursor(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** The content of a cursor. Throws `usage` if `isOurs` rejects it. */
export function parseCursor<T>(text: string, isOurs: (value: unknown) => value is T): T {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString())
    if (isOurs(value)) return value
  } catch {
    // Falls through to the message below.
  }
  throw notACursor(text)
}

/** True for the content of a cursor that is one text, such as a key. */
export function isText(value: unknown): value is string {
  return typeof value === 'string'
}

export function notACursor(text: string): SluiceError {
  return new SluiceError('usage', `\`${text}\` is not a cursor: take the \`next\` of an earlier page.`)
}
