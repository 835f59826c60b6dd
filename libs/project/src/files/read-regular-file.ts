/**
 * Reads a file of a project. A file that others wrote may be a pipe that never ends, a device, or larger than
 * memory. It may also be replaced at any moment, so what counts is what was opened.
 */
import { closeSync, constants, fstatSync, openSync, readSync, statSync, type Stats } from 'node:fs'
import type { Unreadable } from './decode-utf8.ts'

/** The size limit of a YAML file, and of a file that `${file:PATH}` names. */
const MAX_FILE_BYTES = 1_000_000

/** The bytes, or why they are not read. Synchronous: such files are small. Throws the system's errors. */
export function readRegularFile(path: string): Uint8Array | Unreadable {
  const before = unfit(statSync(path))
  if (before !== null) return before
  // Without this flag, opening a pipe waits for its writer.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const opened = unfit(fstatSync(fd))
    if (opened !== null) return opened
    const bytes = Buffer.alloc(MAX_FILE_BYTES + 1)
    let length = 0
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      read = readSync(fd, bytes, length, bytes.length - length, null)
    return length <= MAX_FILE_BYTES ? Uint8Array.from(bytes.subarray(0, length)) : tooLarge('more')
  } finally {
    closeSync(fd)
  }
}

function unfit(stats: Stats): Unreadable | null {
  if (stats.isDirectory()) return { problem: 'the file cannot be read (it is a folder)' }
  if (!stats.isFile()) return { problem: 'wanted a file, found a pipe, socket or device' }
  return stats.size <= MAX_FILE_BYTES ? null : tooLarge(String(stats.size))
}

function tooLarge(found: string): Unreadable {
  return { problem: `wanted a file of at most ${MAX_FILE_BYTES} bytes, found ${found}` }
}
