/** Secrets from the environment: `${secret:crm-password}` is `SLUICE_SECRET_CRM_PASSWORD`, or the text of the file that `SLUICE_SECRET_CRM_PASSWORD_FILE` names. */
import { readFileSync } from 'node:fs'
import { SluiceError } from '@sluice/contracts/errors'

/** Gives a secret's value; throws `config`, saying how to set it, where there is none. */
export type SecretLookup = (name: string) => string

export function environmentSecrets(env: { readonly [name: string]: string | undefined }): SecretLookup {
  return name => {
    const variable = `SLUICE_SECRET_${name.toUpperCase().replaceAll('-', '_')}`
    const value = env[variable]
    if (value !== undefined) return value
    const file = env[`${variable}_FILE`]
    if (file !== undefined) return readSecretFile(variable, file)
    throw new SluiceError(
      'config',
      `The secret \`${name}\` is not set: set the environment variable ${variable}.`,
    )
  }
}

function readSecretFile(variable: string, file: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  } catch (cause) {
    throw new SluiceError('config', `${variable}_FILE names ${file}, which cannot be read.`, { cause })
  }
}
