/** The configuration of delivery. */
import { serviceConfigOf, serviceVariables, type ServiceConfig } from '@sluice/runtime/service-config'
import { DISTRIBUTED_SECRETS } from '@sluice/runtime/distributed-settings'
import { parseEnvironment, type Environment } from '@sluice/runtime/environment'
import { z } from 'zod'

const PORT = 4753

const variables = z.object({
  ...serviceVariables({ port: PORT }),
  SLUICE_REDIS_URL: z.url({ protocol: /^rediss?$/, error: 'expected a URL such as redis://redis:6379' }),
  SLUICE_REDIS_CA: z.string().optional(),
})
const SECRETS = [...DISTRIBUTED_SECRETS, 'SLUICE_REDIS_URL', 'SLUICE_REDIS_CA']

export interface DeliveryConfig extends ServiceConfig {
  readonly redis: { readonly url: string; readonly ca?: string }
  /** Where secrets are looked up. */
  readonly env: Environment
}

/** Throws `config` with one detail for each variable that is wrong. */
export function readConfig(env: Environment): DeliveryConfig {
  const read = parseEnvironment(variables, env, { secrets: SECRETS })
  const { SLUICE_REDIS_URL: url, SLUICE_REDIS_CA: ca } = read
  return { ...serviceConfigOf(read, env), redis: { url, ...(ca === undefined ? {} : { ca }) }, env }
}
