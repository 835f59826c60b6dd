/** Questions to the person at the terminal: a yes, or a value that nobody else is to see. */
import { SluiceError } from '@sluice/contracts/errors'
import { FILE_CEILING_BYTES } from '@sluice/domain/record-sizes'
import type { CommandContext, TextSink, TextSource } from './command.ts'

/** Asks for a yes. Resolves with false for any other answer, and without an answer. */
export async function confirmed(
  question: string,
  { stdin, stderr, signal }: Pick<CommandContext, 'stdin' | 'stderr' | 'signal'>,
): Promise<boolean> {
  stderr.write(`${question} [y/N] `)
  for await (const part of stdin) {
    signal.throwIfAborted()
    return /^y(es)?$/i.test(Buffer.from(part).toString('utf8').trim())
  }
  return false
}

const ENTER = ['\r', '\n']
const INTERRUPT = '\u0003'
const END = '\u0004'
const ERASE = ['\u007f', '\b']

/**
 * Resolves with the value, without the line break at its end. Rejects with `usage` if there is no value or it
 * is too long, and with `aborted` when the person interrupts.
 */
export async function readSecret(
  stdin: TextSource,
  prompt: { readonly text: string; readonly stderr: TextSink; readonly signal: AbortSignal },
): Promise<string> {
  const value = stdin.isTTY === true ? await prompted(stdin, prompt) : await piped(stdin, prompt.signal)
  if (value === '') throw new SluiceError('usage', 'No value was given: type it, or write it to stdin.')
  return value
}

async function piped(stdin: TextSource, signal: AbortSignal): Promise<string> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of stdin) {
    signal.throwIfAborted()
    const buffer = Buffer.from(part)
    bytes += buffer.length
    if (bytes > FILE_CEILING_BYTES)
      throw new SluiceError('usage', `The value is longer than ${FILE_CEILING_BYTES} bytes.`)
    parts.push(buffer)
  }
  return Buffer.concat(parts)
    .toString('utf8')
    .replace(/\r?\n$/, '')
}

/** The terminal shows nothing of what is typed. */
async function prompted(
  stdin: TextSource,
  { text, stderr, signal }: Parameters<typeof readSecret>[1],
): Promise<string> {
  stderr.write(`${text}: `)
  stdin.setRawMode?.(true)
  let typed: string[] = []
  try {
    for await (const part of stdin) {
      signal.throwIfAborted()
      for (const character of Buffer.from(part).toString('utf8')) {
        if (ENTER.includes(character) || character === END) return typed.join('')
        if (character === INTERRUPT) throw new SluiceError('aborted', 'interrupted')
        if (ERASE.includes(character)) typed = typed.slice(0, -1)
        else typed.push(character)
      }
    }
    return typed.join('')
  } finally {
    stdin.setRawMode?.(false)
    stderr.write('\n')
  }
}
