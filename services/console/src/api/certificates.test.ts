import { asPfx, encryptedKey, makeCertificate } from '@sluice/testkit/make-certificates'
import { beforeAll, describe, expect, it } from 'vitest'
import { checked } from './certificates.ts'

const NOW = Date.now()
const PASSPHRASE = 'opens-it'

let ca: { cert: string; key: string }
let client: { cert: string; key: string }
let old: { cert: string; key: string }
beforeAll(() => {
  ca = makeCertificate({ name: 'Our CA' })
  client = makeCertificate({ name: 'client', by: ca })
  old = makeCertificate({ name: 'old', days: -1 })
})

describe('files of a certificate', () => {
  it('are answered with their contents: in PEM, in PKCS #12, and those of authorities', () => {
    const shown = { subject: 'CN=client', issuer: 'CN=Our CA' }
    expect(checked(client, NOW).client).toMatchObject(shown)
    const key = encryptedKey(client, PASSPHRASE)
    expect(checked({ cert: client.cert, key, passphrase: PASSPHRASE }, NOW).client).toMatchObject(shown)
    const pfx = asPfx(client, PASSPHRASE)
    expect(checked({ pfx, passphrase: PASSPHRASE }, NOW).client).toMatchObject(shown)
    const both = checked({ ca: `${ca.cert}${old.cert}` }, NOW)
    expect(both.ca.map(({ subject }) => subject)).toEqual(['CN=Our CA', 'CN=old'])
    expect(both.client).toBeNull()
  })

  it.each<[string, () => Parameters<typeof checked>[0], string, RegExp]>([
    ['nothing', () => ({}), 'cert', /wanted a certificate/],
    ['half of a pair', () => ({ cert: client.cert }), 'key', /together/],
    ['another key', () => ({ cert: client.cert, key: old.key }), 'key', /does not belong/],
    ['a text for a key', () => ({ cert: client.cert, key: 'no key' }), 'key', /no private key in PEM/],
    [
      'a key without its passphrase',
      () => ({ cert: client.cert, key: encryptedKey(client, PASSPHRASE) }),
      'key',
      /encrypted, and needs `passphrase`/,
    ],
    [
      'a key with a wrong passphrase',
      () => ({ cert: client.cert, key: encryptedKey(client, PASSPHRASE), passphrase: 'wrong' }),
      'key',
      /`passphrase` does not open it/,
    ],
    [
      'a PKCS #12 file with a wrong passphrase',
      () => ({ pfx: asPfx(client, PASSPHRASE), passphrase: 'wrong' }),
      'pfx',
      /no PKCS #12 file that `passphrase` opens/,
    ],
    [
      'a PKCS #12 file without its passphrase',
      () => ({ pfx: asPfx(client, PASSPHRASE) }),
      'pfx',
      /encrypted, and needs `passphrase`/,
    ],
    [
      'a picture for a PKCS #12 file',
      () => ({ pfx: Buffer.from('GIF89a').toString('base64') }),
      'pfx',
      /no PKCS #12 file/,
    ],
    ['a text for an authority', () => ({ ca: 'no certificate' }), 'ca', /no certificate in PEM/],
    ['an authority that has expired', () => ({ ca: old.cert }), 'ca', /it expired on \d{4}-/],
    ['a certificate that has expired', () => old, 'cert', /it expired on \d{4}-/],
    [
      'a PKCS #12 file that has expired',
      () => ({ pfx: asPfx(old, PASSPHRASE), passphrase: PASSPHRASE }),
      'pfx',
      /it expired on \d{4}-/,
    ],
  ])('are refused: %s', (_what, files, field, message) => {
    const ask = (): unknown => checked(files(), NOW)
    expect(ask).toThrow(
      expect.objectContaining({ code: 'config', details: [expect.objectContaining({ field })] }),
    )
    expect(ask).toThrow(message)
  })
})
