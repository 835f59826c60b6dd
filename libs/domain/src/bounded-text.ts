/** Texts from outside may have any length. These functions bound them before they go into records. */

/** The body of an answer, of a part and of a test is recorded up to this size. */
export const RECORDED_BODY_BYTES = 64 * 1024

const encoder = new TextEncoder()
const CUT = ' …'
const CUT_BYTES = encoder.encode(CUT).length

/**
 * Returns the text, if it has at most that many bytes in UTF-8. Otherwise returns its beginning in whole
 * characters, with a sign that it goes on.
 */
export function boundedText(text: string, mostBytes: number): string {
  // A UTF-16 unit takes three bytes at most, so most texts need not be measured.
  if (text.length * 3 <= mostBytes) return text
  const { read } = encoder.encodeInto(text, new Uint8Array(mostBytes))
  if (read === text.length) return text
  const kept = encoder.encodeInto(text, new Uint8Array(Math.max(mostBytes - CUT_BYTES, 0)))
  return text.slice(0, kept.read) + CUT
}

/** Does the same as `boundedText` for a text that may be missing. */
export function boundedOrNull(text: string | null, mostBytes: number): string | null {
  return text === null ? null : boundedText(text, mostBytes)
}
