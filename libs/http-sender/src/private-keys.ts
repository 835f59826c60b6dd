/**
 * Opens private keys that users wrote, but only if that is cheap. A key decides how often its pass phrase is
 * hashed, and how large its numbers are. OpenSSL does all of that in the main thread, and cannot be
 * interrupted. So each key is parsed and checked first.
 *
 * The formats: PKCS #8 and PBES2 (RFC 5958, RFC 8018), PKCS #12 (RFC 7292), in BER (X.690).
 */
import { createDecipheriv, createPrivateKey, hash, pbkdf2Sync, scryptSync, type KeyObject } from 'node:crypto'

/**
 * A pass phrase may be hashed at most this often by SHA-256 to open one text: up to 0.1 s of processor time.
 */
const MAX_ROUNDS = 600_000
/** The cost of one round of a hash, in rounds of SHA-256. */
const ROUND_COSTS: { readonly [hash: string]: number } = {
  sha1: 2,
  sha224: 1,
  sha256: 1,
  sha384: 3,
  sha512: 3,
}
const MAX_BITS = 8192
const MAX_BYTES = 256 * 1024
const MAX_LEVELS = 24

/** The reason why a key is not used. The message shows nothing of the key. */
export class KeyFault extends Error {}

const NO_KEY = 'it is no private key in PEM (-----BEGIN PRIVATE KEY-----)'
const WRITE_AGAIN = 'write it again, as by `openssl pkcs12 -export`'

/** Opens a key in PEM. Throws `KeyFault`, also if the key needs a pass phrase and none is given. */
export function openPrivateKey(text: string, passphrase?: string): KeyObject {
  if (text.length > MAX_BYTES) throw new KeyFault(`it is larger than ${MAX_BYTES} bytes`)
  const [begin = '', label = ''] = BEGIN.exec(text) ?? []
  const start = text.indexOf(begin)
  const end = `-----END ${label}PRIVATE KEY-----`
  const inner = text.slice(start + begin.length, text.indexOf(end, start))
  // OpenSSL's own format hashes a pass phrase only once.
  const isOwn = /^(RSA|EC|DSA) $/.test(label)
  const isOwnEncrypted = isOwn && inner.includes('Proc-Type: 4,ENCRYPTED')
  const isPkcs8 = label === '' || label === 'ENCRYPTED '
  if (begin === '' || !(isOwnEncrypted || ((isOwn || isPkcs8) && /^[A-Za-z0-9+/=\s]+$/.test(inner))))
    throw new KeyFault(NO_KEY)
  const der = Buffer.from(inner, 'base64')
  const isPkcs8Encrypted = !isOwnEncrypted && isEncrypted(der)
  if (isPkcs8Encrypted) assertCheap(roundsIn(readAll(der)))
  const needs = isOwnEncrypted || isPkcs8Encrypted
  if (needs && passphrase === undefined) throw new KeyFault('it is encrypted, and needs `passphrase`')
  // OpenSSL gets only the bytes that were checked.
  const source = isPkcs8
    ? ({ key: der, format: 'der', type: 'pkcs8' } as const)
    : { key: `${begin}${inner}${end}` }
  try {
    return checkedSize(createPrivateKey({ ...source, ...(passphrase === undefined ? {} : { passphrase }) }))
  } catch (error) {
    if (error instanceof KeyFault) throw error
    throw new KeyFault(needs ? '`passphrase` does not open it' : NO_KEY)
  }
}

const BEGIN = /-----BEGIN ((?:[A-Z]+ )*)PRIVATE KEY-----/

/** True for an encrypted key. It begins with an algorithm, and a plain key with a version. */
function isEncrypted(der: Buffer): boolean {
  return readAll(der)[0]?.pieces[0]?.tag === SEQUENCE
}

