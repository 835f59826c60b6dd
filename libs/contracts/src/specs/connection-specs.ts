/** TLS and credentials of connections, as users write them. */
import { z } from 'zod'
import { fillSecrets } from '../secret-references.ts'
import { oauth2 } from './oauth-specs.ts'
import { filledText, text } from './plain-values.ts'

/** The longest certificate, key or PKCS #12 file, in characters. */
const MAX_CERTIFICATE_LENGTH = 10_000_000
const certificate = filledText.max(MAX_CERTIFICATE_LENGTH, 'at most 10 MB').optional()

const tlsFields = {
  ca: certificate.describe('Certificates in PEM of the authorities to trust, in place of the known ones.'),
  cert: certificate.describe('The certificate in PEM that Sluice shows.'),
  key: certificate.describe('Its key in PEM, best as ${secret:NAME}.'),
  insecure: z
    .boolean('true or false')
    .optional()
    .describe('true: the certificate of the server is not checked.'),
}
const PAIR_WANTED = '`cert` and `key` together, found one of them'
function isPair(spec: { readonly cert?: string | undefined; readonly key?: string | undefined }): boolean {
  return (spec.cert === undefined) === (spec.key === undefined)
}

export const sourceTls = z.strictObject(tlsFields).refine(isPair, { error: PAIR_WANTED })

export const destinationTls = z
  .strictObject({
    ...tlsFields,
    pfx: certificate.describe('In place of cert and key: a PKCS #12 file in Base64, best as ${secret:NAME}.'),
    passphrase: filledText.optional().describe('Opens `key` or `pfx`, as ${secret:NAME}.'),
  })
  .refine(isPair, { error: PAIR_WANTED })
  .refine(spec => spec.pfx === undefined || spec.cert === undefined, {
    path: ['pfx'],
    error: '`pfx`, or `cert` and `key`, found both',
  })
  .refine(spec => spec.passphrase === undefined || spec.pfx !== undefined || spec.key !== undefined, {
    path: ['passphrase'],
    error: 'a `key` or `pfx` beside it, which it opens',
  })

const AUTH_KINDS = ['basic', 'bearer', 'oauth2'] as const
const AUTH_WANTED = `one of ${AUTH_KINDS.map(kind => `\`${kind}\``).join(', ')}`
const basicAuth = z.strictObject({
  username: filledText
    .refine(value => !fillSecrets(value, () => '').includes(':'), 'a name without a colon, which ends it')
    .describe('May hold ${secret:NAME}.'),
  password: text.default('').describe('As ${secret:NAME}.'),
})
export const destinationAuth = z
  .union(
    [
      z.strictObject({
        oauth2: oauth2.describe('Tokens that Sluice gets, and renews, by OAuth 2 (RFC 6749).'),
      }),
      z.strictObject({ basic: basicAuth.describe('User name and password (RFC 7617).') }),
      z.strictObject({ bearer: filledText.describe('A token, as ${secret:NAME} (RFC 6750).') }),
    ],
    { error: ({ input }) => authWanted(input) },
  )
  .describe('Credentials, sent as the header Authorization.')

function authWanted(input: unknown): string {
  const isMap = typeof input === 'object' && input !== null
  const found = AUTH_KINDS.filter(kind => isMap && kind in input)
  if (found.length > 1) return `a map with ${AUTH_WANTED}, found ${found.join(' and ')}`
  if (found[0] === 'basic') return '`basic: { username: …, password: ${secret:NAME} }`'
  if (found[0] === 'oauth2')
    return '`oauth2: { grant: …, tokenUrl: …, clientId: … }` as docs/reference/destination.md has it'
  if (found[0] === 'bearer') return '`bearer: ${secret:NAME}`'
  return `a map with ${AUTH_WANTED}`
}
