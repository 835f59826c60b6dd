/** Characters that JSON allows in a text, and that would change how a terminal shows the rest. */
const TERMINAL_CONTROLS = /[\u007f-\u009f\p{Bidi_Control}\u2028\u2029]/gu

/** Parses JSON. Undefined for a text that is no JSON. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Returns the same JSON with escapes for characters that control a terminal. */
export function safeJson(json: string): string {
  return json.replaceAll(
    TERMINAL_CONTROLS,
    character => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  )
}
