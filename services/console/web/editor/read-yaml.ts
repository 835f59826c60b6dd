/** Reads the YAML texts of a draft, each of them once. */
import { messageOf } from '@sluice/contracts/errors'
import { parseDocument, type Document } from 'yaml'

/** The reason why a form cannot show a text, with its place, counted from 1. */
export interface Unreadable {
  readonly message: string
  readonly line?: number
  readonly column?: number
}

export function documentOf(text: string): Document {
  return parseDocument(text, { keepSourceTokens: false })
}

interface Read {
  readonly value: unknown
  readonly wrong: Unreadable | null
}

/**
 * The texts that were read last: those of a draft, before and after a change. Each field asks for its own.
 */
const lastRead = new Map<string, Read>()
const MAX_READ = 12

export function read(text: string): Read {
  const known = lastRead.get(text) ?? parsed(text)
  lastRead.delete(text)
  lastRead.set(text, known)
  for (const oldest of lastRead.keys()) {
    if (lastRead.size <= MAX_READ) break
    lastRead.delete(oldest)
  }
  return known
}

function parsed(text: string): Read {
  const document = documentOf(text)
  const [error] = document.errors
  const message = error?.message.split('\n')[0]
  const [at] = error?.linePos ?? []
  const place = at === undefined ? {} : { line: at.line, column: at.col }
  const wrong = message === undefined ? null : { message, ...place }
  try {
    return { value: document.toJS(), wrong }
  } catch (cause) {
    // The YAML may have an alias without an anchor, for example.
    const why = messageOf(cause)
    return { value: null, wrong: wrong ?? { message: why, line: 1, column: 1 } }
  }
}
