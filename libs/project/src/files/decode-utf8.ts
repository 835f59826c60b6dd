/** Decodes the bytes of a file to text, or says what is wrong with them and where. */

/** Why a file gives no text; `line` counts from 1. */
export interface Unreadable {
  readonly problem: string
  readonly line?: number
}

/** The text without a byte order mark at its start. Marks and NUL bytes give other encodings away. */
export function decodeUtf8(bytes: Uint8Array): string | Unreadable {
  const [first = 0, second = 0] = bytes
  const isUtf16 = (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)
  if (isUtf16) return { problem: 'the file is UTF-16; save it as UTF-8' }
  const nul = bytes.indexOf(0)
  if (nul >= 0) {
    const problem = 'the file has a NUL byte, so it is not UTF-8 text (UTF-16, perhaps); save it as UTF-8'
    return { problem, line: lineAt(bytes, nul) }
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return { problem: 'the file is not UTF-8 text; save it as UTF-8', line: lineAt(bytes, firstWrong(bytes)) }
  }
}

/** The number of bytes before the first one that is not UTF-8. */
function firstWrong(bytes: Uint8Array): number {
  let right = 0
  let wrong = bytes.length
  while (right < wrong) {
    const middle = Math.ceil((right + wrong) / 2)
    if (isUtf8Start(bytes.subarray(0, middle))) right = middle
    else wrong = middle - 1
  }
  return right
}

/** True for valid UTF-8, even if its last character is cut. */
function isUtf8Start(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true })
    return true
  } catch {
    return false
  }
}

function lineAt(bytes: Uint8Array, offset: number): number {
  let line = 1
  for (const byte of bytes.subarray(0, offset)) if (byte === 0x0a) line++
  return line
}
