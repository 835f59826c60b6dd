/**
 * Reads a file of a project. A file that others wrote may be a pipe that never ends, a device, or larger than
 * memory. It may also be replaced at any moment, so what counts is what was opened.
 */
import { closeSync, constants, fstatSync, openSync, readSync, statSync, type Stats } from 'node:fs'
import type { Unreadable } from './decode-utf8.ts'

interface FileLimit {
  readonly maxBytes: number
}

/**
 * The bytes, or why they are not read. Synchronous: such files are small. Throws the system's errors.
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
