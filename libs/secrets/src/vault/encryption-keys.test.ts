import { describe, expect, it } from 'vitest'
import { EncryptionKeys } from './encryption-keys.ts'

const text = EncryptionKeys.generate()
const other = EncryptionKeys.generate()
const PURPOSE = ['secret', 'crm', 1, null]

describe('encryption keys', () => {
  const keys = EncryptionKeys.of(text, 'KEY')

  it('open what they have sealed, for the same purpose alone', () => {
    const sealed = keys.seal('a value ✓', PURPOSE)
    expect(keys.open(sealed, PURPOSE)).toBe('a value ✓')
    expect(keys.open(sealed, ['secret', 'other', 1, null])).toBeNull()
    expect(keys.open(sealed, ['secret', 'crm', 2, null])).toBeNull()
    expect(keys.open(sealed, ['secret', 'crm', 1, 'evil.example.com'])).toBeNull()
  })

  it('seal each time anew, and show nothing of the value', () => {
    const [one, two] = [keys.seal('same value', PURPOSE), keys.seal('same value', PURPOSE)]
    expect(Buffer.from(one.bytes).equals(two.bytes)).toBe(false)
    expect(Buffer.from(one.bytes).toString('latin1')).not.toContain('same')
  })

  it('open nothing in which one bit is another', () => {
    const { by, bytes } = keys.seal('value', PURPOSE)
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Uint8Array.from(bytes, (byte, index) => (index === at ? byte ^ 1 : byte))
      expect(keys.open({ by, bytes: changed }, PURPOSE)).toBeNull()
    }
    for (const length of [0, 12, 27, bytes.length - 1])
      expect(keys.open({ by, bytes: bytes.subarray(0, length) }, PURPOSE)).toBeNull()
  })

  it('rotate: the first seals, and all open; a key that is missing is named by its id', () => {
    const sealed = keys.seal('value', PURPOSE)
    const both = EncryptionKeys.of(`${other}, ${text}`, 'KEY')
    expect(both.open(sealed, PURPOSE)).toBe('value')
    expect(both.seal('x', PURPOSE).by).toBe(both.ids[0])
    expect(both.ids[1]).toBe(sealed.by)
    const without = EncryptionKeys.of(other, 'KEY')
    expect(() => without.open(sealed, PURPOSE)).toThrow(`the key ${sealed.by}`)
  })

  it.each(['', 'short', 'QUJD', `${text},`])('are not read from %j, which no message repeats', wrong => {
    expect(() => EncryptionKeys.of(wrong, 'SLUICE_ENCRYPTION_KEY')).toThrow(
      /^SLUICE_ENCRYPTION_KEY: its value is not right: expected base64 of 32 bytes/,
    )
  })
})