/** Checks the cost of opening a file of PKCS #12. Throws `KeyFault`. */
export function assertPfx(file: Buffer, passphrase = ''): void {
  if (file.length > MAX_BYTES) throw new KeyFault(`it is larger than ${MAX_BYTES} bytes`)
  const [whole] = readAll(file)
  if (whole?.pieces[0]?.tag !== INTEGER) throw new KeyFault('it is no PKCS #12 file in Base64')
  let rounds = roundsIn([whole])
  const parts = [whole]
  // Encrypted parts may contain further keys with costs of their own.
  for (const part of parts)
    for (const { pieces } of within(part)) {
      const [, algorithm, content] = pieces
      if (algorithm?.tag !== SEQUENCE || content?.tag === undefined || (content.tag & 0xdf) !== 0x80) continue
      assertCheap(rounds)
      const inner = readAll(decrypted(algorithm, octets(content), passphrase))
      if (inner.length === 0) throw new KeyFault(otherPassphrase(passphrase))
      rounds += roundsIn(inner)
      parts.push(...inner)
    }
  assertCheap(rounds)
  for (const part of parts) for (const bag of within(part)) assertBag(bag, passphrase)
}

function otherPassphrase(passphrase: string): string {
  return passphrase === ''
    ? 'it is encrypted, and needs `passphrase`'
    : 'it is no PKCS #12 file that `passphrase` opens: that is another one'
}

function assertBag({ pieces: [id, value] }: Piece, passphrase: string): void {
  if (id === undefined || !KEY_BAGS.has(idOf(id))) return
  const key = value?.pieces[0]?.raw
  if (key === undefined) return
  try {
    checkedSize(createPrivateKey({ key, format: 'der', type: 'pkcs8', passphrase }))
  } catch (error) {
    throw error instanceof KeyFault ? error : new KeyFault(otherPassphrase(passphrase))
  }
}

/**
 * Returns the key if its numbers are not too large. The time to sign grows with their third power, and
 * OpenSSL accepts primes as large as their product. Throws `KeyFault`.
 */
function checkedSize(key: KeyObject): KeyObject {
  if (key.asymmetricKeyType?.startsWith('rsa') !== true) return key
  const [whole] = readAll(key.export({ type: 'pkcs8', format: 'der' }))
  const [, modulus, , , ...halves] = readAll(whole?.pieces[2]?.body ?? NOTHING)[0]?.pieces ?? []
  const bytes = modulus?.body.length ?? 0
  if (bytes > MAX_BITS / 8 + 1) throw new KeyFault(`it is a key of RSA with more than ${MAX_BITS} bits`)
  if (halves.some(({ body }) => body.length > bytes / 2 + 2))
    throw new KeyFault('it is a key of RSA whose numbers do not fit together')
  return key
}

function assertCheap(rounds: number): void {
  if (rounds > MAX_ROUNDS)
    throw new KeyFault(
      `opening it takes more than ${MAX_ROUNDS} rounds of SHA-256 would: write it again with fewer, as by \`openssl pkcs8 -topk8\` or \`openssl pkcs12 -export\``,
    )
}

/** An element of BER. */
interface Piece {
  readonly tag: number
  readonly raw: Buffer
  /** The content; empty for an element that contains other elements. */
  readonly body: Buffer
  readonly pieces: readonly Piece[]
}

const INTEGER = 0x02
const OCTETS = 0x04
const SEQUENCE = 0x30
const NOTHING = Buffer.alloc(0)

/** Returns the elements that make up these bytes; none if the bytes are no BER. */
function readAll(bytes: Buffer, levels = 0): readonly Piece[] {
  const pieces: Piece[] = []
  for (let at = 0; at < bytes.length;) {
    const piece = readPiece(bytes, at, levels)
    if (piece === null) return []
    pieces.push(piece)
    at += piece.raw.length
  }
  return pieces
}

function readPiece(bytes: Buffer, at: number, levels: number): Piece | null {
  const tag = bytes[at] ?? 0
  const short = bytes[at + 1]
  if (short === undefined || levels > MAX_LEVELS) return null
  if (short === 0x80) return readOpen(bytes, at, levels)
  const width = short < 0x80 ? 0 : short & 0x7f
  if (width > 4 || at + 2 + width > bytes.length) return null
  const length = width === 0 ? short : bytes.readUIntBE(at + 2, width)
  const start = at + 2 + width
  if (start + length > bytes.length) return null
  const raw = bytes.subarray(at, start + length)
  const body = bytes.subarray(start, start + length)
  if ((tag & 0x20) === 0) return { tag, raw, body, pieces: [] }
  const pieces = readAll(body, levels + 1)
  return pieces.length === 0 && length > 0 ? null : { tag, raw, body: NOTHING, pieces }
}

