/** The OAuth 2 settings of a destination, as users write them. */
import { z } from 'zod'
import { headerName } from './http-specs.ts'
import { fillSecrets, secretNames } from '../secret-references.ts'
import { filledText, text } from './plain-values.ts'

const SECRET = 'May hold ${secret:NAME}.'

/** True for an http or https URL without user, password, fragment, secrets and placeholders. */
function isEndpoint(value: string): boolean {
  // Documentation of APIs has placeholders such as https://login.example.com/{tenant}/token.
  if (secretNames(value).length > 0 || /[{}]/.test(value)) return false
  const url = URL.parse(fillSecrets(value, () => ''))
  if (url === null || !['http:', 'https:'].includes(url.protocol)) return false
  return url.username === '' && url.password === '' && url.hash === ''
}
const endpoint = filledText.refine(isEndpoint, 'a URL such as https://login.example.com/oauth2/token')

/**
 * Not `host`: a secret is granted to the host of the URL, but a server of many sites would choose the site by
 * this header.
 */
const tokenHeaderName = headerName.refine(
  name => name.toLowerCase() !== 'host',
  'a header other than host: the host of the URL is asked for tokens',
)
const params = z.record(text, text)
const extra = z
  .strictObject({
    headers: z.record(tokenHeaderName, text).optional(),
    query: params.optional(),
    body: params.optional(),
  })
  .describe(
    `Headers, query and body parameters that are added; they replace those of the same name. ${SECRET}`,
  )

const OAUTH_GRANTS = [
  'client-credentials',
  'authorization-code',
  'password',
  'refresh-token',
  'jwt-bearer',
] as const

export const oauth2 = z
  .strictObject({
    grant: z
      .enum(OAUTH_GRANTS)
      .describe('How the first token is obtained. authorization-code needs `sluice auth DESTINATION` once.'),
    tokenUrl: endpoint.describe('The URL for token requests.'),
    authorizationUrl: endpoint
      .optional()
      .describe('With authorization-code: the URL where a person logs in.'),
    refreshUrl: endpoint.optional().describe('The URL for refresh requests, if it is not tokenUrl.'),
    clientId: filledText.describe(SECRET),
    clientSecret: filledText.optional().describe('As ${secret:NAME}.'),
    clientAuthentication: z
      .enum(['header', 'body', 'private_key_jwt'])
      .optional()
      .describe('How the client shows who it is: by HTTP Basic (default), in the body, or by a signed JWT.'),
    privateKey: filledText
      .optional()
      .describe('With private_key_jwt or jwt-bearer: a private key in PEM (PKCS #8), as ${secret:NAME}.'),
    keyId: filledText.optional().describe('The `kid` of that key, if the server wants one.'),
    scopes: z
      .union([filledText, z.array(filledText)])
      .optional()
      .describe('A text, or a list.'),
    audience: filledText
      .optional()
      .describe('Whom the token is for. With jwt-bearer: `aud` of the assertion (default: tokenUrl).'),
    assertionAudience: filledText
      .optional()
      .describe(
        'With private_key_jwt: `aud` of the client’s JWT (default: tokenUrl). FAPI 2.0 wants the issuer of the server.',
      ),
    username: filledText
      .optional()
      .describe('With password: the user. With jwt-bearer: `sub` of the assertion (default: clientId).'),
    password: filledText.optional().describe('With password, as ${secret:NAME}.'),
    refreshToken: filledText.optional().describe('With refresh-token: the first one, as ${secret:NAME}.'),
    authorizationParams: params.optional().describe('Added to authorizationUrl.'),
    tokenRequest: extra.optional(),
    refreshRequest: extra.optional(),
  })
  .check(({ issues, value }) => {
    const miss = (path: string, message: string): void => {
      issues.push({ code: 'custom', path: [path], message, input: value })
    }
    const { grant, clientAuthentication: by } = value
    if (grant === 'authorization-code' && value.authorizationUrl === undefined)
      miss('authorizationUrl', 'the URL at which a person logs in, with `grant: authorization-code`')
    if (grant === 'password' && (value.username === undefined || value.password === undefined))
      miss(value.username === undefined ? 'username' : 'password', '`username` and `password` together')
    if (grant === 'refresh-token' && value.refreshToken === undefined)
      miss('refreshToken', 'the first refresh token, as ${secret:NAME}')
    const signs = by === 'private_key_jwt' || grant === 'jwt-bearer'
    if (signs && value.privateKey === undefined) miss('privateKey', 'the key that signs, as ${secret:NAME}')
    if (!signs && value.privateKey !== undefined)
      miss('privateKey', 'no `privateKey` here: it signs with private_key_jwt or jwt-bearer alone')
    if (by !== 'private_key_jwt' && value.assertionAudience !== undefined)
      miss('assertionAudience', 'no `assertionAudience` without `clientAuthentication: private_key_jwt`')
    if ((by === 'header' || by === 'body') && value.clientSecret === undefined)
      miss('clientSecret', `the client's secret, which \`clientAuthentication: ${by}\` shows`)
    if (by === 'private_key_jwt' && value.clientSecret !== undefined)
      miss('clientSecret', 'no `clientSecret` beside private_key_jwt, which takes its place')
  })

export type OAuthSpec = z.output<typeof oauth2>
