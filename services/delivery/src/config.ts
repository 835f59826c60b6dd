/** The configuration of delivery. */
import { parseEnvironment, type Environment } from '@sluice/runtime/environment'
import {
  SERVICE_SECRETS,
  serviceConfigOf,
  serviceVariables,
  type ServiceConfig,
} from '@sluice/runtime/service-config'
import { z } from 'zod'

const PORT = 4753

const variables = z.object(serviceVariables({ port: PORT }))

export interface DeliveryConfig extends ServiceConfig {
  /** The place in which secrets are looked up. */
  readonly env: Environment
}

/** Throws `config` with one detail for each variable that is wrong. */
export function readConfig(env: Environment): DeliveryConfig {
  const read = parseEnvironment(variables, env, { secrets: SERVICE_SECRETS })
  return { ...serviceConfigOf(read, env), env }
}
