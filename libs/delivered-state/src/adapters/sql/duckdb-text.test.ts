import { describe, expect, it } from 'vitest'
import { isSluiceError } from '@sluice/contracts/errors'
import { cutTexts } from './duckdb-text.ts'

const bytesOf = (...texts: readonly string[]): Uint8Array => Buffer.from(texts.join(''))

describe('joined texts', () => {
  it('are cut at their lengths in bytes, whatever characters they have', () => {
    const texts = ['\u{feff}Ada', 'Bob', '', '\0', 'é', '\u{1f600}\u{feff}', '\u{feff}', 'x'.repeat(20)]
    const lengths = texts.map(text => Buffer.byteLength(text))
    expect(cutTexts(bytesOf(...texts), lengths)).toEqual(texts)
    expect(cutTexts(bytesOf('ab', 'c'), [2, -1, 0, 1])).toEqual(['ab', null, '', 'c'])
  })

  it.each([
    ['more bytes than their lengths say', bytesOf('abc'), [1, 1]],
    ['fewer bytes', bytesOf('abc'), [2, 2]],
    ['a cut inside of a character', bytesOf('é', 'x'), [1, 2]],
    ['bytes that are no UTF-8', Uint8Array.of(0xff, 0xfe), [1, 1]],
    ['a length that is no number', bytesOf('ab'), [Number.NaN, 2]],
  ])('with %s end the run', (_, joined, lengths) => {
    let thrown: unknown
    try {
      cutTexts(joined, lengths)
    } catch (error) {
      thrown = error
    }
    expect(isSluiceError(thrown, 'corrupt')).toBe(true)
  })
})
