import type { Definition } from '@sluice/contracts/resources'
import { secretNames } from '@sluice/contracts/secret-references'
import { environmentSecrets } from '@sluice/secrets/environment'

/** Throws `config`, before anything is run, if a secret that the definition refers to is not set. */
export function assertSecrets(
  { source, destination }: Definition,
  env: { readonly [name: string]: string | undefined },
): void {
  const lookUp = environmentSecrets(env)
  for (const name of secretNames(JSON.stringify([source, destination]))) lookUp(name)
}
