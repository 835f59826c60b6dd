/**
 * Reads the keys of the vault from the environment, or, in a folder of one person, from a file that is made
 * on first use.
 */
import { readFileSync } from 'node:fs'
import { isSluiceError, messageOf, SluiceError } from '@sluice/contracts/errors'
import { secretOf, type Environment } from '@sluice/runtime/environment'
import { writeNewFile } from '@sluice/runtime/private-files'
import { EncryptionKeys } from './encryption-keys.ts'

const VARIABLE = 'SLUICE_ENCRYPTION_KEY'

/** The keys of the vault. Both methods throw `config` if the keys are wrong. */
export interface KeySource {
  /** Returns null if there are none yet. */
  known(): EncryptionKeys | null
  /** Makes a key if there is none. Throws `config` if it must not. */
  needed(): EncryptionKeys
}

/** Reads keys only from the environment. Every process of the distributed profile has the same ones. */
export function environmentKeys(env: Environment): KeySource {
  const known = once(() => {
    const text = secretOf(env, VARIABLE)
    return text === undefined ? null : EncryptionKeys.of(text, VARIABLE)
  })
  const needed = (): EncryptionKeys => {
    const keys = known()
    if (keys !== null) return keys
    throw new SluiceError(
      'config',
      `${VARIABLE} is not set, and what the vault keeps is encrypted with it: set it, or ${VARIABLE}_FILE, to the same value for ` +
        'the command, the change-detector and delivery. `openssl rand -base64 32` prints one.',
    )
  }
  return { known, needed }
}

/** Reads keys from the environment, or else from the file, which only the user of this process can read. */
export function environmentOrFileKeys(env: Environment, file: string): KeySource {
  const ofEnvironment = environmentKeys(env)
  const ofFile = (): EncryptionKeys | null => {
    const text = read(file)
    return text === null ? null : EncryptionKeys.of(text, file)
  }
  let made: EncryptionKeys | null = null
  const known = (): EncryptionKeys | null => ofEnvironment.known() ?? (made ??= ofFile())
  const needed = (): EncryptionKeys => known() ?? (made = make(file))
  return { known, needed }
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    if (isMissing(error)) return null
    throw unusable(file, error)
  }
}

/** Makes a key. It is on the disk before anything is sealed with it. */
function make(file: string): EncryptionKeys {
  const text = EncryptionKeys.generate()
  try {
    writeNewFile(file, `${text}\n`)
  } catch (error) {
    throw isSluiceError(error, 'disk') ? error : unusable(file, error)
  }
  return EncryptionKeys.of(text, file)
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

function unusable(file: string, cause: unknown): SluiceError {
  const why = messageOf(cause)
  return new SluiceError('config', `The key of the vault, ${file}, cannot be used: ${why}`, { cause })
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null
  return () => (made ??= { value: make() }).value
}