/** Reads an element without a length, which ends with two zeros. */
function readOpen(bytes: Buffer, at: number, levels: number): Piece | null {
  const pieces: Piece[] = []
  let end = at + 2
  while (bytes[end] !== 0 || bytes[end + 1] !== 0) {
    const piece = readPiece(bytes, end, levels + 1)
    if (piece === null) return null
    pieces.push(piece)
    end += piece.raw.length
  }
  return { tag: bytes[at] ?? 0, raw: bytes.subarray(at, end + 2), body: NOTHING, pieces }
}

/** Yields an element and all elements in it, also those in its byte strings. */
function* within(piece: Piece, levels = 0): Generator<Piece> {
  yield piece
  const inner = (piece.tag & 0xdf) === OCTETS ? readAll(octets(piece), levels + 1) : piece.pieces
  if (levels < MAX_LEVELS) for (const each of inner) yield* within(each, levels + 1)
}

/** Returns a byte string, which may come in pieces. */
function octets({ body, pieces }: Piece): Buffer {
  return pieces.length === 0 ? body : Buffer.concat(pieces.map(octets))
}

/**
 * Returns the cost of hashing pass phrases, in rounds of SHA-256. In each format the count follows a salt:
 * one number, or the three numbers of scrypt, whose product is the number of blocks.
 */
function roundsIn(pieces: readonly Piece[]): number {
  let rounds = 0
  for (const piece of pieces)
    for (const { pieces: parts } of within(piece))
      for (const [at, { tag }] of parts.entries()) {
        if ((tag & 0xdf) !== OCTETS) continue
        const [first, second, third] = parts.slice(at + 1, at + 4).map(numberIn)
        if (first !== undefined && !Number.isNaN(first))
          rounds +=
            first * (third === undefined || Number.isNaN(third) ? roundCost(parts) : (second ?? 1) * third)
      }
  return rounds
}

/**
 * Returns the cost of one round. PBKDF2 names its hash, unless it is SHA-1. Other formats cost as much as
 * SHA-1.
 */
function roundCost(parts: readonly Piece[]): number {
  const named = parts.find(({ tag }) => tag === SEQUENCE)?.pieces[0]
  return ROUND_COSTS[named === undefined ? 'sha1' : (HASHES[idOf(named)] ?? '')] ?? 3
}

/** Returns the integer; NaN for another element, and Infinity for a large or a negative integer. */
function numberIn({ tag, body }: Piece): number {
  if (tag !== INTEGER) return Number.NaN
  const isSmall = body.length > 0 && body.length <= 6 && (body[0] ?? 0) < 0x80
  return isSmall ? body.readUIntBE(0, body.length) : Number.POSITIVE_INFINITY
}

function idOf({ body }: Piece): string {
  return body.toString('hex')
}

/** The ids of key bags, plain and encrypted (RFC 7292 §4.2). */
const KEY_BAGS = new Set(['2a864886f70d010c0a0101', '2a864886f70d010c0a0102'])
const PBES2 = '2a864886f70d01050d'
const SCRYPT = '2b06010401da47040b'
/** SHA-1 and three keys of DES (RFC 7292, appendix C). */
const TRIPLE_DES = '2a864886f70d010c0103'

const CIPHERS: { readonly [id: string]: readonly [name: string, keyBytes: number] } = {
  '608648016503040102': ['aes-128-cbc', 16],
  '608648016503040116': ['aes-192-cbc', 24],
  '60864801650304012a': ['aes-256-cbc', 32],
  '2a864886f70d0307': ['des-ede3-cbc', 24],
}
const HASHES: { readonly [id: string]: string } = {
  '2a864886f70d0207': 'sha1',
  '2a864886f70d0208': 'sha224',
  '2a864886f70d0209': 'sha256',
  '2a864886f70d020a': 'sha384',
  '2a864886f70d020b': 'sha512',
}

