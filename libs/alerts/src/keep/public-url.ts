/** Reads the URL of the console, for the links of notices. */
import { parseEnvironment, type Environment } from '@sluice/runtime/environment'
import { z } from 'zod'

const variables = z.object({
  SLUICE_PUBLIC_URL: z
    .url({
      protocol: /^https?$/,
      error: 'expected the URL of the console, such as https://sluice.example.com',
    })
    .optional(),
})

/**
 * Returns `SLUICE_PUBLIC_URL` without a slash at its end; null if it is not set. Throws `config` for another
 * text.
 */
export function publicUrlOf(env: Environment): string | null {
  return parseEnvironment(variables, env).SLUICE_PUBLIC_URL?.replace(/\/+$/, '') ?? null
}
