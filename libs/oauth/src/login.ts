/**
 * The record of a login in the vault. It has the refresh token, which servers may replace with each use, or
 * an access token that came without one.
 */
import { createHash, randomUUID } from 'node:crypto'
import { z } from 'zod'
import { SluiceError } from '@sluice/contracts/errors'

const schema = z.object({
  /** Identifies the login. Tokens of different logins are not mixed. */
  epoch: z.string(),
  /** The fingerprint of client, token endpoint, password and first refresh token (`loginOf`). */
  of: z.string(),
  refreshToken: z.string().nullable(),
  /** Set only if there is no refresh token. */
  access: z.object({ accessToken: z.string(), type: z.string(), untilMs: z.number().nullable() }).nullable(),
})

export type Login = z.output<typeof schema>

/** Throws `corrupt` for a text that is no login. */
export function parseLogin(text: string): Login {
  try {
    return schema.parse(JSON.parse(text))
  } catch {
    throw new SluiceError('corrupt', 'what the vault keeps of a login cannot be read')
  }
}

export function newEpoch(): string {
  return randomUUID().slice(0, 8)
}

/**
 * Returns the fingerprint of the client that a login belongs to. A login that no person made has no grants of
 * its own: the grants of the password, or of the first refresh token, count for it. Since both are in the
 * fingerprint, a client that does not know them has another login.
 */
export function loginOf({
  tokenUrl,
  clientId,
  refreshToken,
  username,
  password,
}: {
  readonly tokenUrl: string
  readonly clientId: string
  readonly refreshToken: string | null
  readonly username: string | null
  readonly password: string | null
}): string {
  const client = [tokenUrl, clientId, refreshToken]
  const text = JSON.stringify(password === null ? client : [...client, username, password])
  return createHash('sha256').update(text).digest('hex')
}

/** Returns the error of a destination without a token. `why` ends the sentence. */
export function noToken(destination: string, why: string): string {
  return `Destination \`${destination}\`: no token${why}`
}

/** True for the error of a destination without a token. */
export function isNoTokenError(text: string): boolean {
  return /^Destination `[^`]*`: (?:no token|its token had ended)/.test(text)
}
