import { describe, expect, it } from 'vitest'
import { AnswerBody } from './answer-body.ts'
import {
  captureFrom,
  compileCaptures,
  hasCaptured,
  MAX_CAPTURED_BYTES,
  mergeCaptured,
  type CapturedNow,
} from './captured.ts'

const nothingSecret = (): boolean => false

function capture(
  spec: { readonly [name: string]: string },
  text: string,
  {
    cut = null,
    isSecret = nothingSecret,
  }: { cut?: string | null; isSecret?: (json: string) => boolean } = {},
): CapturedNow {
  return captureFrom(compileCaptures(spec), new AnswerBody(text, cut), isSecret)
}

describe('what is captured from an answer', () => {
  it.each([
    ['$.id', '{"id":"a/ü\\"b"}', '"a/ü\\"b"'],
    ['$.id', '{"id":9223372036854775807}', '9223372036854775807'],
    ['$.id', '{"id":12345678901234567890123456789012345678}', '12345678901234567890123456789012345678'],
    ['$.id', '{"id":1.50}', '1.50'],
    ['$.id', '{"id":-0.0}', '-0.0'],
    ['$.id', '{"id":1E2}', '1E2'],
    ['$.id', '{"id":0}', '0'],
    ['$.id', '{"id":false}', 'false'],
    ['$.id', '{"id":""}', '""'],
    ['$.data[0].id', '{"data":[{"id":5}]}', '5'],
    ['$.data', '{"data":{"a":[1.0,null],"b":"x"}}', '{"a":[1.0,null],"b":"x"}'],
    ['$.items[*].id', '{"items":[{"id":1},{"id":2.50},{}]}', '[1,2.50]'],
    ['$', '[7]', '[7]'],
  ])('by %s from %s is %s, to the last digit', (path, text, json) => {
    expect(capture({ it: path }, text)).toEqual({ values: `{"it":${json}}`, lacking: [] })
  })

  it.each([
    ['{}', 'finds nothing'],
    ['{"id":null}', 'finds nothing'],
    ['', 'no JSON'],
    ['<id>5</id>', 'no JSON'],
    [`{"id":"${'x'.repeat(MAX_CAPTURED_BYTES - 1)}"}`, 'more than 4096 bytes'],
  ])('lacks what %.20s does not give, and why is told', (text, why) => {
    const { values, lacking } = capture({ id: '$.id' }, text)
    expect(values).toBeNull()
    expect(lacking).toEqual([{ name: 'id', why: expect.stringContaining(why) }])
  })

  it('has what there is, beside what is not there', () => {
    expect(capture({ id: '$.id', tag: '$.tag', rev: '$.rev' }, '{"rev":2,"id":1}')).toEqual({
      values: '{"id":1,"rev":2}',
      lacking: [{ name: 'tag', why: '$.tag: it finds nothing in the answer' }],
    })
  })

  it('is nothing of an answer that was not read to its end, or holds a secret', () => {
    expect(capture({ id: '$.id' }, '{"id":1}', { cut: 'too long' })).toEqual({
      values: null,
      lacking: [{ name: 'id', why: '$.id: too long' }],
    })
    const isSecret = (json: string): boolean => json.includes('s3cr3t')
    expect(capture({ id: '$.id', key: '$.key' }, '{"id":1,"key":"s3cr3t"}', { isSecret })).toEqual({
      values: '{"id":1}',
      lacking: [{ name: 'key', why: '$.key: what it finds holds a secret' }],
    })
  })
})

describe('values captured before', () => {
  it('are known by their names', () => {
    expect(hasCaptured('{"id":1}', 'id')).toBe(true)
    expect(hasCaptured('{"id":1}', 'toString')).toBe(false)
    expect(hasCaptured(null, 'id')).toBe(false)
  })

  it('stay beside those that are captured now, with all their digits', () => {
    expect(mergeCaptured(null, '{"id":1.50}')).toBe('{"id":1.50}')
    expect(mergeCaptured('{"id":9223372036854775807,"rev":1}', '{"rev":2.0}')).toBe(
      '{"id":9223372036854775807,"rev":2.0}',
    )
  })
})
