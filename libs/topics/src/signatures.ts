/**
 * Signatures of the records that decide what is sent and where: resources, definitions, commands, secrets,
 * tests and alerts. If a key is set, these records count only with a signature by the key. A signature is the
 * HMAC-SHA-256 of topic, key and value, each with its length before it.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { SluiceError } from '@sluice/contracts/errors'
import type { NewRecord } from '@sluice/message-log/port'

const KEY_BYTES = 32

export class Signatures {
  readonly #keys: readonly [Buffer, ...Buffer[]]

  private constructor(keys: readonly [Buffer, ...Buffer[]]) {
    this.#keys = keys
  }

  /**
   * Reads keys of 32 bytes each, as base64, between commas. The first one signs, and each of them verifies.
   * Returns null for no text. Throws `config`, without the text.
   */
  static of(text: string | undefined): Signatures | null {
    if (text === undefined || text === '') return null
    const [first, ...others] = text.split(',').map(part => Buffer.from(part.trim(), 'base64'))
    if (first === undefined || [first, ...others].some(key => key.length !== KEY_BYTES))
      throw new SluiceError(
        'config',
        'SLUICE_SIGNING_KEY: its value is not right: expected base64 of 32 bytes, such as `openssl rand -base64 32` prints, ' +
          'or several of them between commas',
      )
    return new Signatures([first, ...others])
  }

  sign(topic: string, record: NewRecord): Uint8Array {
    return digest(this.#keys[0], topic, record)
  }

  verify(topic: string, record: NewRecord): boolean {
    const { signature } = record
    if (signature?.length !== KEY_BYTES) return false
    return this.#keys.some(key => timingSafeEqual(digest(key, topic, record), signature))
  }
}

/** A tombstone has no value. In place of the value's length, all bits are set. */
function digest(key: Buffer, topic: string, { key: name, value }: NewRecord): Buffer {
  const hmac = createHmac('sha256', key)
  for (const part of [Buffer.from(topic), name, value]) {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(part?.length ?? 0xffffffff)
    hmac.update(length)
    if (part !== null) hmac.update(part)
  }
  return hmac.digest()
}
