/** An access token as the store keeps it: sealed for its name. */
import type { EncryptionKeys } from '@sluice/secrets/vault/encryption-keys'
import { z } from 'zod'

const tokenSchema = z.object({
  id: z.string(),
  accessToken: z.string(),
  /** The scheme of the header Authorization. */
  type: z.string(),
  /** How long it counted when it was given. */
  lifeMs: z.number(),
})
const sealedSchema = z.object({ by: z.string(), bytes: z.string() })

/** A token is given up so long before it ends, and at most a fifth of its life. */
const MARGIN_MS = 60_000
const MARGIN_SHARE = 0.2

export function marginOf(lifeMs: number): number {
  return Math.min(MARGIN_MS, lifeMs * MARGIN_SHARE)
}

export type Token = z.output<typeof tokenSchema>

export function sealToken(keys: EncryptionKeys, name: string, token: Token): string {
  const { by, bytes } = keys.seal(JSON.stringify(token), ['token', name])
  return JSON.stringify({ by, bytes: Buffer.from(bytes).toString('base64') })
}

/** Null for a text that cannot be opened here: another token is asked for then. */
export function openToken(keys: EncryptionKeys, name: string, text: string): Token | null {
  try {
    const { by, bytes } = sealedSchema.parse(JSON.parse(text))
    const opened = keys.open({ by, bytes: Buffer.from(bytes, 'base64') }, ['token', name])
    return opened === null ? null : tokenSchema.parse(JSON.parse(opened))
  } catch {
    return null
  }
}
