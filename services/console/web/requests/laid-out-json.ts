/** Formats JSON on indented lines, for people. */
import { useEffect, useMemo, useState } from 'react'

/** A text up to this length is formatted at once. */
const MAX_AT_ONCE = 50_000
/** A longer text is shown unformatted. */
const MAX_CHARACTERS = 5_000_000
/** A long text is formatted in slices of this many tokens or this time, with pauses for other events. */
const SLICE_TOKENS = 2_000
const SLICE_MS = 8

/**
 * Formats JSON without parsing its values, so that numbers keep all their digits. Null for text that is not
 * JSON. With `isCut`, the text may end anywhere.
 */
export function laidOutJson(text: string, isCut = false): string | null {
  const work = layingOut(text, isCut)
  for (;;) {
    const { done, value } = work.next()
    if (done === true) return value
  }
}

/** Does the same as a hook. A long text takes a moment: the result is null until then. */
export function useLaidOutJson(text: string, isCut = false): string | null {
  const isShort = text.length <= MAX_AT_ONCE
  const short = useMemo(() => (isShort ? laidOutJson(text, isCut) : null), [isShort, isCut, text])
  const [long, setLong] = useState<{ readonly text: string; readonly laidOut: string | null } | null>(null)
  useEffect(() => {
    if (isShort || text.length > MAX_CHARACTERS) return undefined
    const work = layingOut(text, isCut)
    let timer: ReturnType<typeof setTimeout> | undefined
    const go = (): void => {
      const until = performance.now() + SLICE_MS
      do {
        const { done, value } = work.next()
        if (done === true) return setLong({ text, laidOut: value })
      } while (performance.now() < until)
      timer = setTimeout(go)
    }
    timer = setTimeout(go)
    return () => clearTimeout(timer)
  }, [isShort, isCut, text])
  return isShort ? short : long?.text === text ? long.laidOut : null
}

function* layingOut(text: string, isCut: boolean): Generator<undefined, string | null> {
  if (!(isCut ? BEGINS_AS_JSON.test(text) : isJson(text))) return null
  yield
  let laidOut = ''
  let depth = 0
  let taken = 0
  const line = (): string => `\n${'  '.repeat(depth)}`
  const tokens = text.matchAll(/"(?:[^"\\]|\\.)*(?:"|\\?$)|[[\]{},:]|[^\s[\]{},:"]+/g)
  let previous = ''
  for (const [token] of tokens) {
    if (token === '{' || token === '[') {
      laidOut += afterOpening(previous) ? `${line()}${token}` : token
      depth += 1
    } else if (token === '}' || token === ']') {
      depth -= 1
      laidOut += previous === '{' || previous === '[' ? token : `${line()}${token}`
    } else if (token === ',') laidOut += token
    else if (token === ':') laidOut += ': '
    else laidOut += afterOpening(previous) ? `${line()}${token}` : token
    previous = token
    taken += 1
    if (taken % SLICE_TOKENS === 0) yield
  }
  return laidOut
}

/** Matches the start of an object or list, with the start of a token that may come next. */
const BEGINS_AS_JSON = /^\s*(?:\{\s*"|\[\s*["\d[{\-tfn])/

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const afterOpening = (previous: string): boolean => ['{', '[', ','].includes(previous)