/** Decrypts. Throws `KeyFault` for a cipher that only OpenSSL may know, since it could hide a costly key. */
function decrypted({ pieces: [id, params] }: Piece, bytes: Buffer, passphrase: string): Buffer {
  const by = id === undefined || params === undefined ? null : secretOf(idOf(id), params, passphrase)
  if (by === null) throw new KeyFault(`it is encrypted in a way that is not supported: ${WRITE_AGAIN}`)
  try {
    const cipher = createDecipheriv(by.cipher, by.key, by.iv)
    return Buffer.concat([cipher.update(bytes), cipher.final()])
  } catch {
    throw new KeyFault(otherPassphrase(passphrase))
  }
}

interface Secret {
  readonly cipher: string
  readonly key: Buffer
  readonly iv: Buffer
}

function secretOf(id: string, { pieces: [first, second] }: Piece, passphrase: string): Secret | null {
  if (first === undefined || second === undefined) return null
  if (id === TRIPLE_DES) {
    // OpenSSL is ten times as fast as this code.
    assertCheap(20 * numberIn(second))
    const part = (purpose: number, length: number): Buffer =>
      pkcs12Key({ passphrase, salt: octets(first), rounds: numberIn(second), purpose, length })
    return { cipher: 'des-ede3-cbc', key: part(1, 24), iv: part(2, 8) }
  }
  const [kdf, kdfParams] = first.pieces
  const [cipherId, iv] = second.pieces
  const [cipher, length] = CIPHERS[cipherId === undefined ? '' : idOf(cipherId)] ?? []
  const [salt, ...rest] = kdfParams?.pieces ?? []
  if (id !== PBES2 || kdf === undefined || cipher === undefined || iv === undefined) return null
  if (length === undefined || salt === undefined) return null
  const [count = 0, blockSize = 0, parallel = 0] = rest.map(numberIn)
  if (idOf(kdf) === SCRYPT) {
    const cost = { N: count, r: blockSize, p: parallel, maxmem: 64 * 1024 * 1024 }
    return { cipher, key: scryptSync(passphrase, octets(salt), length, cost), iv: octets(iv) }
  }
  const prf = rest.find(({ tag }) => tag === SEQUENCE)?.pieces[0]
  const digest = prf === undefined ? 'sha1' : HASHES[idOf(prf)]
  if (digest === undefined) return null
  return { cipher, key: pbkdf2Sync(passphrase, octets(salt), count, length, digest), iv: octets(iv) }
}

/** Derives a key by RFC 7292, appendix B.2, with SHA-1. */
function pkcs12Key({
  passphrase,
  salt,
  rounds,
  purpose,
  length,
}: {
  readonly passphrase: string
  readonly salt: Buffer
  readonly rounds: number
  readonly purpose: number
  readonly length: number
}): Buffer {
  const BLOCK = 64
  const filled = (text: Buffer): Buffer =>
    Buffer.alloc(Math.ceil(text.length / BLOCK) * BLOCK, text.length === 0 ? NOTHING : text)
  const password = Buffer.from(`${passphrase}\0`, 'utf16le').swap16()
  let input = Buffer.concat([filled(salt), filled(password)])
  const diversifier = Buffer.alloc(BLOCK, purpose)
  const made: Buffer[] = []
  for (let bytes = 0; bytes < length; bytes += 20) {
    let digest = hash('sha1', Buffer.concat([diversifier, input]), 'buffer')
    for (let round = 1; round < rounds; round += 1) digest = hash('sha1', digest, 'buffer')
    made.push(digest)
    const add = BigInt(`0x${Buffer.alloc(BLOCK, digest).toString('hex')}`) + 1n
    const blocks: Buffer[] = []
    for (let at = 0; at < input.length; at += BLOCK) {
      const sum = BigInt(`0x${input.subarray(at, at + BLOCK).toString('hex')}`) + add
      blocks.push(
        Buffer.from(
          BigInt.asUintN(BLOCK * 8, sum)
            .toString(16)
            .padStart(BLOCK * 2, '0'),
          'hex',
        ),
      )
    }
    input = Buffer.concat(blocks)
  }
  return Buffer.concat(made).subarray(0, length)
}
