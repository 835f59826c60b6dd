/** A body, laid out if it is JSON, or as it came. Long ones show their beginning first. */
import { useState, type ReactElement } from 'react'
import { bytes } from '../ui/format.ts'
import { CopyButton } from '../ui/parts.tsx'

const FIRST_CHARACTERS = 20_000
/** Larger ones are not laid out: it would hold up the page. */
const MOST_LAID_OUT = 500_000

export function BodyView({ body }: { readonly body: string | null }): ReactElement {
  const [raw, setRaw] = useState(false)
  const [whole, setWhole] = useState(false)
  if (body === null || body === '') return <p className="quiet">No body.</p>
  const laidOut = laidOutJson(body)
  const text = raw || laidOut === null ? body : laidOut
  const shown = whole ? text : text.slice(0, FIRST_CHARACTERS)
  return (
    <div className="body">
      <div className="body-tools">
        <span className="quiet">{bytes(new Blob([body]).size)}</span>
        {laidOut === null || laidOut === body ? null : (
          <button type="button" className="small" aria-pressed={raw} onClick={() => setRaw(!raw)}>
            As sent
          </button>
        )}
        <CopyButton text={body} />
      </div>
      {/* Long lines scroll sideways, also by keyboard. */}
      <pre className="code" tabIndex={0}>
        {shown}
      </pre>
      {text.length > shown.length ? (
        <button type="button" className="small" onClick={() => setWhole(true)}>
          Show all {bytes(new Blob([text]).size)}
        </button>
      ) : null}
    </div>
  )
}

/**
 * JSON on lines of its own, without reading its values: a number keeps each digit that it was written with.
 * Null for text that is not JSON.
 */
export function laidOutJson(text: string): string | null {
  if (text.length > MOST_LAID_OUT) return null
  try {
    JSON.parse(text)
  } catch {
    return null
  }
  let laidOut = ''
  let depth = 0
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
  }
  return laidOut
}

const afterOpening = (previous: string): boolean => ['{', '[', ','].includes(previous)
