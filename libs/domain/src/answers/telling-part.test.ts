import { describe, expect, it } from 'vitest'
import { processorMs } from '@sluice/testkit/processor-ms'
import { tellingPart } from './telling-part.ts'

const ofJson = (json: unknown) => tellingPart({ json, text: JSON.stringify(json) })
const ofText = (text: string) => tellingPart({ json: undefined, text })

/** Milliseconds of processor time, of which most answers take less than one. */
const MAX_MS = 40

describe('the part of an answer that tells', () => {
  it.each([
    [{ message: 'no such index' }, 'no such index'],
    [{ meta: { took: 3 }, error: { code: 'E1', message: 'name is\n too long' } }, 'name is too long'],
    [{ error: 'invalid_grant', error_description: 'too old' }, 'too old'],
    [{ error: 'invalid_grant' }, 'invalid_grant'],
    [{ type: 'about:blank', title: 'Bad', detail: 'The body has no email.' }, 'The body has no email.'],
    [{ errors: ['first', 'second'] }, 'first; second'],
    [{ Fault: { faultString: 'duplicate' } }, 'duplicate'],
    [
      { message: 'Validation failed', errors: [{ field: 'email', message: 'is missing' }] },
      'Validation failed; email: is missing',
    ],
    [{ ok: false, error: '' }, null],
    [{ id: 1, list: [1, 2] }, null],
    ['a text', null],
    [null, null],
  ])('of %j is %j', (json, part) => {
    expect(ofJson(json)).toBe(part)
  })

  it('is what a batch says of its errors, behind rows that went well', () => {
    const results = Array.from({ length: 500 }, (_, id) => ({ id, status: 'ok', message: 'created' }))
    expect(ofJson({ results, errors: [{ index: 7, message: 'email is taken' }] })).toBe('email is taken')
  })

  it('says each thing once, and how many more there are', () => {
    const errors = ['a', 'b', 'a', 'c', 'd', 'e'].map(message => ({ message }))
    expect(ofJson({ errors })).toBe('a; b; c; and 2 more')
  })

  it.each([
    ['thousands of texts in a list', JSON.stringify({ errors: Array.from({ length: 60_000 }, () => 'a') })],
    [
      'a long subject beside thousands of texts',
      JSON.stringify({ field: ' x'.repeat(30_000), message: Array.from({ length: 3_000 }, () => 'a') }),
    ],
    ['thousands of fields', `{${Array.from({ length: 20_000 }, (_, at) => `"k${at}":0`).join(',')}}`],
    ['elements that never end', '<message '.repeat(25_000)],
  ])('costs little in an answer with %s', async (_what, text) => {
    const json: unknown = text.startsWith('<') ? undefined : JSON.parse(text)
    expect(await processorMs(() => tellingPart({ json, text }))).toBeLessThan(MAX_MS)
  })

  it('ends its search in an answer that is huge or holds itself', () => {
    const loop: Record<string, unknown> = {}
    loop['self'] = loop
    expect(tellingPart({ json: loop, text: '' })).toBeNull()
    const late = [...Array.from({ length: 20_000 }, () => ({})), { message: 'unseen' }]
    expect(ofJson(late)).toBeNull()
  })

  it.each([
    [
      '<soap:Fault><faultcode>x</faultcode><faultstring xml:lang="en">No row</faultstring></soap:Fault>',
      'No row',
    ],
    ['<html><head><title>502 Bad Gateway</title></head></html>', '502 Bad Gateway'],
    ['<a><b>1</b></a>', null],
    ['no markup', null],
    ['', null],
  ])('of the text %j is %j', (text, part) => {
    expect(ofText(text)).toBe(part)
  })
})
