import { describe, expect, it } from 'vitest'
import { diffLines } from './lines-that-differ.tsx'

const told = (before: string, after: string): string =>
  diffLines(before, after)
    .map(({ sign, text }) => `${sign}${text}`)
    .join('\n')

describe('two texts as one', () => {
  it('show the fewest lines that differ', () => {
    expect(told('a\nb\nc\n', 'a\nx\nc\nd\n')).toBe(' a\n-b\n+x\n c\n+d')
  })

  it('show all lines of a text that is new, and none of equal ones', () => {
    expect(told('', 'a\nb\n')).toBe('+a\n+b')
    expect(told('a\n', 'a\n')).toBe(' a')
  })

  it('are still shown when they are very long', () => {
    const long = Array.from({ length: 2_000 }, (_, line) => `line ${line}`).join('\n')
    expect(diffLines(long, `${long}\nmore`)).toHaveLength(4_001)
  })
})
