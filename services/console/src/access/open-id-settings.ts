/** Reads from the environment the OpenID provider that people sign in with, and what its claims allow. */
import { isLoopback } from '@sluice/contracts/specs/http-texts'
import { ALL_ROLES, isRole, type Role } from '@sluice/control/roles'
import { SluiceError } from '@sluice/contracts/errors'
import type { Claims, OpenIdClientSettings } from '@sluice/oauth/open-id'
import { parseEnvironment, type Environment } from '@sluice/runtime/environment'
import { z } from 'zod'

const MAX_VALUES = 1_000

export interface OpenIdSettings extends OpenIdClientSettings {
  /** The claim whose values give roles: its name, or the names on the way to it with dots between them. */
  readonly rolesClaim: string
  readonly rolesOf: ReadonlyMap<string, ReadonlySet<Role>>
}

const issuer = z
  .string()
  .refine(
    text => isIssuer(URL.parse(text)),
    'expected the address of an OpenID provider, with https and without a query',
  )

/** Without TLS, anybody on the way could name any person. */
function isIssuer(url: URL | null): boolean {
  if (url === null || url.search !== '' || url.hash !== '' || url.username !== '') return false
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
}

const rolesOfValues = z.string().transform((text, context): ReadonlyMap<string, ReadonlySet<Role>> => {
  const found = new Map<string, ReadonlySet<Role>>()
  const entries = text
    .split(/[\n;]/)
    .map(entry => entry.trim())
    .filter(entry => entry !== '' && !entry.startsWith('#'))
  if (entries.length > MAX_VALUES)
    context.addIssue({ code: 'custom', message: `at most ${MAX_VALUES} entries` })
  for (const entry of entries) {
    // The value of a claim may have blanks. Roles have none.
    const [, value = '', roles = ''] = /^(.*\S)\s+(\S+)$/.exec(entry) ?? []
    const named = roles.split(',')
    if (value === '' || !named.every(role => role === 'all' || isRole(role)))
      context.addIssue({
        code: 'custom',
        message: `\`${entry}\`: expected a value of the claim and its roles (${[...ALL_ROLES].join(', ')}, or all), as in \`data-team view,read,run\``,
      })
    else if (found.has(value)) context.addIssue({ code: 'custom', message: `\`${value}\` is named twice` })
    else found.set(value, named.includes('all') ? ALL_ROLES : new Set(named.filter(isRole)))
  }
  return found
})

const variables = z.object({
  SLUICE_OIDC_ISSUER: issuer.optional(),
  SLUICE_OIDC_CLIENT_ID: z.string().optional(),
  SLUICE_OIDC_CLIENT_SECRET: z.string().min(16, 'expected at least 16 characters').optional(),
  SLUICE_OIDC_SCOPES: z.string().default('openid profile email'),
  SLUICE_OIDC_ROLES_CLAIM: z.string().default('groups'),
  SLUICE_OIDC_ROLES: rolesOfValues.optional(),
})

/** Returns null if people do not sign in with a provider. Throws `config` for settings that lack a part. */
export function readOpenId(env: Environment): OpenIdSettings | null {
  const read = parseEnvironment(variables, env, { secrets: ['SLUICE_OIDC_CLIENT_SECRET'] })
  const {
    SLUICE_OIDC_ISSUER: issuer,
    SLUICE_OIDC_CLIENT_ID: clientId,
    SLUICE_OIDC_CLIENT_SECRET: clientSecret,
    SLUICE_OIDC_ROLES: rolesOf,
  } = read
  const parts = {
    SLUICE_OIDC_ISSUER: issuer,
    SLUICE_OIDC_CLIENT_ID: clientId,
    SLUICE_OIDC_CLIENT_SECRET: clientSecret,
    SLUICE_OIDC_ROLES: rolesOf,
  }
  const missing = Object.entries(parts).flatMap(([name, value]) => (value === undefined ? [name] : []))
  if (missing.length === Object.keys(parts).length) return null
  if (issuer === undefined || clientId === undefined || clientSecret === undefined || rolesOf === undefined)
    throw new SluiceError('config', `Sign-in by OpenID Connect also wants ${missing.join(' and ')}.`)
  const scope = ['openid', ...read.SLUICE_OIDC_SCOPES.split(/[\s,]+/)].filter(name => name !== '')
  return {
    ...{ issuer, clientId, clientSecret, scope: [...new Set(scope)].join(' ') },
    ...{ rolesClaim: read.SLUICE_OIDC_ROLES_CLAIM, rolesOf },
  }
}

/**
 * The roles that the claims give: those of all values that have some. An address of mail counts only if the
 * provider has verified it, since with some providers people choose it.
 */
export function rolesIn(claims: Claims, { rolesClaim, rolesOf }: OpenIdSettings): ReadonlySet<Role> {
  if (rolesClaim === 'email' && claims['email_verified'] !== true) return new Set()
  const given = claimAt(claims, rolesClaim)
  const values = Array.isArray(given) ? given : [given]
  return new Set(values.flatMap(value => (typeof value === 'string' ? [...(rolesOf.get(value) ?? [])] : [])))
}

/** The name of a claim may have dots itself, as an address has. */
function claimAt(claims: Claims, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path]
  let found: unknown = claims
  for (const name of path.split('.')) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return undefined
    found = Reflect.get(found, name)
  }
  return found
}

/** At most this long, in UTF-16 units: the session has the name, and a cookie is small. */
const MAX_NAME = 300
const ON_ONE_LINE = /^[^\s\p{C}]+$/u

/**
 * The name of a person in audit and log: the address of mail, the name of the account, or the subject. It has
 * an `@`, which no name of a token or of a user of a machine has.
 */
export function nameIn(claims: Claims, { issuer }: Pick<OpenIdSettings, 'issuer'>): string {
  const { host } = new URL(issuer)
  const { email, email_verified: isVerified, preferred_username: account, sub } = claims
  const named = [isVerified === false ? null : email, account, sub].flatMap(name =>
    typeof name === 'string' ? [name.includes('@') ? name : `${name}@${host}`] : [],
  )
  const fitting = named.find(name => name.length <= MAX_NAME && ON_ONE_LINE.test(name))
  if (fitting !== undefined) return fitting
  throw new SluiceError('forbidden', 'The provider gave no name of the person that could be written down.')
}
