/** Where the secrets of this profile are, and where they may go. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { SecretFor } from '@sluice/contracts/secret-references'
import { hasOtherAuthors, isDistributed } from '@sluice/runtime/settings/distributed'
import type { Environment } from '@sluice/runtime/environment'
import { boundSecrets, type KeptSecrets } from '@sluice/secrets/bound-secrets'
import { environmentKeys, environmentOrFileKeys, type KeySource } from '@sluice/secrets/vault/key-file'
import { dataDirOf, logFile } from './state-folder.ts'

/** The keys of a folder's vault. */
export function keysOf(dataDir: string, env: Environment): KeySource {
  return environmentOrFileKeys(env, join(dataDir, 'key'))
}

/** Where its operator is not the only author, a secret without a grant goes nowhere. */
export function secretForOf(env: Environment, kept: KeptSecrets): SecretFor {
  return boundSecrets(env, hasOtherAuthors(env) ? 'refused' : 'allowed', kept)
}

/** A command on Kafka need not have the key of the services. Then it does without their secrets. */
export function mayHaveVault({ dir, env }: { readonly dir: string; readonly env: Environment }): boolean {
  return isDistributed(env)
    ? environmentKeys(env).known() !== null
    : existsSync(logFile(dataDirOf({ dir, env })))
}
