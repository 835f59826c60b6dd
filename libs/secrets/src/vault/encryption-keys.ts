/**
 * Keys that seal texts with AES-256-GCM. A sealed text opens only with the same key and for the same purpose.
 * The purpose is authenticated with the text, so that nobody can replace one sealed text by another.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { SluiceError } from '@sluice/contracts/errors'

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const CIPHER = 'aes-256-gcm'

/** A text that only holders of the key can read. */
export interface Sealed {
  /** The id of its key. */
  readonly by: string
  /** Nonce, ciphertext and tag. */
  readonly bytes: Uint8Array
}

interface Key {
  readonly id: string
  readonly bytes: Buffer
}

export class EncryptionKeys {
  readonly #keys: readonly [Key, ...Key[]]

  private constructor(keys: readonly [Key, ...Key[]]) {
    this.#keys = keys
  }

  /**
   * Reads keys of 32 bytes each, as base64, between commas. The first one seals, and each opens what it has
   * sealed. Throws `config`, which says `where` the keys are, and not the text.
   */
  static of(text: string, where: string): EncryptionKeys {
    const [first, ...others] = text.split(',').map(part => Buffer.from(part.trim(), 'base64'))
    if (first === undefined || [first, ...others].some(key => key.length !== KEY_BYTES))
      throw new SluiceError(
        'config',
        `${where}: its value is not right: expected base64 of 32 bytes, such as \`openssl rand -base64 32\` prints, ` +
          'or several of them between commas',
      )
    return new EncryptionKeys([keyOf(first), ...others.map(keyOf)])
  }

  /** Returns a new key, as base64. */
  static generate(): string {
    return randomBytes(KEY_BYTES).toString('base64')
  }

  /** The ids of the keys. The first one seals. */
  get ids(): readonly string[] {
    return this.#keys.map(({ id }) => id)
  }

  /** Seals a text for a purpose. Two seals of one text have nothing in common. */
  seal(text: string, purpose: readonly unknown[]): Sealed {
    const [key] = this.#keys
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv(CIPHER, key.bytes, nonce).setAAD(associated(key.id, purpose))
    const bytes = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
    return { by: key.id, bytes }
  }

  /**
   * Returns the text; null if it was sealed for another purpose, or was changed. Throws `config` if the key
   * that sealed it is missing.
   */
  open({ by, bytes }: Sealed, purpose: readonly unknown[]): string | null {
    const key = this.#keys.find(({ id }) => id === by)
    if (key === undefined)
      throw new SluiceError(
        'config',
        `It is encrypted with the key ${by}, and this process has ${this.ids.join(', ')}: add that key to SLUICE_ENCRYPTION_KEY, behind a comma`,
      )
    if (bytes.length < NONCE_BYTES + TAG_BYTES) return null
    const end = bytes.length - TAG_BYTES
    const decipher = createDecipheriv(CIPHER, key.bytes, bytes.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    })
    decipher.setAAD(associated(by, purpose)).setAuthTag(bytes.subarray(end))
    try {
      const text = [decipher.update(bytes.subarray(NONCE_BYTES, end)), decipher.final()]
      return Buffer.concat(text).toString('utf8')
    } catch {
      return null
    }
  }
}

/**
 * Returns the keys of both texts as one text. The keys of `first` come first. Texts that are no keys are left
 * out.
 */
export function joinedKeys(first: string, second: string): string {
  const parts = [first, second].flatMap(text => text.split(',')).map(part => part.trim())
  const keys = parts.filter(part => Buffer.from(part, 'base64').length === KEY_BYTES)
  return [...new Set(keys)].join(',')
}

/** Gives the key an id, which reveals nothing of the key. */
function keyOf(bytes: Buffer): Key {
  const id = createHash('sha256').update('sluice encryption key\n').update(bytes).digest('hex').slice(0, 8)
  return { id, bytes }
}

function associated(by: string, purpose: readonly unknown[]): Buffer {
  return Buffer.from(JSON.stringify(['sluice', 1, by, ...purpose]))
}
