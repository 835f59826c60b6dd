/**
 * Reads from the environment the tokens of the API and the provider of sign-ins, and decides whether it may
 * go without.
 */
import { SluiceError } from '@sluice/contracts/errors'
import { ALL_ROLES, isRole, type Role } from '@sluice/control/roles'
import { parseEnvironment, type Environment } from '@sluice/runtime/environment'
import { isLoopback } from '@sluice/contracts/specs/http-texts'
import { z } from 'zod'
import type { Access } from '../api/access.ts'
import { readOpenId } from './open-id-settings.ts'
import { letsEdit } from '@sluice/runtime/settings/distributed'
import { NAME_PATTERN } from '@sluice/contracts/resources'
import { OPERATOR, READER, type NamedToken } from './tokens.ts'

const MAX_TOKENS = 200
const VISIBLE = /^[\x21-\x7e]+$/

const token = z
  .string()
  .min(16, 'expected at least 16 characters')
  .regex(VISIBLE, 'expected visible ASCII characters without spaces')
  .optional()

const namedTokens = z
  .string()
  .transform((text, context): readonly NamedToken[] => {
    const entries = text
      .split(/[\n;]/)
      .map(entry => entry.trim())
      .filter(entry => entry !== '' && !entry.startsWith('#'))
    if (entries.length > MAX_TOKENS) context.addIssue({ code: 'custom', message: `at most ${MAX_TOKENS}` })
    return entries.flatMap((entry, index) => {
      const read = namedToken(entry)
      if (typeof read !== 'string') return [read]
      context.addIssue({ code: 'custom', message: `entry ${index + 1}: ${read}` })
      return []
    })
  })
  .optional()

/**
 * Parses a token. Returns what is wrong with the entry as text, without the entry, which may hold a secret.
 */
function namedToken(entry: string): NamedToken | string {
  const [name = '', roles = '', value = '', more] = entry.split(/\s+/)
  if (value === '' || more !== undefined)
    return 'expected a name, its roles and its token, as in `ann view,read,run 4f0c9a…`'
  if (!NAME_PATTERN.test(name)) return 'expected a name of small letters, digits and `-`'
  if (name === OPERATOR || name === READER) return `the name \`${name}\` is taken`
  if (value.length < 16 || !VISIBLE.test(value))
    return `the token of \`${name}\` has fewer than 16 characters`
  const named = roles.split(',')
  const wrong = named.find(role => role !== 'all' && !isRole(role))
  if (wrong !== undefined)
    return `\`${name}\` has an unknown role: expected ${[...ALL_ROLES].join(', ')}, or all`
  return { name, value, roles: named.includes('all') ? ALL_ROLES : new Set<Role>(named.filter(isRole)) }
}

const publicUrl = z
  .string()
  .refine(
    text => /^https?:\/\/[^/?#@]+(\/[^?#]*)?$/i.test(text) && URL.canParse(text),
    'expected the address that browsers use, such as https://sluice.example.com',
  )
  .transform(text => new URL(text).origin)
  .optional()

const variables = z.object({
  SLUICE_TOKEN: token,
  SLUICE_READ_TOKEN: token,
  SLUICE_TOKENS: namedTokens,
  SLUICE_PUBLIC_URL: publicUrl,
})

/**
 * Throws `config` for a token that can be guessed, and for an address that others reach without any token.
 */
export function readAccess(env: Environment, host: string): Access {
  const secrets = ['SLUICE_TOKEN', 'SLUICE_READ_TOKEN', 'SLUICE_TOKENS']
  const {
    SLUICE_TOKEN: write = null,
    SLUICE_READ_TOKEN: read = null,
    SLUICE_TOKENS: named = [],
    SLUICE_PUBLIC_URL: publicOrigin,
  } = parseEnvironment(variables, env, { secrets })
  if (write !== null && write === read)
    throw new SluiceError(
      'config',
      'SLUICE_READ_TOKEN has to differ from SLUICE_TOKEN, which may do everything.',
    )
  assertDistinct(named, [write, read])
  const openId = readOpenId(env)
  if (write !== null || read !== null || named.length > 0 || openId !== null)
    return {
      ...{ kind: 'tokens', tokens: { write, read, named }, hasAuthors: letsEdit(env), openId },
      ...(publicOrigin === undefined ? {} : { publicOrigin }),
    }
  if (isLoopback(host)) return { kind: 'loopback', host }
  throw new SluiceError(
    'config',
    `Other machines reach ${host}, so a token is wanted: set SLUICE_TOKEN to a secret of at least 16 characters, or SLUICE_HOST to 127.0.0.1.`,
  )
}

/** Throws `config` if two names or two tokens are the same. The log could not tell their owners apart. */
function assertDistinct(named: readonly NamedToken[], others: readonly (string | null)[]): void {
  const names = new Set<string>()
  const values = new Set(others)
  for (const { name, value } of named) {
    if (names.has(name)) throw new SluiceError('config', `SLUICE_TOKENS names \`${name}\` twice.`)
    if (values.has(value))
      throw new SluiceError('config', `SLUICE_TOKENS: \`${name}\` and another entry have the same token.`)
    names.add(name)
    values.add(value)
  }
}
