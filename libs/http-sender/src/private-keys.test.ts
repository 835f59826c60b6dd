import { createCipheriv, createPrivateKey, pbkdf2Sync, randomBytes } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { asPfx, encryptedKey, makeCertificate } from '@sluice/testkit/make-certificates'
import { assertPfx, KeyFault, openPrivateKey } from './private-keys.ts'

const TOO_MANY = /takes more than 600000 rounds/
const pair = makeCertificate()

/** One element of DER. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const size = Buffer.from(body.length.toString(16).padStart(8, '0'), 'hex')
  return Buffer.concat([Buffer.of(tag, 0x84), size, body])
}
const seq = (...parts: readonly Buffer[]): Buffer => der(0x30, ...parts)
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'))
const octets = (bytes: Buffer): Buffer => der(0x04, bytes)
const integer = (value: number): Buffer => der(0x02, Buffer.from(value.toString(16).padStart(12, '0'), 'hex'))
const pem = (bytes: Buffer, label = 'ENCRYPTED '): string =>
  `-----BEGIN ${label}PRIVATE KEY-----\n${bytes.toString('base64')}\n-----END ${label}PRIVATE KEY-----\n`

const SALT = randomBytes(8)
const IV = randomBytes(16)
const hashed = (...numbers: readonly number[]): Buffer =>
  numbers.length === 3
    ? seq(oid('2b06010401da47040b'), seq(octets(SALT), ...numbers.map(integer)))
    : seq(oid('2a864886f70d01050c'), seq(octets(SALT), ...numbers.map(integer)))
const pbes2 = (...numbers: readonly number[]): Buffer => pbes2By(hashed(...numbers))
const pbes2By = (kdf: Buffer): Buffer =>
  seq(oid('2a864886f70d01050d'), seq(kdf, seq(oid('60864801650304012a'), octets(IV))))
/** PBKDF2 with HMAC-SHA-512 (`0b`) or another hash of PKCS #5. */
const hashedBy = (hash: string, rounds: number): Buffer =>
  seq(
    oid('2a864886f70d01050c'),
    seq(octets(SALT), integer(rounds), seq(oid(`2a864886f70d02${hash}`), der(0x05))),
  )
const lockedBy = (algorithm: Buffer): Buffer => seq(algorithm, octets(randomBytes(64)))

/** A file of PKCS #12 with these safes, whose MAC takes so many rounds. */
const pfxOf = (safes: readonly Buffer[], rounds = 1): Buffer => {
  const all = octets(seq(...safes))
  const content = seq(oid('2a864886f70d010701'), der(0xa0, all))
  const digest = seq(seq(oid('2b0e03021a'), der(0x05)), octets(randomBytes(20)))
  return seq(integer(3), content, seq(digest, octets(SALT), integer(rounds)))
}
const bag = (key: Buffer): Buffer => seq(seq(oid('2a864886f70d010c0a0102'), der(0xa0, key)))
const safe = (bags: Buffer): Buffer => seq(oid('2a864886f70d010701'), der(0xa0, octets(bags)))
const lockedSafe = (bags: Buffer, passphrase: string): Buffer => {
  const cipher = createCipheriv('aes-256-cbc', pbkdf2Sync(passphrase, SALT, 2, 32, 'sha1'), IV)
  const content = der(0x80, cipher.update(bags), cipher.final())
  const data = seq(integer(0), seq(oid('2a864886f70d010701'), pbes2(2), content))
  return seq(oid('2a864886f70d010706'), der(0xa0, data))
}

/** A key of RSA whose numbers have so many bytes. */
function rsaKey({ n = 256, p = 128 }: { n?: number; p?: number }): Buffer {
  const number = (bytes: number): Buffer => der(0x02, Buffer.alloc(bytes, 0x43))
  const numbers = [n, 1, 256, p, 128, 128, 128, 128].map(number)
  const key = octets(seq(der(0x02, Buffer.of(0)), ...numbers))
  return seq(der(0x02, Buffer.of(0)), seq(oid('2a864886f70d010101'), der(0x05)), key)
}

/** Returns the message, within the time that anybody notices. */
function faultOf(open: () => unknown): string | null {
  const startMs = performance.now()
  try {
    open()
    return null
  } catch (error) {
    if (!(error instanceof KeyFault)) throw error
    expect(performance.now() - startMs).toBeLessThan(2_000)
    return error.message
  }
}

