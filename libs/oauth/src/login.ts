/**
 * What Sluice keeps of a login in the vault: the refresh token, which servers may replace with each use, or
 * an access token that came without one.
 */
import { createHash, randomUUID } from 'node:crypto'
import { z } from 'zod'
import { SluiceError } from '@sluice/contracts/errors'

const schema = z.object({
  /** Of all that follows from one login: other tokens are not mixed with these. */
  epoch: z.string(),
  /**
   * Fingerprint of client, token endpoint, password and first refresh token. A login of others does not
   * count.
   */
  of: z.string(),
  refreshToken: z.string().nullable(),
  /** Only without a refresh token. */
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
 * Whose login it is. It stands in the vault alone. A login that nobody made by hand has no grants of its own:
 * those of the password, or of the first refresh token, count for it. So who does not know these has another
 * one.
 */
export function loginOf(of: {
  readonly tokenUrl: string
  readonly clientId: string
  readonly refreshToken: string | null
  readonly username: string | null
  readonly password: string | null
}): string {
  const { tokenUrl, clientId, refreshToken, username, password } = of
  const client = [tokenUrl, clientId, refreshToken]
  const text = JSON.stringify(password === null ? client : [...client, username, password])
  return createHash('sha256').update(text).digest('hex')
}

/** The sentence about a destination for which there is no token. `why` ends it. */
export function noToken(destination: string, why: string): string {
  return `Destination \`${destination}\`: no token${why}`
}

/** True for a text that tells of a destination without a token. */
export function tellsOfNoToken(text: string): boolean {
  return /^Destination `[^`]*`: (?:no token|its token had ended)/.test(text)
}
