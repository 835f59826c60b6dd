/** The configuration of the renderer. */
import { parseEnvironment, type Environment } from '@sluice/runtime/environment'
import {
  SERVICE_SECRETS,
  serviceConfigOf,
  serviceVariables,
  type ServiceConfig,
} from '@sluice/runtime/service-config'
import { z } from 'zod'

const PORT = 4752

const variables = z.object(serviceVariables({ port: PORT }))

/** Reads the configuration. Throws `config` with a detail for each wrong variable. */
export function readConfig(env: Environment): ServiceConfig {
  return serviceConfigOf(parseEnvironment(variables, env, { secrets: SERVICE_SECRETS }), env)
}
