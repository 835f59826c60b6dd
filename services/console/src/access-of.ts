/** Reads from the environment who may use the API. */
import { SluiceError } from '@sluice/contracts/errors'
import { parseEnvironment, type Environment } from '@sluice/runtime/environment'
import { isLoopback } from '@sluice/runtime/health-server'
import { z } from 'zod'
import type { Access } from './api/access.ts'

const token = z
  .string()
  .min(16, 'expected at least 16 characters')
  .regex(/^[\x21-\x7e]+$/, 'expected visible ASCII characters without spaces')
  .optional()

const variables = z.object({ SLUICE_TOKEN: token, SLUICE_READ_TOKEN: token })

/**
 * Throws `config` for a token that can be guessed, and for an address that others reach without a token for
 * writing or reading.
 */
export function accessOf(env: Environment, host: string): Access {
  const secrets = ['SLUICE_TOKEN', 'SLUICE_READ_TOKEN']
  const { SLUICE_TOKEN: write = null, SLUICE_READ_TOKEN: read = null } = parseEnvironment(variables, env, {
    secrets,
  })
  if (write !== null && write === read)
    throw new SluiceError(
      'config',
      'SLUICE_READ_TOKEN has to differ from SLUICE_TOKEN, which may do everything.',
    )
  if (write !== null || read !== null) return { kind: 'tokens', tokens: { write, read } }
  if (isLoopback(host)) return { kind: 'loopback', host }
  throw new SluiceError(
    'config',
    `Others reach ${host}, so a token is wanted: set SLUICE_TOKEN to a secret of at least 16 characters, or SLUICE_HOST to 127.0.0.1.`,
  )
}
