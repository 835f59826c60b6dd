import { isSluiceError } from '@sluice/contracts/errors'
import type { Definition, DestinationSpec } from '@sluice/contracts/resources'
import { secretNames } from '@sluice/contracts/secret-references'
import { assertFilled } from '@sluice/domain/filled-destination'
import { environmentSecrets } from '@sluice/secrets/environment'

/**
 * Throws `config`, before anything runs, if a secret that the definition refers to is not set. It also throws
 * if the value of a secret makes a header or query parameter that HTTP cannot send.
 */
export function assertSecrets(
  { source, destination }: Definition,
  env: { readonly [name: string]: string | undefined },
): void {
  const lookUp = environmentSecrets(env)
  for (const name of secretNames(JSON.stringify([source, destination]))) lookUp(name)
  assertFilled(destination, lookUp)
}

/**
 * Throws `config` if HTTP cannot send a header or query parameter of the destination with the secrets that
 * are set. It accepts secrets that are not set, since they may be set where the sync runs.
 */
export function assertSendable(
  destination: DestinationSpec,
  env: { readonly [name: string]: string | undefined },
): void {
  const find = environmentSecrets(env)
  assertFilled(destination, name => {
    try {
      return find(name)
    } catch (error) {
      if (isSluiceError(error, 'config')) return 'h'
      throw error
    }
  })
}
