/** The configuration of the console. */
import { historySettings, type HistorySettings } from '@sluice/history/history-settings'
import { parseEnvironment, type Environment } from '@sluice/runtime/environment'
import {
  SERVICE_SECRETS,
  serviceConfigOf,
  serviceVariables,
  type ServiceConfig,
} from '@sluice/runtime/service-config'
import { z } from 'zod'
import { publicUrlOf } from '@sluice/alerts/keep/public-url'
import { readAccess } from './access/read-access.ts'
import type { Access } from './api/access.ts'

const PORT = 4747

const variables = z.object({
  ...serviceVariables({ port: PORT }),
  SLUICE_DATA_DIR: z.string().default('.sluice'),
})

export interface ConsoleConfig extends ServiceConfig {
  readonly access: Access
  /** The folder of the history's index. */
  readonly dataDir: string
  readonly history: HistorySettings
  /** The environment, from which previews take the secrets of sources. */
  readonly env: Environment
  /** The address at which people find this console. Null if it is not configured. */
  readonly publicUrl: string | null
}

/** Throws `config` with one detail for each variable that is wrong. */
export function readConfig(env: Environment): ConsoleConfig {
  const read = parseEnvironment(variables, env, { secrets: SERVICE_SECRETS })
  const config = serviceConfigOf(read, env)
  return {
    ...config,
    dataDir: read.SLUICE_DATA_DIR,
    history: historySettings(env),
    access: readAccess(env, config.host),
    env,
    publicUrl: publicUrlOf(env),
  }
}
