/** JSON on lines of its own, for people. */
import { useEffect, useMemo, useState } from 'react'

/** Shorter ones are laid out at once. */
const AT_ONCE = 50_000
/** Larger ones are shown as they came. */
const MOST = 5_000_000
/** So many tokens, and so long, between two looks at what else the page has to do. */
const TOKENS = 2_000
const SLICE_MS = 8

/**
 * JSON on lines of its own, without reading its values: a number keeps each digit that it was written with.
 * Null for text that is not JSON.
 */
export function laidOutJson(text: string): string | null {
  const work = layingOut(text)
  for (;;) {
    const { done, value } = work.next()
    if (done === true) return value
  }
}

/** The same, by a long text a moment later: null until then. */
export function useLaidOutJson(text: string): string | null {
  const isShort = text.length <= AT_ONCE
  const short = useMemo(() => (isShort ? laidOutJson(text) : null), [isShort, text])
  const [long, setLong] = useState<{ readonly of: string; readonly laidOut: string | null } | null>(null)
  useEffect(() => {
    if (isShort || text.length > MOST) return undefined
    const work = layingOut(text)
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
  }, [isShort, text])
  return isShort ? short : long?.of === text ? long.laidOut : null
}

function* layingOut(text: string): Generator<undefined, string | null> {
  try {
    JSON.parse(text)
  } catch {
    return null
  }
  yield
  let laidOut = ''
  let depth = 0
  let taken = 0
  const line = (): string => `\n${'  '.repeat(depth)}`
  const tokens = text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s[\]{},:"]+/g)
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

const afterOpening = (previous: string): boolean => ['{', '[', ','].includes(previous)
