/**
 * Reads secrets from the environment. `${secret:crm-password}` is `SLUICE_SECRET_CRM_PASSWORD`, or the text
 * of the file that `SLUICE_SECRET_CRM_PASSWORD_FILE` names. A file is read at each use, so that a rotated
 * secret counts at once. One line break at the end is removed, since editors and `echo` leave one, also
 * through Base64. No known kind of secret ends with a line break.
 */
import { readFileSync, statSync } from 'node:fs'
import { messageOf, SluiceError } from '@sluice/contracts/errors'

/** Returns a secret's value. Throws `config`, which says how to set it, if there is none. */
export type SecretLookup = (name: string) => string

const NAME = /^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$/
/** A larger file is a mistake. */
const MAX_FILE_BYTES = 10_000_000

export function environmentSecrets(env: { readonly [name: string]: string | undefined }): SecretLookup {
  return name => {
    const variable = secretVariable(name)
    const value = env[variable]
    const file = env[`${variable}_FILE`]
    if (value !== undefined && file !== undefined) {
      throw new SluiceError('config', `${variable} and ${variable}_FILE are both set: unset one of them.`)
    }
    if (value !== undefined) return withoutLineBreak(value)
    if (file !== undefined) return readSecretFile(`${variable}_FILE`, file)
    throw new SluiceError(
      'config',
      `The secret \`${name}\` is not set: set the environment variable ${variable}, or ${variable}_FILE to the path of a file that holds it, or keep it with \`sluice secret set ${name}\`.`,
    )
  }
}

/** True if the environment has a secret of that name, valid or not. */
export function isInEnvironment(env: { readonly [name: string]: string | undefined }, name: string): boolean {
  return variableIn(env, name) !== null
}

/** Returns the variable of the environment that sets the secret, or names its file; null if none does. */
export function variableIn(
  env: { readonly [name: string]: string | undefined },
  name: string,
): string | null {
  const variable = secretVariable(name)
  return [variable, `${variable}_FILE`].find(each => env[each] !== undefined) ?? null
}

/** Returns the variable of a secret. Throws `config` for a name that no secret can have. */
export function secretVariable(name: string): string {
  if (!NAME.test(name)) {
    throw new SluiceError(
      'config',
      `\`${name}\` is no name of a secret: letters, digits, dashes and underscores are wanted.`,
    )
  }
  // SLUICE_SECRET_CRM_FOR has the grants of `crm`, so it cannot be a secret `crm-for`. The same holds for
  // _FILE.
  if (/[-_](for|file)$/i.test(name)) {
    throw new SluiceError(
      'config',
      `\`${name}\` is no name of a secret: the end -for or -file belongs to the variables of another one. Choose another end.`,
    )
  }
  return `SLUICE_SECRET_${name.toUpperCase().replaceAll('-', '_')}`
}

/** Reads the secret in a file. Throws `config`, which names the variable with the name of the file. */
function readSecretFile(variable: string, file: string): string {
  let text: string
  try {
    const stats = statSync(file)
    // A device may never end. A pipe is fine, since shells pass secrets through one.
    if (stats.isCharacterDevice() || stats.isBlockDevice()) throw new Error(`${file} is a device`)
    text = stats.size > MAX_FILE_BYTES ? ' '.repeat(MAX_FILE_BYTES + 1) : readFileSync(file, 'utf8')
  } catch (cause) {
    const why = messageOf(cause)
    throw new SluiceError('config', `${variable} names a file that cannot be read: ${why}`, { cause })
  }
  if (text.length > MAX_FILE_BYTES) {
    throw new SluiceError(
      'config',
      `${variable} names ${file}, which is longer than ${MAX_FILE_BYTES} bytes.`,
    )
  }
  return withoutLineBreak(text)
}

function withoutLineBreak(text: string): string {
  return text.replace(/\r?\n$/, '')
}
