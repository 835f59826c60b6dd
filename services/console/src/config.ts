/** The configuration of the console. */
import { parseEnvironment, type Environment } from '@sluice/runtime/environment'
import {
  SERVICE_SECRETS,
  serviceConfigOf,
  serviceVariables,
  type ServiceConfig,
} from '@sluice/runtime/service-config'
import { z } from 'zod'
import { publicUrlOf } from '@sluice/alerts/keep/public-url'
import { accessOf } from './access/access-of.ts'
import type { Access } from './api/access.ts'

const PORT = 4747

const variables = z.object(serviceVariables({ port: PORT }))

export interface ConsoleConfig extends ServiceConfig {
  readonly access: Access
  /** Where secrets of sources are looked up, for previews. */
  readonly env: Environment
  /** Where people find this console; null if nobody has said. */
  readonly publicUrl: string | null
}

/** Throws `config` with one detail for each variable that is wrong. */
export function readConfig(env: Environment): ConsoleConfig {
  const config = serviceConfigOf(parseEnvironment(variables, env, { secrets: SERVICE_SECRETS }), env)
  return { ...config, access: accessOf(env, config.host), env, publicUrl: publicUrlOf(env) }
}
