import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { processorMs } from '@sluice/testkit/processor-ms'
import { isSensitiveName, MASK, redactHeaders, redactText, redactUrl } from './redact.ts'

/** A text that is read once takes a few. One that is read again and again takes seconds. */
const MAX_MS = 500

describe('redactText', () => {
  const secret = 'pa ss"w/ö+rd'

  it.each([
    ['as it is', secret],
    ['percent-encoded', encodeURIComponent(secret)],
    [
      'percent-encoded in lower case',
      encodeURIComponent(secret).replaceAll(/%../g, part => part.toLowerCase()),
    ],
    ['form-encoded', new URLSearchParams({ p: secret }).toString().slice(2)],
    ['in JSON', JSON.stringify({ p: secret })],
    ['in Base64', Buffer.from(secret).toString('base64')],
  ])('masks a secret %s', (_how, text) => {
    const shown = redactText(`before ${text} after ${text}`, [secret])
    expect(shown).toContain(MASK)
    expect(shown).not.toContain(text)
    expect(shown).toContain('before ')
  })

  it('masks a secret of megabytes where a text is cut, and takes little memory for it', () => {
    const long = randomBytes(4_000_000).toString('hex')
    const before = process.memoryUsage().heapUsed
    expect(redactText(`x ${long.slice(0, 60_000)}`, [long], { cut: true })).toBe(`x ${MASK}…`)
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(100_000_000)
  })

  it('masks a secret that contains another one whole', () => {
    expect(redactText('x abcdef-123456 y abcdef', ['abcdef', 'abcdef-123456'])).toBe(`x ${MASK} y ${MASK}`)
  })

  it('takes no secret for a pattern', () => {
    expect(redactText('a.*b and aXXb', ['a.*b'])).toBe(`${MASK} and aXXb`)
    expect(redactText('cost: $&$1', ['$&$1'])).toBe(`cost: ${MASK}`)
  })

  it('leaves a short secret alone unless it is the whole text', () => {
    expect(redactText('a cab', ['a', ''])).toBe('a cab')
    expect(redactText('a', ['a', ''])).toBe(MASK)
    expect(redactText('', [''])).toBe('')
  })

  it('sees secrets that are added to a list in use', () => {
    const secrets = ['first-secret']
    redactText('x', secrets)
    secrets.push('second-secret')
    expect(redactText('first-secret second-secret', secrets)).toBe(`${MASK} ${MASK}`)
  })
})

describe('headers and URLs', () => {
  it.each([
    'Authorization',
    'proxy-authorization',
    'Cookie',
    'SET-COOKIE',
    'X-Algolia-API-Key',
    'apikey',
    'api_key',
    'X-Auth-Token',
    'x-amz-security-token',
    'X-Auth',
    'x-hub-signature',
    'Client-Secret',
    'X-Password',
    'key',
  ])('%s is not shown', name => {
    expect(isSensitiveName(name)).toBe(true)
    expect(redactHeaders({ [name]: 'v' }, [])).toEqual({ [name]: MASK })
  })

  it.each([
    'Idempotency-Key',
    'content-type',
    'X-Algolia-Application-Id',
    'x-request-id',
    'etag',
    'keep-alive',
  ])('%s is shown', name => {
    expect(redactHeaders({ [name]: 'v' }, [])).toEqual({ [name]: 'v' })
  })

  it('masks a known secret under a harmless name', () => {
    expect(redactHeaders({ 'x-app': 'id=hunter22' }, ['hunter22'])).toEqual({ 'x-app': `id=${MASK}` })
  })

  it('masks a secret of several lines that was put on one', () => {
    const pem = '-----BEGIN KEY-----\nMIIE+abc\n  defg==\n-----END KEY-----\n'
    const told = `the key -----BEGIN KEY----- MIIE+abc defg== -----END KEY----- is wrong`
    expect(redactText(told, [pem])).toBe(`the key ${MASK} is wrong`)
  })

  it('masks passwords and sensitive parameters in URLs, and nothing else', () => {
    expect(redactUrl('https://me:hunter22@api.test/a@b?api_key=1&page=2&q=hunter22#x', ['hunter22'])).toBe(
      `https://me:${MASK}@api.test/a@b?api_key=${MASK}&page=2&q=${MASK}#x`,
    )
    expect(redactUrl('http://127.0.0.1:8080/a:b@c', [])).toBe('http://127.0.0.1:8080/a:b@c')
    // Question marks may stand in the name of a parameter, and before it.
    expect(redactUrl('http://h/x?token?=hunter22&a=1', [])).toBe(`http://h/x?token?=${MASK}&a=1`)
    expect(redactUrl('http://h/x?a?token=hunter22', [])).toBe(`http://h/x?a?token=${MASK}`)
  })

  it('looks at a header of nothing but question marks once, and not once for each of them', async () => {
    // As long as all headers of an answer may be, four times.
    const location = `/?token=abc${'?'.repeat(16_000)}`
    const bare = `=${'?'.repeat(16_000)}`
    const took = await processorMs(() => {
      for (let n = 0; n < 4; n += 1)
        expect(redactHeaders({ location }, [])['location']).toMatch(/^\/\?token=\*\*\*$/)
      for (let n = 0; n < 4; n += 1) expect(redactHeaders({ location: bare }, [])).toEqual({ location: bare })
    })
    expect(took).toBeLessThan(MAX_MS)
  })
})
