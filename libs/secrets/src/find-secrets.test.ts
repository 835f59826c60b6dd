import { describe, expect, it } from 'vitest'
import { CUT_END_UNITS, MASK, redactText } from './redact.ts'

const upper = (text: string): string => text.replaceAll(/%[0-9a-f]{2}/gi, escape => escape.toUpperCase())
const lower = (text: string): string => text.replaceAll(/%[0-9a-f]{2}/gi, escape => escape.toLowerCase())
const each = (text: string, write: (point: number) => string): string =>
  [...text].map(character => write(character.codePointAt(0) ?? 0)).join('')
const unitsOf = (text: string): readonly number[] =>
  Array.from({ length: text.length }, (_, at) => text.charCodeAt(at))
const base64 = (text: string, before = '', after = ''): string =>
  Buffer.from(`${before}${text}${after}`).toString('base64')

/** The ways in which an API may give a secret back, by name. */
const ENCODINGS: { readonly [name: string]: (secret: string) => string } = {
  'as it is': secret => secret,
  'percent-encoded': encodeURIComponent,
  'percent-encoded in lower case': secret => lower(encodeURIComponent(secret)),
  'percent-encoded byte by byte': secret =>
    [...Buffer.from(secret)].map(byte => `%${byte.toString(16).padStart(2, '0')}`).join(''),
  'percent-encoded twice': secret => upper(encodeURIComponent(encodeURIComponent(secret))),
  'form-encoded': secret => new URLSearchParams({ p: secret }).toString().slice(2),
  'in JSON': secret => JSON.stringify(secret).slice(1, -1),
  'in JSON as PHP writes it': secret => JSON.stringify(secret).slice(1, -1).replaceAll('/', '\\/'),
  'in JSON inside JSON': secret => JSON.stringify(JSON.stringify(secret)).slice(3, -3),
  'as \\u escapes': secret =>
    unitsOf(secret)
      .map(unit => `\\u${unit.toString(16).padStart(4, '0')}`)
      .join(''),
  'in JSON in a query': secret => encodeURIComponent(JSON.stringify(secret).slice(1, -1)),
  'in JSON in a query, in lower case': secret =>
    lower(encodeURIComponent(JSON.stringify(secret).slice(1, -1))),
  'in HTML in a query': secret =>
    encodeURIComponent(secret.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')),
  'in HTML': secret => secret.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;'),
  'as decimal entities': secret => each(secret, point => `&#${point};`),
  'as hexadecimal entities': secret => each(secret, point => `&#x${point.toString(16)};`),
  'in Base64': secret => base64(secret),
  'in Base64 without padding': secret => base64(secret).replace(/=+$/, ''),
  'in Base64 behind one byte': secret => base64(secret, 'x', ':after'),
  'in Base64 behind two bytes': secret => base64(secret, 'ab', ':after'),
  'in Base64 behind a user name': secret => base64(secret, 'user:'),
  'in Base64 for URLs': secret => Buffer.from(secret).toString('base64url'),
  'in Base64 in a query': secret => encodeURIComponent(base64(secret)),
  'in Base64 in lines': secret => base64(secret).replaceAll(/(.{20})/g, '$1\r\n'),
  'in hex': secret => Buffer.from(secret).toString('hex'),
  'in hex in upper case': secret => Buffer.from(secret).toString('hex').toUpperCase(),
  'with its UTF-8 read as Latin-1': secret => Buffer.from(secret).toString('latin1'),
}

const SECRETS: { readonly [name: string]: string } = {
  'of letters': 'sk_live_51HqLyjWDarjtT1zdp7dc',
  'with all kinds of characters': `pa ss"w/ö+r&d\\<x>'%41😀?~`,
  'of a kilobyte': Array.from({ length: 64 }, (_, at) => `k${at}/+eY"${at * 7}z`).join(''),
}

describe('a secret', () => {
  describe.each(Object.entries(SECRETS))('%s', (_name, secret) => {
    it.each(Object.entries(ENCODINGS))('is masked %s, and no more than it', (_how, encode) => {
      const text = encode(secret)
      const shown = redactText(`{"said": "${text}", "of": 1}`, [secret])
      expect(shown).toMatch(/^\{"said": "[^"]{0,8}\*{3}[^"]{0,11}", "of": 1\}$/)
    })

    it.each(Object.entries(ENCODINGS))('is not seen %s wherever its text is cut', (_how, encode) => {
      const text = `said: ${encode(secret)} and more`
      const secrets = [secret]
      const leaked = new Set<string>()
      const step = Math.ceil(text.length / 300)
      for (let length = 12; length < text.length + CUT_END_UNITS; length += step) {
        const begun = text.padEnd(text.length + CUT_END_UNITS, 'x').slice(0, length)
        const shown = redactText(begun, secrets, { cut: true })
        // The text in front of the mask is at most the Base64 of the bytes before the secret.
        if (!/^(s?a?i?d?:? ?|said: .{0,8}(\*{3}.*)?)…$/s.test(shown)) leaked.add(shown)
      }
      expect([...leaked].slice(0, 3)).toEqual([])
    })
  })

  it('that is long is masked with all that follows, where its text is cut', () => {
    const long = Array.from({ length: 500 }, (_, at) => `${at * 7}-`).join('')
    for (const length of [2_000, 1_500, 1_100, 1_040])
      expect(redactText(`key ${long.slice(0, length)}`, [long], { cut: true })).toBe('key ***…')
    expect(redactText(`key ${long} is wrong`, [long])).toBe('key *** is wrong')
  })

  it('tells nothing of itself by the length that a text loses where it is cut', () => {
    const secret = 'sk_live_51HqLyjWDarjtT1zdp7dc'
    const secrets = [secret]
    for (let known = 1; known < secret.length; known += 1) {
      const shown = (end: string) => redactText(`${'x'.repeat(1_100)}${end}`, secrets, { cut: true })
      expect(shown(secret.slice(0, known))).toBe(shown('?'.repeat(known)))
    }
  })

  it('that goes on behind the end of another is masked to its end', () => {
    expect(redactText('x abcdefghij y', ['abcdef', 'defghij'])).toBe(`x ${MASK} y`)
  })

  it('is found without the white space around it, which headers lose', () => {
    expect(redactText('token abcdef12 is wrong', [' abcdef12\n'])).toBe(`token ${MASK} is wrong`)
  })

  it('is not seen in a text that only begins like it', () => {
    const text = 'sk_live_51HqLyjWDarjtT1zdp7d, sk_live, c2tfbGl2ZV81'
    expect(redactText(text, ['sk_live_51HqLyjWDarjtT1zdp7dc'])).toBe(text)
  })
})
