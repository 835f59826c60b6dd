/** Shows two texts as one, with marks at the lines that only one of them has. */
import type { ReactElement } from 'react'

export interface DiffLine {
  readonly sign: ' ' | '+' | '-'
  readonly text: string
}

/** Longer texts are compared line by line at the same place. */
const MAX_COMPARED = 1_500

/** Compares by the longest common subsequence, which leaves the fewest lines that differ. */
export function diffLines(before: string, after: string): readonly DiffLine[] {
  const old = linesOf(before)
  const now = linesOf(after)
  if (old.length * now.length > MAX_COMPARED * MAX_COMPARED)
    return [
      ...old.map(text => ({ sign: '-', text }) as const),
      ...now.map(text => ({ sign: '+', text }) as const),
    ]
  const width = now.length + 1
  const common = new Uint16Array((old.length + 1) * width)
  const at = (i: number, j: number): number => common[i * width + j] ?? 0
  for (let i = old.length - 1; i >= 0; i -= 1)
    for (let j = now.length - 1; j >= 0; j -= 1)
      common[i * width + j] = old[i] === now[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
  const lines: DiffLine[] = []
  let [i, j] = [0, 0]
  while (i < old.length || j < now.length) {
    const [gone, come] = [old[i], now[j]]
    if (gone !== undefined && gone === come) {
      lines.push({ sign: ' ', text: gone })
      i += 1
      j += 1
    } else if (gone !== undefined && (come === undefined || at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ sign: '-', text: gone })
      i += 1
    } else if (come !== undefined) {
      lines.push({ sign: '+', text: come })
      j += 1
    }
  }
  return lines
}

const linesOf = (text: string): readonly string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'))

interface DifferProps {
  readonly before: string
  readonly after: string
  readonly label: string
}

export function LinesThatDiffer({ before, after, label }: DifferProps): ReactElement {
  return (
    <pre className="code diff" tabIndex={0} role="region" aria-label={label}>
      {diffLines(before, after).map(({ sign, text }, index) => (
        <span key={index} data-sign={sign}>
          {sign} {text}
          {'\n'}
        </span>
      ))}
    </pre>
  )
}
