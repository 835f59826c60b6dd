/**
 * A fault in a template, or in rendering it. It never leaves this room: compiling turns it into a
 * `SluiceError` with line and column, and rendering turns it into an `unrenderable` result.
 */
export class TemplateFault extends Error {
  /** The place in the template's text, in UTF-16 units; null if the code that catches the fault knows it. */
  readonly at: number | null

  constructor(message: string, at: number | null = null) {
    super(message)
    this.name = 'TemplateFault'
    this.at = at
  }
}

/** A template needs a value that was never captured from an answer. */
export class NeverCaptured extends TemplateFault {
  /** The name of the value. */
  readonly captured: string

  constructor(captured: string) {
    super(
      `captured.${captured} was never captured from an answer; give it a "default" if the request can do without`,
    )
    this.captured = captured
  }
}

/** A render stopped at a limit. Larger rows raise the limit (see `limits.ts`). */
export class LimitFault extends TemplateFault {}

/** Returns line and column of a place in a text, both from 1. Columns count UTF-16 units, as editors do. */
export function placeOf(text: string, at: number): { line: number; column: number } {
  const before = text.slice(0, at)
  const lineStart = before.lastIndexOf('\n') + 1
  let line = 1
  for (let index = before.indexOf('\n'); index >= 0; index = before.indexOf('\n', index + 1)) line += 1
  return { line, column: at - lineStart + 1 }
}
