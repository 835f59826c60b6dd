/** Reads from environment variables what the operator allows sources and destinations to reach. */
import { duration } from '@sluice/contracts/specs/plain-values'
import { isAbsolute } from 'node:path'
import { z } from 'zod'
import { letsEdit } from './distributed.ts'
import { envSize, parseEnvironment, type Environment } from '../environment.ts'

/** The limits of sources that read files. An absent limit has its default. */
export interface FileSourceLimits {
  readonly roots?: readonly string[] | null
  readonly maxRows?: number
  readonly maxBytes?: number
  readonly maxSpillBytes?: number
  readonly maxMs?: number
}

const variables = z.object({
  SLUICE_SOURCE_ROOTS: z
    .string()
    .transform(text => text.split(/[:,]/).map(folder => folder.trim()))
    .refine(
      folders => folders.every(folder => isAbsolute(folder)),
      'expected absolute folders, with a colon or a comma between two of them',
    )
    .optional(),
  SLUICE_SOURCE_MAX_ROWS: z
    .string()
    .regex(/^[1-9]\d{0,14}$/, 'expected a number of rows, at least 1')
    .transform(Number)
    .optional(),
  SLUICE_SOURCE_MAX_BYTES: envSize.optional(),
  SLUICE_SOURCE_MAX_SPILL: envSize.optional(),
  SLUICE_SOURCE_MAX_TIME: duration.optional(),
})

/**
 * Reads the limits. `rootsUnset` are the folders that sources may read if the operator names none: no folder
 * if others than the operator write resources. Null means any folder. Throws `config` if a variable is wrong.
 */
export function fileSourceLimits(env: Environment, rootsUnset: readonly string[] | null): FileSourceLimits {
  const read = parseEnvironment(variables, env)
  return {
    roots: read.SLUICE_SOURCE_ROOTS ?? rootsUnset,
    ...(read.SLUICE_SOURCE_MAX_ROWS === undefined ? {} : { maxRows: read.SLUICE_SOURCE_MAX_ROWS }),
    ...(read.SLUICE_SOURCE_MAX_BYTES === undefined ? {} : { maxBytes: read.SLUICE_SOURCE_MAX_BYTES }),
    ...(read.SLUICE_SOURCE_MAX_SPILL === undefined ? {} : { maxSpillBytes: read.SLUICE_SOURCE_MAX_SPILL }),
    ...(read.SLUICE_SOURCE_MAX_TIME === undefined ? {} : { maxMs: read.SLUICE_SOURCE_MAX_TIME }),
  }
}

const networks = z.enum(['allowed', 'refused', 'never'], 'expected allowed, refused or never').optional()
const networkVariables = z.object({
  SLUICE_SOURCE_PRIVATE_NETWORKS: networks,
  SLUICE_DESTINATION_PRIVATE_NETWORKS: networks,
})

/**
 * `allowed` and `refused` apply to resources without a setting, and `never` to all, whatever their setting.
 * By default private networks are allowed if the operator alone writes resources, since their APIs and
 * databases are there.
 */
export type PrivateNetworks = 'allowed' | 'refused' | 'never'

/** Reads whether sources may be in private networks. Throws `config` for another value. */
export function sourcePrivateNetworks(env: Environment): PrivateNetworks {
  return parseEnvironment(networkVariables, env).SLUICE_SOURCE_PRIVATE_NETWORKS ?? byDefault(env)
}

/** Reads the same for destinations, their logins, and alerts. */
export function destinationPrivateNetworks(env: Environment): PrivateNetworks {
  return parseEnvironment(networkVariables, env).SLUICE_DESTINATION_PRIVATE_NETWORKS ?? byDefault(env)
}

function byDefault(env: Environment): PrivateNetworks {
  return letsEdit(env) ? 'refused' : 'allowed'
}
