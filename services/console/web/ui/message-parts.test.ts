import { describe, expect, it } from 'vitest'
import { messageParts } from './message-parts.ts'

const parts = (text: string) => messageParts(text).map(part => [part.kind, part.text])

describe('a message of the server', () => {
  it('has names in backticks as code', () => {
    expect(parts('The secret `crm-key` is not set')).toEqual([
      ['text', 'The secret '],
      ['code', 'crm-key'],
      ['text', ' is not set'],
    ])
    expect(parts("it's a ` alone")).toEqual([['text', "it's a ` alone"]])
  })

  it('has its times as times, in each form that the server writes', () => {
    const times = (text: string) =>
      messageParts(text).flatMap(part => (part.kind === 'time' ? [part.text] : []))
    expect(times('is open since 2026-01-02T03:04:05Z, after 50')).toEqual(['2026-01-02T03:04:05Z'])
    expect(times('ends at 2026-01-02T03:04Z (CN=api)')).toEqual(['2026-01-02T03:04Z'])
    expect(times('since 2026-01-02 03:04 UTC.')).toEqual(['2026-01-02T03:04Z'])
    expect(times('2026-99-99T03:04:05Z')).toEqual([])
    expect(times('the value `2026-01-02T03:04:05Z`')).toEqual([])
  })
})
