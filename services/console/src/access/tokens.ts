/** The tokens of a server, with their names and roles. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { TokensView } from '@sluice/contracts/api/operating'
import { ALL_ROLES, type Role } from '@sluice/control/roles'

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

/**
 * The names of the callers that use SLUICE_TOKEN and SLUICE_READ_TOKEN. A caller that needs no token counts
 * as the operator.
 */
export const OPERATOR = 'operator'
export const READER = 'reader'

const READING: ReadonlySet<Role> = new Set(['view', 'read'])

export function allTokens({ write, read, named = [] }: Tokens): readonly NamedToken[] {
  return [
    ...(write === null ? [] : [{ name: OPERATOR, value: write, roles: ALL_ROLES }]),
    ...(read === null ? [] : [{ name: READER, value: read, roles: READING }]),
    ...named,
  ]
}

/** The variable that holds a token. No named token may be called like the first two. */
export function variableOf({ name }: Pick<NamedToken, 'name'>): TokensView['tokens'][number]['from'] {
  if (name === OPERATOR) return 'SLUICE_TOKEN'
  return name === READER ? 'SLUICE_READ_TOKEN' : 'SLUICE_TOKENS'
}

/**
 * Finds the token with this value. It compares all of them, by hashes of one length, so that the time it
 * takes reveals nothing.
 */
export function tokenOf(value: string, tokens: readonly NamedToken[]): NamedToken | null {
  const hash = hashed(value)
  let found: NamedToken | null = null
  for (const token of tokens) if (timingSafeEqual(hash, hashed(token.value))) found = token
  return found
}

function hashed(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
