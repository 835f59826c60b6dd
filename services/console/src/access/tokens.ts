/** The tokens of a server, with their names and roles. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { TokensView } from '@sluice/contracts/api/operating'
import { ALL_ROLES, type Role } from '@sluice/control/roles'
import type { Holder } from './sessions.ts'

/** A token of the environment. */
export interface NamedToken {
  readonly name: string
  readonly value: string
  readonly roles: ReadonlySet<Role>
}

export interface Tokens {
  /** SLUICE_TOKEN, which may do everything. */
  readonly write: string | null
  readonly read: string | null
  readonly named?: readonly NamedToken[]
}

/** A token as the server checks it. The subject of its sessions is its name. */
export interface KnownToken extends Holder {
  /** SHA-256 of the token. */
  readonly hash: Buffer
  readonly from: TokensView['tokens'][number]['from']
  /** Null for a token of the environment. The time is in milliseconds since 1970. */
  readonly made: { readonly at: number; readonly by: string | null } | null
}

/**
 * The names of the callers that use SLUICE_TOKEN and SLUICE_READ_TOKEN. A caller that needs no token counts
 * as the operator.
 */
export const OPERATOR = 'operator'
export const READER = 'reader'

const READING: ReadonlySet<Role> = new Set(['view', 'read'])

/** The tokens of the environment. */
export function allTokens({ write, read, named = [] }: Tokens): readonly KnownToken[] {
  const known = (token: NamedToken, from: KnownToken['from']): KnownToken => {
    const { name, value, roles } = token
    const holder = { subject: name, name, roles, signs: value, endsAt: null }
    return { ...holder, hash: hashOf(value), from, made: null }
  }
  return [
    ...(write === null ? [] : [known({ name: OPERATOR, value: write, roles: ALL_ROLES }, 'SLUICE_TOKEN')]),
    ...(read === null ? [] : [known({ name: READER, value: read, roles: READING }, 'SLUICE_READ_TOKEN')]),
    ...named.map(token => known(token, 'SLUICE_TOKENS')),
  ]
}

/**
 * Finds the token with this value. It compares all of them, by hashes of one length, so that the time it
 * takes reveals nothing.
 */
export function tokenOf(value: string, tokens: readonly KnownToken[]): KnownToken | null {
  const hash = hashOf(value)
  let found: KnownToken | null = null
  for (const token of tokens) if (timingSafeEqual(hash, token.hash)) found = token
  return found
}

export function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
