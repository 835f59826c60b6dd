import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EncryptionKeys } from './encryption-keys.ts'
import { environmentKeys, environmentOrFileKeys } from './key-file.ts'

const newFile = (): string => join(mkdtempSync(join(tmpdir(), 'sluice-key-')), 'key')

describe('the keys of the vault', () => {
  it('come from a file that is made with the first use, for its owner alone, and is used again', () => {
    const file = newFile()
    const source = environmentOrFileKeys({}, file)
    expect(source.known()).toBeNull()
    const made = source.needed()
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(source.known()).toBe(made)
    expect(environmentOrFileKeys({}, file).known()?.ids).toEqual(made.ids)
  })

  it('come from the environment where it has some, and then no file is made', () => {
    const file = newFile()
    const text = EncryptionKeys.generate()
    const source = environmentOrFileKeys({ SLUICE_ENCRYPTION_KEY: text }, file)
    expect(source.needed().ids).toEqual(EncryptionKeys.of(text, 'KEY').ids)
    expect(() => readFileSync(file)).toThrow('ENOENT')
  })

  it('may be in a file that the environment names', () => {
    const file = newFile()
    writeFileSync(file, `${EncryptionKeys.generate()}\n`)
    expect(environmentKeys({ SLUICE_ENCRYPTION_KEY_FILE: file }).needed().ids).toHaveLength(1)
  })

  it('are never made where others need the same: the error names the variable', () => {
    expect(environmentKeys({}).known()).toBeNull()
    expect(() => environmentKeys({}).needed()).toThrow(/^SLUICE_ENCRYPTION_KEY is not set/)
  })

  it('are not replaced if the file has something else', () => {
    const file = newFile()
    writeFileSync(file, 'garbage\n')
    expect(() => environmentOrFileKeys({}, file).needed()).toThrow(/base64 of 32 bytes/)
    expect(readFileSync(file, 'utf8')).toBe('garbage\n')
  })
})
