/**
 * Reads a file of a project. A file that others wrote may be a pipe that never ends, a device, or larger than
 * memory. Somebody may also replace the file at any moment, so the opened file is checked again.
 */
import { closeSync, constants, fstatSync, openSync, readSync, statSync, type Stats } from 'node:fs'

interface FileLimit {
  readonly maxBytes: number
}

/**
 * Returns the bytes, or why they are not read. It is synchronous, since such files are small. Throws the
 * system's errors.
 */
export function readRegularFile(path: string, { maxBytes }: FileLimit): Uint8Array | Unreadable {
  const before = unfit(statSync(path), maxBytes)
  if (before !== null) return before
  // Without this flag, opening a pipe waits for its writer.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const opened = unfit(fstatSync(fd), maxBytes)
    if (opened !== null) return opened
    const bytes = Buffer.alloc(maxBytes + 1)
    let length = 0
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = readSync(fd, bytes, length, bytes.length - length, null)
    return length <= maxBytes ? Uint8Array.from(bytes.subarray(0, length)) : tooLarge(maxBytes, 'more')
  } finally {
    closeSync(fd)
  }
}

function unfit(stats: Stats, maxBytes: number): Unreadable | null {
  if (stats.isDirectory()) return { problem: 'the file cannot be read (it is a folder)' }
  if (!stats.isFile()) return { problem: 'wanted a file, found a pipe, socket or device' }
  return stats.size <= maxBytes ? null : tooLarge(maxBytes, String(stats.size))
}

function tooLarge(maxBytes: number, found: string): Unreadable {
  return { problem: `wanted a file of at most ${maxBytes} bytes, found ${found}` }
}

/** The reason why a file gives no text; `line` counts from 1. */
export interface Unreadable {
  readonly problem: string
  readonly line?: number
}

/**
 * Returns the text without a byte order mark at its start. Recognizes other encodings by their byte order
 * marks and by NUL bytes.
 */
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
