/** The secrets of this profile, and the hosts that they may go to. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { SecretFor } from '@sluice/contracts/secret-references'
import { hasOtherAuthors, isDistributed } from '@sluice/runtime/settings/distributed'
import type { Environment } from '@sluice/runtime/environment'
import { boundSecrets, type KeptSecrets, secretChecks, secretsOf } from '@sluice/secrets/bound-secrets'
import { environmentKeys, environmentOrFileKeys, type KeySource } from '@sluice/secrets/vault/key-file'
import { isSluiceError } from '@sluice/contracts/errors'
import type { SecretLookup } from '@sluice/secrets/environment'
import { MASK } from '@sluice/secrets/redact'
import { dataDirOf, logFile } from './state-folder.ts'

/** The keys of a folder's vault. */
export function keysOf(dataDir: string, env: Environment): KeySource {
  return environmentOrFileKeys(env, join(dataDir, 'key'))
}

/** A secret without a grant goes nowhere if the operator is not the only author. */
export function secretForOf(env: Environment, kept: KeptSecrets): SecretFor {
  return boundSecrets(env, hasOtherAuthors(env) ? 'refused' : 'allowed', kept)
}

/** Says whether a secret is set and may go to a host. It reads no file. */
export function secretChecksOf(env: Environment, kept: KeptSecrets): SecretFor {
  return secretChecks(env, hasOtherAuthors(env) ? 'refused' : 'allowed', kept)
}

/** False for a command on Kafka without the key of the services: it works without their secrets. */
export function mayHaveVault({ dir, env }: { readonly dir: string; readonly env: Environment }): boolean {
  return isDistributed(env)
    ? environmentKeys(env).known() !== null
    : existsSync(logFile(dataDirOf({ dir, env })))
}

export interface KnownSecrets {
  readonly lookUp: SecretLookup
  /** Sentences about secrets that are not set, and were looked up so far. */
  readonly missing: readonly string[]
  readonly isSet: (name: string) => boolean
}

/**
 * Looks up secrets, so that the output can mask them. It accepts secrets that are not set: their value is the
 * mask, so that every required field has a value.
 */
export function knownSecrets(env: Environment, kept: KeptSecrets): KnownSecrets {
  const find = secretsOf(env, kept)
  const missing: string[] = []
  const valueOf = (name: string): { readonly value: string } | { readonly error: Error } => {
    try {
      return { value: find(name) }
    } catch (error) {
      if (!isSluiceError(error, 'config')) throw error
      return { error }
    }
  }
  const lookUp = (name: string): string => {
    const found = valueOf(name)
    if ('value' in found) return found.value
    // In the distributed profile, the services have the secrets, and this process need not have them.
    const said = `a run would fail: ${found.error.message}`
    // Each field that names a secret looks it up.
    if (!isDistributed(env) && !missing.includes(said)) missing.push(said)
    return MASK
  }
  return { lookUp, missing, isSet: name => 'value' in valueOf(name) }
}
