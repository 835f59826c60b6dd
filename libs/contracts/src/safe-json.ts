/** Characters that a terminal obeys, and that JSON lets stand in a text. */
const OBEYED = /[\u007f-\u009f\p{Bidi_Control}\u2028\u2029]/gu

/** The same JSON with escapes for them. */
export function safeJson(json: string): string {
  return json.replaceAll(
    OBEYED,
    character => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  )
}