describe('a key', () => {
  const rsa = createPrivateKey(pair.key)

  it.each([
    ['as it is', pair.key, undefined],
    ['with a pass phrase that it does not need', pair.key, 'x'],
    ['encrypted by PBES2', encryptedKey(pair, 'open sesame'), 'open sesame'],
    ['of RSA alone', rsa.export({ type: 'pkcs1', format: 'pem' }).toString(), undefined],
    [
      'of RSA alone, encrypted',
      rsa.export({ type: 'pkcs1', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' }).toString(),
      'x',
    ],
    ['behind other text', `Bag Attributes\n  name: x\n${pair.cert}${pair.key}`, undefined],
  ])('%s opens', (_what, text, passphrase) => {
    expect(openPrivateKey(text, passphrase).equals(rsa)).toBe(true)
  })

  it.each([
    ['with 20 million rounds', pem(lockedBy(pbes2(20_000_000)))],
    ['with 20 million rounds, under another label', pem(lockedBy(pbes2(20_000_000)), '')],
    ['with 20 million rounds, and a length', pem(lockedBy(pbes2(20_000_000, 32)))],
    ['with a number of rounds beyond all bounds', pem(lockedBy(pbes2(2 ** 47)))],
    ['with 300,001 rounds of SHA-1', pem(lockedBy(pbes2(300_001)))],
    ['with 200,001 rounds of SHA-512', pem(lockedBy(pbes2By(hashedBy('0b', 200_001))))],
    ['of scrypt that works 4096 times in a row', pem(lockedBy(pbes2(16_384, 8, 4_096)))],
  ])('%s is refused at once, with a pass phrase and without', (_what, text) => {
    for (const passphrase of ['x', undefined])
      expect(faultOf(() => openPrivateKey(text, passphrase))).toMatch(TOO_MANY)
  })

  it('with as many rounds as are recommended is opened', () => {
    const text = pem(lockedBy(pbes2By(hashedBy('09', 600_000))))
    expect(faultOf(() => openPrivateKey(text, 'x'))).toContain('does not open it')
  })

  it('of RSA is refused where one of its numbers makes it slow', () => {
    expect(faultOf(() => openPrivateKey(pem(rsaKey({ n: 8_000 }), '')))).toMatch(/more than 8192 bits/)
    expect(faultOf(() => openPrivateKey(pem(rsaKey({ p: 200 }), '')))).toMatch(/do not fit together/)
  })

  it.each([
    ['nonsense', 'it is no private key in PEM'],
    [pair.cert, 'it is no private key in PEM'],
    [pem(Buffer.from('nonsense')), 'it is no private key in PEM'],
    [encryptedKey(pair, 'x'), 'it is encrypted, and needs `passphrase`'],
  ])('that is none is named', (text, said) => {
    expect(faultOf(() => openPrivateKey(text))).toContain(said)
  })

  it('of any length is refused at once', () => {
    const blanks = `-----BEGIN PRIVATE KEY-----\n${' '.repeat(200_000)}`
    const begins = '-----BEGIN A B C '.repeat(10_000)
    for (const text of [blanks, begins, pair.key.repeat(400)])
      expect(faultOf(() => openPrivateKey(text))).toMatch(/no private key|larger than/)
  })
})

describe('a file of PKCS #12', () => {
  it('passes if OpenSSL takes it, and the pass phrase is right', () => {
    const file = Buffer.from(asPfx(pair, 'øpen sesame'), 'base64')
    expect(() => createSecureContext({ pfx: file, passphrase: 'øpen sesame' })).not.toThrow()
    expect(faultOf(() => assertPfx(file, 'øpen sesame'))).toBeNull()
    expect(faultOf(() => assertPfx(file, 'x'))).toMatch(/that is another one/)
    expect(faultOf(() => assertPfx(file))).toMatch(/needs `passphrase`/)
    expect(faultOf(() => assertPfx(Buffer.from('x')))).toMatch(/is no PKCS #12 file/)
  })

  it.each([
    ['in its check', pfxOf([], 20_000_000)],
    ['at its key', pfxOf([safe(bag(lockedBy(pbes2(20_000_000))))])],
    ['at a key within a part that is encrypted', pfxOf([lockedSafe(bag(lockedBy(pbes2(20_000_000))), 'x')])],
    ['in many parts together', pfxOf(Array.from({ length: 20 }, () => safe(bag(lockedBy(pbes2(40_000))))))],
  ])('with too many rounds %s is refused at once', (_where, file) => {
    expect(faultOf(() => assertPfx(file, 'x'))).toMatch(TOO_MANY)
  })

  it('encrypted in a way that cannot be looked into is refused', () => {
    const camellia = seq(oid('2a864886f70d01050d'), seq(hashed(2), seq(oid('0b'), octets(IV))))
    const data = seq(integer(0), seq(oid('2a864886f70d010701'), camellia, der(0x80, randomBytes(64))))
    const file = pfxOf([seq(oid('2a864886f70d010706'), der(0xa0, data))])
    expect(faultOf(() => assertPfx(file, 'x'))).toMatch(/in a way that is not supported/)
  })

  it('whose key is too large is refused', () => {
    const key = createPrivateKey({ key: rsaKey({ p: 200 }), format: 'der', type: 'pkcs8' })
    const locked = key.export({ type: 'pkcs8', format: 'der', cipher: 'aes-256-cbc', passphrase: 'x' })
    expect(faultOf(() => assertPfx(pfxOf([lockedSafe(bag(locked), 'x')]), 'x'))).toMatch(/do not fit/)
  })
})
