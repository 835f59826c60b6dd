/** The secrets that a preview has at hand: it shows what a run would send also where some are missing. */
import { isSluiceError } from '@sluice/contracts/errors'
import { isDistributed } from '@sluice/runtime/distributed-settings'
import type { Environment } from '@sluice/runtime/environment'
import { environmentSecrets, type SecretLookup } from '@sluice/secrets/environment'

/** Looks up secrets so that they can be masked, and puts up with those that are not set. */
export function knownSecrets(env: Environment): { lookUp: SecretLookup; readonly missing: string[] } {
  const find = environmentSecrets(env)
  const missing: string[] = []
  const lookUp = (name: string): string => {
    try {
      return find(name)
    } catch (error) {
      if (!isSluiceError(error, 'config')) throw error
      // Elsewhere, the secrets are where the services are.
      if (!isDistributed(env)) missing.push(`a run would fail: ${error.message}`)
      return ''
    }
  }
  return { lookUp, missing }
}
