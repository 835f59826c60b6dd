/** The secrets that a preview knows. It shows what a run would send even if some secrets are missing. */
import { isSluiceError } from '@sluice/contracts/errors'
import { isDistributed } from '@sluice/runtime/settings/distributed'
import type { Environment } from '@sluice/runtime/environment'
import { secretsOf, type KeptSecrets } from '@sluice/secrets/bound-secrets'
import type { SecretLookup } from '@sluice/secrets/environment'

/** Looks up secrets, so that the output can mask them. It accepts secrets that are not set. */
export function knownSecrets(
  env: Environment,
  kept: KeptSecrets,
): { lookUp: SecretLookup; readonly missing: string[] } {
  const find = secretsOf(env, kept)
  const missing: string[] = []
  const lookUp = (name: string): string => {
    try {
      return find(name)
    } catch (error) {
      if (!isSluiceError(error, 'config')) throw error
      // In the distributed profile, the services have the secrets, and this process need not have them.
      const said = `a run would fail: ${error.message}`
      // Each field that names a secret looks it up.
      if (!isDistributed(env) && !missing.includes(said)) missing.push(said)
      return ''
    }
  }
  return { lookUp, missing }
}
