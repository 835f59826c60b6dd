import { isSluiceError } from '@sluice/contracts/errors'
import type { Definition, DestinationSpec } from '@sluice/contracts/resources'
import { secretNames } from '@sluice/contracts/secret-references'
import { assertFilled } from '@sluice/domain/filled-destination'
import { findFor, secretParts, usesByDestination, usesByTokens } from '@sluice/domain/secret-uses'
import { boundSecrets, type KeptSecrets } from '@sluice/secrets/bound-secrets'
import type { SecretLookup } from '@sluice/secrets/environment'

/**
 * Throws `config`, before anything runs, if a secret of the definition is not set, or if its grants do not
 * include the server that would get it. Also throws if the value of a secret makes a header or query
 * parameter that HTTP cannot send.
 */
export function assertSecrets(
  { source, destination }: Definition,
  env: { readonly [name: string]: string | undefined },
  kept?: KeptSecrets,
): void {
  const secretFor = boundSecrets(env, 'allowed', kept)
  for (const { text, uses: from } of secretParts(source))
    for (const name of secretNames(text)) for (const use of from) secretFor(name, use)
  const uses = usesByDestination(destination)
  if (uses.length > 0) assertFilled(destination, findFor(uses, secretFor))
  const { auth, tls } = destination
  for (const use of usesByTokens(destination))
    for (const name of secretNames(JSON.stringify([auth, tls]))) secretFor(name, use)
}

/**
 * Throws `config` if HTTP cannot send a header or query parameter of the destination with the secrets that
 * are set. It accepts secrets that are not set, since they may be set where the sync runs.
 */
export function assertSendable(destination: DestinationSpec, find: SecretLookup): void {
  assertFilled(destination, name => {
    try {
      return find(name)
    } catch (error) {
      if (isSluiceError(error, 'config')) return 'h'
      throw error
    }
  })
}
