/** The configuration of the renderer. */
import { serviceConfigOf, serviceVariables, type ServiceConfig } from '@sluice/runtime/service-config'
import { DISTRIBUTED_SECRETS } from '@sluice/runtime/distributed-settings'
import { parseEnvironment, type Environment } from '@sluice/runtime/environment'
import { z } from 'zod'

const PORT = 4752

const variables = z.object(serviceVariables({ port: PORT }))

/** Throws `config` with one detail for each variable that is wrong. */
export function readConfig(env: Environment): ServiceConfig {
  return serviceConfigOf(parseEnvironment(variables, env, { secrets: DISTRIBUTED_SECRETS }), env)
}
