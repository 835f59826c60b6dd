/** The parts of a message of the server: plain text, text in backticks, and times. */

export interface MessagePart {
  readonly kind: 'text' | 'code' | 'time'
  readonly text: string
}

/** For example `2026-01-02T03:04:05Z`, `2026-01-02T03:04Z` and `2026-01-02 03:04 UTC`. */
const TIMES = /(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:[.]\d+)?)?Z|\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)? UTC)/

/** A single backtick is a plain character. A time has the form that `Date` reads. */
export function messageParts(text: string): readonly MessagePart[] {
  const pieces = text.split('`')
  const marked = pieces.length % 2 === 0 ? [text] : pieces
  return marked
    .flatMap((piece, index): readonly MessagePart[] =>
      index % 2 === 1 ? [{ kind: 'code', text: piece }] : timesIn(piece),
    )
    .filter(part => part.text !== '')
}

function timesIn(text: string): readonly MessagePart[] {
  return text.split(TIMES).map((piece, index) => {
    if (index % 2 === 0) return { kind: 'text', text: piece }
    const iso = piece.replace(' UTC', 'Z').replace(' ', 'T')
    return Number.isNaN(Date.parse(iso)) ? { kind: 'text', text: piece } : { kind: 'time', text: iso }
  })
}
