/** A body, formatted if it is JSON. A long one first shows only its beginning. */
import { useMemo, useState, type ReactElement } from 'react'
import { bytes } from '../ui/format.ts'
import { CopyButton } from '../ui/parts.tsx'
import { useLaidOutJson } from './laid-out-json.ts'

const FIRST_CHARACTERS = 20_000
/** A text up to this length has its lines wrapped. Wrapping more takes too long. */
const WRAPPED_CHARACTERS = 10_000
/** The browser lays out the text in pieces of this length. A longer line is broken. */
const PIECE_CHARACTERS = 4_000

interface BodyProps {
  readonly body: string | null
  /** The bytes that a truncated body had as a whole. Null if they are unknown. */
  readonly wholeBytes?: number | null | undefined
  /** The name of the text as it is, without layout: `As sent`, `As rendered` or `As received`. */
  readonly asItIs: string
}

export function BodyView(props: BodyProps): ReactElement {
  const { body } = props
  if (body === null || body === '') return <p className="quiet">No body.</p>
  return <Body {...props} body={body} />
}

interface TextProps extends BodyProps {
  readonly body: string
}

function Body({ body, wholeBytes, asItIs }: TextProps): ReactElement {
  const [raw, setRaw] = useState(false)
  const [whole, setWhole] = useState(false)
  const isCut = wholeBytes !== undefined
  const laidOut = useLaidOutJson(body, isCut)
  const size = useMemo(() => new Blob([body]).size, [body])
  const text = raw || laidOut === null ? body : laidOut
  const pieces = useMemo(
    () => piecesOf(whole ? text : text.slice(0, FIRST_CHARACTERS), PIECE_CHARACTERS),
    [text, whole],
  )
  return (
    <div className="body">
      <div className="body-tools">
        <span className="quiet">
          {bytes(size)}
          {isCut && wholeBytes !== null ? ` of ${bytes(wholeBytes)}` : ''}
        </span>
        {laidOut === null || laidOut === body ? null : (
          <button type="button" className="small" aria-pressed={raw} onClick={() => setRaw(!raw)}>
            {asItIs}
          </button>
        )}
        <CopyButton text={body} />
      </div>
      {isCut ? (
        <p className="cut" role="note">
          {wholeBytes === null
            ? `This is the beginning: only the first ${bytes(size)} are kept.`
            : `This is the beginning: ${bytes(size)} of ${bytes(wholeBytes)} are kept.`}
        </p>
      ) : null}
      {/* Long lines of a long text can be scrolled sideways, also by keyboard. */}
      <pre className={text.length <= WRAPPED_CHARACTERS ? 'code wraps' : 'code'} tabIndex={0}>
        {pieces.length === 1
          ? pieces
          : pieces.map((piece, index) => (
              <span
                key={index}
                className="piece"
                style={{ containIntrinsicSize: `auto 300px auto ${linesIn(piece)}lh` }}
              >
                {piece}
              </span>
            ))}
      </pre>
      {!whole && text.length > FIRST_CHARACTERS ? (
        <button type="button" className="small" onClick={() => setWhole(true)}>
          {isCut ? `Show all that is kept, ${bytes(size)}` : `Show all ${bytes(size)}`}
        </button>
      ) : null}
    </div>
  )
}

/** Splits a text into pieces of at most `max` characters, at ends of lines if possible. */
export function piecesOf(text: string, max: number): readonly string[] {
  const pieces: string[] = []
  for (let from = 0; from < text.length;) {
    const to = text.length - from <= max ? text.length : endOfPiece(text, from, max)
    pieces.push(text.slice(from, to))
    from = to
  }
  return pieces
}

function endOfPiece(text: string, from: number, max: number): number {
  // Only this part is searched: in a text of one long line, each piece would search all text before it.
  const line = text.slice(from, from + max).lastIndexOf('\n')
  if (line >= 0) return from + line + 1
  // A character may have two UTF-16 units.
  const isHalf = /[\uD800-\uDBFF]/.test(text[from + max - 1] ?? '')
  return from + max - (isHalf ? 1 : 0)
}

/** A line break at the end of a piece does not count. */
const linesIn = (piece: string): number => piece.replace(/\n$/, '').split('\n').length
