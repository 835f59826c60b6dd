/** Secrets that go only where the operator of this process lets them go. */
import { SluiceError } from '@sluice/contracts/errors'
import type { SecretFor, SecretUse } from '@sluice/contracts/secret-references'
import { environmentSecrets, isInEnvironment, secretVariable, type SecretLookup } from './environment.ts'
import { grantFor, isGranted, parseGrants, type Grant, type GrantsOf } from './grants.ts'

interface Environment {
  readonly [name: string]: string | undefined
}

/** A secret that is kept elsewhere than in the environment. */
export interface KeptSecret {
  readonly value: string
  /** Where it may go; null if nobody has said. */
  readonly grants: readonly Grant[] | null
  /** Grows with each change. */
  readonly version: number
  /** When it was set, in ms since 1970. */
  readonly since: number
}

/** Secrets that are kept elsewhere. The environment goes before them. */
export interface KeptSecrets {
  /** Null if there is none. Throws `config` if it cannot be read here. */
  find(name: string): KeptSecret | null
}

const NONE_KEPT: KeptSecrets = { find: () => null }

const GRANTS_VARIABLE = /^SLUICE_SECRET_\w+_FOR$/

/**
 * Grants from `SLUICE_SECRET_<NAME>_FOR`. Throws `config` if one of these variables has a text that is none.
 */
function environmentGrants(env: Environment): GrantsOf {
  const byVariable = new Map<string, readonly Grant[]>()
  for (const [variable, text] of Object.entries(env))
    if (text !== undefined && GRANTS_VARIABLE.test(variable))
      byVariable.set(variable, parseGrants(variable, text))
  return name => byVariable.get(grantsVariable(name)) ?? null
}

/**
 * Gives values of the environment, and else of what is kept elsewhere. Throws `config` as
 * `environmentSecrets` does.
 */
export function secretsOf(env: Environment, kept: KeptSecrets): SecretLookup {
  const find = environmentSecrets(env)
  return name => (isInEnvironment(env, name) ? find(name) : (kept.find(name)?.value ?? find(name)))
}

/**
 * Grants of the environment go before those that are kept with a secret. A secret of the environment has no
 * others.
 */
function grantsWith(env: Environment, kept: KeptSecrets): GrantsOf {
  const ofEnvironment = environmentGrants(env)
  return name =>
    ofEnvironment(name) ?? (isInEnvironment(env, name) ? null : (kept.find(name)?.grants ?? null))
}

/**
 * The secrets of the environment and those `kept` elsewhere, each for the uses that its grants cover.
 * `ungranted` says what becomes of a secret without any grant: in a process of one person it may go anywhere
 * (`allowed`); where the author of a resource and the operator of the process are two, it goes nowhere
 * (`refused`). Throws `config` at once if a variable of grants is wrong.
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
      // A secret that is not there is the first thing to mend.
      find(name)
      throw refusal(name, use, grants)
    }
    return find(name)
  }
}

/** The same secrets. `tell` hears of each value, so that no log shows it: files are read with their use. */
export function told(secretFor: SecretFor, tell: (value: string) => void): SecretFor {
  return (name, use) => {
    const value = secretFor(name, use)
    tell(value)
    return value
  }
}

/** Of these secrets, those that may go anywhere, as nobody has said where they may go. */
export function unboundSecrets(
  names: readonly string[],
  env: Environment,
  kept: KeptSecrets = NONE_KEPT,
): readonly string[] {
  const grantsOf = grantsWith(env, kept)
  return [...new Set(names)].filter(name => grantsOf(name) === null)
}

/** Tells the operator about secrets that may go anywhere, and how to bind the first of them. */
export function unboundNotice(names: readonly string[], env: Environment): string {
  const [first = ''] = names
  const binding = isInEnvironment(env, first)
    ? `${grantsVariable(first)}=HOST binds`
    : `\`sluice secret set ${first} --for HOST\` sets it anew, and binds`
  const all = names.map(name => `\`${name}\``).join(', ')
  const which = names.length === 1 ? `The secret ${all} may` : `The secrets ${all} may`
  return `${which} go to any host that the project names. ${binding} ${names.length === 1 ? 'it' : 'the first'} to a host.`
}

function grantsVariable(name: string): string {
  return `${secretVariable(name)}_FOR`
}

function refusal(name: string, use: SecretUse, grants: readonly Grant[] | null): SluiceError {
  const variable = grantsVariable(name)
  const wanted = grantFor(use)
  const place = wanted.split(' ')[0] ?? ''
  const bare = use.tls ? '' : ', without TLS whose certificate is checked'
  const what = `The secret \`${name}\` may not go to the ${use.as} at ${place}${bare}`
  const todo =
    grants === null
      ? `it has no grant. To let it go there, set ${variable}="${wanted}"`
      : `${variable} does not grant that. To let it go there, add "${wanted}" to ${variable}`
  return new SluiceError('config', `${what}: ${todo} in the environment of the process that uses it.`)
}
