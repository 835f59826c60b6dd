/** Texts from outside may have any length. These functions bound them before they go into records. */

/** Of the body of an answer, of a part and of a test, so much is recorded: all of it, or its beginning. */
export const RECORDED_BODY_BYTES = 64 * 1024

const encoder = new TextEncoder()
const CUT = ' …'
const CUT_BYTES = encoder.encode(CUT).length

/**
 * The text, if it has at most that many bytes in UTF-8. Otherwise its beginning, with a sign that it goes on.
 * No character is cut.
 */
export function boundedText(text: string, mostBytes: number): string {
  // A character of a string takes three bytes at most: most texts need not be measured.
  if (text.length * 3 <= mostBytes) return text
  const { read } = encoder.encodeInto(text, new Uint8Array(mostBytes))
  if (read === text.length) return text
  const kept = encoder.encodeInto(text, new Uint8Array(Math.max(mostBytes - CUT_BYTES, 0)))
  return text.slice(0, kept.read) + CUT
}

/** As `boundedText`, for a text that may be missing. */
export function boundedOrNull(text: string | null, mostBytes: number): string | null {
  return text === null ? null : boundedText(text, mostBytes)
}
