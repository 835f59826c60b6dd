/**
 * Tokens that people make and revoke while the server is at work. The vault keeps the hash, the roles and the
 * end of each, sealed. So the right to write to the topic makes nobody a token, and all processes that check
 * tokens follow them.
 */
import { randomBytes } from 'node:crypto'
import { isSluiceError, SluiceError } from '@sluice/contracts/errors'
import { jsonOf } from '@sluice/contracts/safe-json'
import { isRole, type Role } from '@sluice/control/roles'
import type { Vault } from '@sluice/secrets/vault/vault'
import { z } from 'zod'
import { hashOf, OPERATOR, READER, type KnownToken } from './tokens.ts'

/** The most tokens. Each token that comes is compared with all of them. */
const MAX_MADE = 200
const TOKEN_BYTES = 32
/** Scanners of repositories find a token by its beginning. */
const BEGINNING = 'sluice_'

const keptToken = z.object({
  /** SHA-256, in hex. */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  roles: z.array(z.string()),
  endsAt: z.number().nullable(),
})

interface NewToken {
  readonly name: string
  readonly roles: ReadonlySet<Role>
  /** In milliseconds since 1970. */
  readonly endsAt: number | null
  readonly by: string
}

interface Asking {
  readonly signal: AbortSignal
}

/** All methods may be called concurrently. */
export class MadeTokens {
  readonly #vault: Vault
  readonly #now: () => number
  #known: { readonly version: number; readonly tokens: readonly KnownToken[] } | null = null

  constructor(vault: Vault, now: () => number = Date.now) {
    this.#vault = vault
    this.#now = now
  }

  /** All that were made and not revoked, also those whose end has passed. */
  all(): readonly KnownToken[] {
    const { version } = this.#vault
    if (this.#known?.version !== version)
      this.#known = { version, tokens: this.#vault.tokens().flatMap(known) }
    return this.#known.tokens
  }

  /**
   * Makes a token. Resolves with its text once all replicas have its hash; nobody can ask for the text again.
   * Throws `usage` for an end that has passed, and `conflict` for a name that another token has.
   */
  async make({ name, roles, endsAt, by }: NewToken, { signal }: Asking): Promise<string> {
    if (endsAt !== null && endsAt <= this.#now())
      throw new SluiceError('usage', 'The end of a token lies in the future.')
    await this.#vault.caughtUp({ signal })
    const all = this.all()
    if (name === OPERATOR || name === READER || all.some(token => token.name === name)) throw taken(name)
    if (all.length >= MAX_MADE)
      throw new SluiceError('conflict', `There are ${MAX_MADE} tokens: revoke one that nobody needs.`)
    const token = `${BEGINNING}${randomBytes(TOKEN_BYTES).toString('base64url')}`
    const may = { roles: [...roles], endsAt }
    const value = JSON.stringify({ hash: hashOf(token).toString('hex'), ...may })
    const note = JSON.stringify(may)
    const secret = { kind: 'token', name, value, grants: null, by, note, expected: null } as const
    try {
      await this.#vault.set(secret, { signal })
    } catch (error) {
      if (isSluiceError(error, 'conflict') || isSluiceError(error, 'fenced')) throw taken(name)
      throw error
    }
    return token
  }

  /** Revokes a token. Resolves with false if no such token was made. */
  async revoke({ name, by }: Pick<NewToken, 'name' | 'by'>, { signal }: Asking): Promise<boolean> {
    return await this.#vault.remove({ kind: 'token', name, by }, { signal })
  }
}

function taken(name: string): SluiceError {
  return new SluiceError(
    'conflict',
    `There is a token \`${name}\` already: choose another name, or revoke that one first.`,
  )
}

/** A record of a later version may be of another form. Its token does not count here. */
function known({ name, value, since, by }: ReturnType<Vault['tokens']>[number]): readonly KnownToken[] {
  const read = keptToken.safeParse(jsonOf(value)).data
  if (read === undefined) return []
  const { hash, endsAt } = read
  const roles = new Set(read.roles.filter(isRole))
  const made = { at: since, by }
  const holder = { subject: name, name, roles, signs: hash, endsAt }
  return [{ ...holder, hash: Buffer.from(hash, 'hex'), from: 'made', made }]
}
