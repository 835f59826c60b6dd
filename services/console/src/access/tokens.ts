/** The tokens of a server: who has one, and what they may do with it. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { TokensView } from '@sluice/contracts/api/operating'
import { ALL_ROLES, type Role } from '@sluice/control/roles'

/** A token of a server, with the name that it has there. */
export interface NamedToken {
  readonly name: string
  readonly value: string
  readonly roles: ReadonlySet<Role>
}

export interface Tokens {
  /** May do everything. */
  readonly write: string | null
  readonly read: string | null
  readonly named?: readonly NamedToken[]
}

/** The names of the two tokens that have a variable of their own, and of whoever needs none. */
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

/** The variable that a token stands in. The names of the first two are taken. */
export function variableOf({ name }: Pick<NamedToken, 'name'>): TokensView['tokens'][number]['from'] {
  if (name === OPERATOR) return 'SLUICE_TOKEN'
  return name === READER ? 'SLUICE_READ_TOKEN' : 'SLUICE_TOKENS'
}

/** The token with this value. All are compared, by hashes of one length, so that the time tells nothing. */
export function tokenOf(value: string, tokens: readonly NamedToken[]): NamedToken | null {
  const hash = hashed(value)
  let found: NamedToken | null = null
  for (const token of tokens) if (timingSafeEqual(hash, hashed(token.value))) found = token
  return found
}

/** True unless the token is for looking only. */
export function mayChange({ roles }: Pick<NamedToken, 'roles'>): boolean {
  return [...roles].some(role => !READING.has(role))
}

function hashed(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
