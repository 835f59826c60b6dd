/** What the operator says of sources in private networks, from the environment. */
import { z } from 'zod'
import { parseEnvironment, type Environment } from './environment.ts'

const variables = z.object({
  SLUICE_SOURCE_PRIVATE_NETWORKS: z
    .enum(['allowed', 'refused', 'never'], 'expected allowed, refused or never')
    .optional(),
})

/**
 * `allowed` and `refused` are for sources that do not say; `never` is for all. The default is up to the
 * profile, in which the authors of sources are operators or strangers. Throws `config` for another value.
 */
export function sourcePrivateNetworks(
  env: Environment,
  byDefault: 'allowed' | 'refused',
): 'allowed' | 'refused' | 'never' {
  return parseEnvironment(variables, env).SLUICE_SOURCE_PRIVATE_NETWORKS ?? byDefault
}
