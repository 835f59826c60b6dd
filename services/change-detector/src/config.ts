/** The configuration of the change-detector. */
import { parseEnvironment, type Environment } from '@sluice/runtime/environment'
import {
  SERVICE_SECRETS,
  serviceConfigOf,
  serviceVariables,
  type ServiceConfig,
} from '@sluice/runtime/service-config'
import { z } from 'zod'

const PORT = 4751

const variables = z.object({
  ...serviceVariables({ port: PORT }),
  SLUICE_DATA_DIR: z.string().default('.sluice'),
})

export interface DetectorConfig extends ServiceConfig {
  /** The folder of the cached delivered states. Each process needs its own. */
  readonly dataDir: string
  /** The environment in which secrets are looked up. */
  readonly env: Environment
}

/** Throws `config` with one detail for each variable that is wrong. */
export function readConfig(env: Environment): DetectorConfig {
  const read = parseEnvironment(variables, env, { secrets: SERVICE_SECRETS })
  return { ...serviceConfigOf(read, env), dataDir: read.SLUICE_DATA_DIR, env }
}
