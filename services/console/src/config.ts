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
import { accessOf } from './access/access-of.ts'
import type { Access } from './api/access.ts'

const PORT = 4747

const variables = z.object({
  ...serviceVariables({ port: PORT }),
  SLUICE_DATA_DIR: z.string().default('.sluice'),
})

export interface ConsoleConfig extends ServiceConfig {
  readonly access: Access
  /** Where the index of the history is kept. */
  readonly dataDir: string
  readonly history: HistorySettings
  /** Where secrets of sources are looked up, for previews. */
  readonly env: Environment
  /** Where people find this console; null if nobody has said. */
  readonly publicUrl: string | null
}

/** Throws `config` with one detail for each variable that is wrong. */
export function readConfig(env: Environment): ConsoleConfig {
  const read = parseEnvironment(variables, env, { secrets: SERVICE_SECRETS })
  const config = serviceConfigOf(read, env)
  const of = { dataDir: read.SLUICE_DATA_DIR, history: historySettings(env) }
  return { ...config, ...of, access: accessOf(env, config.host), env, publicUrl: publicUrlOf(env) }
}
