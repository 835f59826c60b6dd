/** Gives secrets only to the places that the operator of this process has granted. */
import { SluiceError } from '@sluice/contracts/errors'
import type { SecretFor, SecretUse } from '@sluice/contracts/secret-references'
import { environmentSecrets, isInEnvironment, secretVariable, type SecretLookup } from './environment.ts'
import { grantFor, isGranted, parseGrants, type Grant, type GrantsOf } from './grants.ts'

interface Environment {
  readonly [name: string]: string | undefined
}

/** A secret that is stored outside the environment. */
export interface KeptSecret {
  readonly value: string
  /** The places where it may go; null without grants. */
  readonly grants: readonly Grant[] | null
  /** Grows with each change. */
  readonly version: number
  /** The time when it was set, in ms since 1970. */
  readonly since: number
}

/** Secrets outside the environment. A secret of the environment takes precedence. */
export interface KeptSecrets {
  /** Returns null if there is none. Throws `config` if it cannot be read here. */
  find(name: string): KeptSecret | null
}

const NONE_KEPT: KeptSecrets = { find: () => null }

const SECRET_FILE = /^SLUICE_SECRET_\w+_FILE$/
const GRANTS_VARIABLE = /^SLUICE_SECRET_\w+_FOR$/

/**
 * Reads grants from `SLUICE_SECRET_<NAME>_FOR`. Throws `config` if one of these variables cannot be parsed.
 */
function environmentGrants(env: Environment): GrantsOf {
  const byVariable = new Map<string, readonly Grant[]>()
  for (const [variable, text] of Object.entries(env))
    if (text !== undefined && GRANTS_VARIABLE.test(variable))
      byVariable.set(variable, parseGrants(variable, text))
  return name => byVariable.get(grantsVariable(name)) ?? null
}

/** Looks up a secret in the environment, and then in `kept`. Throws `config` as `environmentSecrets` does. */
export function secretsOf(env: Environment, kept: KeptSecrets): SecretLookup {
  const find = environmentSecrets(env)
  return name => (isInEnvironment(env, name) ? find(name) : (kept.find(name)?.value ?? find(name)))
}

/**
 * Looks up grants in the environment, and then in `kept`. A secret of the environment has no grants in
 * `kept`.
 */
function grantsWith(env: Environment, kept: KeptSecrets): GrantsOf {
  const ofEnvironment = environmentGrants(env)
  return name =>
    ofEnvironment(name) ?? (isInEnvironment(env, name) ? null : (kept.find(name)?.grants ?? null))
}

/**
 * Returns the secrets of the environment and of `kept`, each for the uses that its grants cover. `ungranted`
 * decides on secrets without any grant. In a process of one person they may go anywhere (`allowed`). If the
 * author of a resource may be someone other than the operator of the process, they go nowhere (`refused`).
 * Throws `config` at once if a variable of grants is wrong.
 */
export function boundSecrets(
  env: Environment,
  ungranted: 'allowed' | 'refused',
  kept: KeptSecrets = NONE_KEPT,
): SecretFor {
  const find = secretsOf(env, kept)
  const grantsOf = grantsWith(env, kept)
  return (name, use) => {
    const grants = grantsOf(name)
    if (grants === null ? ungranted === 'refused' : !isGranted(grants, use)) {
      // A missing secret is the first error to report.
      find(name)
      const isKept = !isInEnvironment(env, name) && env[grantsVariable(name)] === undefined
      throw refusal(name, use, { grants, isKept })
    }
    return find(name)
  }
}

/**
 * Finds out, as `boundSecrets` does, whether a secret is set and may go somewhere. It reads no file, so it
 * may be called often: a secret in a file counts as set.
 */
export function secretChecks(
  env: Environment,
  ungranted: 'allowed' | 'refused',
  kept?: KeptSecrets,
): SecretFor {
  const set = Object.entries(env).map(([variable, text]): [string, string | undefined] =>
    SECRET_FILE.test(variable) ? [variable.replace(/_FILE$/, ''), text] : [variable, text],
  )
  return boundSecrets(Object.fromEntries(set), ungranted, kept)
}

/**
 * Calls `onValue` with each value that is read, so that logs can mask it. A file is read only with its use.
 */
export function watchedSecrets(secretFor: SecretFor, onValue: (value: string) => void): SecretFor {
  return (name, use) => {
    const value = secretFor(name, use)
    onValue(value)
    return value
  }
}

/** Returns the secrets that may go anywhere, since they have no grants. */
export function unboundSecrets(
  names: readonly string[],
  env: Environment,
  kept: KeptSecrets = NONE_KEPT,
): readonly string[] {
  const grantsOf = grantsWith(env, kept)
  return [...new Set(names)].filter(name => grantsOf(name) === null)
}

/**
 * Returns a notice for the operator about secrets that may go anywhere, and how to bind the first of them.
 */
export function unboundNotice(names: readonly string[], env: Environment): string {
  const [first = ''] = names
  const binding = isInEnvironment(env, first)
    ? `${grantsVariable(first)}=HOST binds`
    : `\`sluice secret set ${first} --for HOST\` sets it again, and binds`
  const all = names.map(name => `\`${name}\``).join(', ')
  const which = names.length === 1 ? `The secret ${all} may` : `The secrets ${all} may`
  return `${which} go to any host that the project names. ${binding} ${names.length === 1 ? 'it' : 'the first'} to a host.`
}

function grantsVariable(name: string): string {
  return `${secretVariable(name)}_FOR`
}

interface Refused {
  readonly grants: readonly Grant[] | null
  /** True if the secret and its grants are in the vault. */
  readonly isKept: boolean
}

function refusal(name: string, use: SecretUse, { grants, isKept }: Refused): SluiceError {
  const variable = grantsVariable(name)
  const wanted = grantFor(use)
  const place = wanted.split(' ')[0] ?? ''
  const bare = use.tls ? '' : ', without TLS whose certificate is checked'
  const what = `The secret \`${name}\` may not go to the ${use.as} at ${place}${bare}`
  if (isKept) {
    const why = `the vault keeps it for ${grants === null ? 'no host' : 'other hosts'}`
    const todo = `Set it again for this one: \`sluice secret set ${name} --for "${wanted}"\`.`
    return new SluiceError('config', `${what}: ${why}. ${todo}`)
  }
  const todo =
    grants === null
      ? `it has no grant. To let it go there, set ${variable}="${wanted}"`
      : `${variable} does not grant that. To let it go there, add "${wanted}" to ${variable}`
  return new SluiceError('config', `${what}: ${todo} in the environment of the process that uses it.`)
}
