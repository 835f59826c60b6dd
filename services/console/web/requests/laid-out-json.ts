/** JSON on lines of its own, for people. */
import { useEffect, useMemo, useState } from 'react'

/** Shorter ones are laid out at once. */
const AT_ONCE = 50_000
/** Larger ones are shown as they came. */
const MAX_CHARACTERS = 5_000_000
/** So many tokens, and so long, between two looks at what else the page has to do. */
const TOKENS = 2_000
const SLICE_MS = 8

/**
 * JSON on lines of its own, without reading its values: a number keeps each digit that it was written with.
 * Null for text that is not JSON. Of a text that is cut, only the beginning is looked at.
 */
export function laidOutJson(text: string, isCut = false): string | null {
  const work = layingOut(text, isCut)
  for (;;) {
    const { done, value } = work.next()
    if (done === true) return value
  }
}

/** The same, by a long text a moment later: null until then. */
export function useLaidOutJson(text: string, isCut = false): string | null {
  const isShort = text.length <= AT_ONCE
  const short = useMemo(() => (isShort ? laidOutJson(text, isCut) : null), [isShort, isCut, text])
  const [long, setLong] = useState<{ readonly of: string; readonly laidOut: string | null } | null>(null)
  useEffect(() => {
    if (isShort || text.length > MAX_CHARACTERS) return undefined
    const work = layingOut(text, isCut)
    let timer: ReturnType<typeof setTimeout> | undefined
    const go = (): void => {
      const until = performance.now() + SLICE_MS
      do {
        const { done, value } = work.next()
        if (done === true) return setLong({ of: text, laidOut: value })
      } while (performance.now() < until)
      timer = setTimeout(go)
    }
    timer = setTimeout(go)
    return () => clearTimeout(timer)
  }, [isShort, isCut, text])
  return isShort ? short : long?.of === text ? long.laidOut : null
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
    if (taken % TOKENS === 0) yield
  }
  return laidOut
}

/** An object or a list, with what may come first in it. */
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
