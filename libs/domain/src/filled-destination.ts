/**
 * Checks a destination's texts once its secrets are filled in, which the validation of its file cannot see.
 */
import { SluiceError, type ErrorDetail } from '@sluice/contracts/errors'
import { baseUrlFault, headerValueFault } from '@sluice/contracts/specs/http-texts'
import type { DestinationSpec } from '@sluice/contracts/resources'
import { fillSecrets, secretNames } from '@sluice/contracts/secret-references'

/**
 * Throws `config` if the base URL, the user name, a header or a query parameter could not be sent with the
 * secrets that `lookUp` gives. The error names the field and the secrets, and never has a value. Errors of
 * `lookUp` pass through.
 */
export function assertFilled(destination: DestinationSpec, lookUp: (name: string) => string): void {
  const { name, baseUrl, headers = {}, query = {}, auth, tls = {} } = destination
  // Secrets of certificates are checked when the certificates are opened. Here they only have to exist.
  const { username = '', password = '' } = auth !== undefined && 'basic' in auth ? auth.basic : {}
  for (const text of [username, password, ...Object.values(tls)])
    if (typeof text === 'string') fillSecrets(text, lookUp)
  const hasColon = fillSecrets(username, lookUp).includes(':')
  // The token goes to the destination, so the secrets that it is asked for with have to be allowed there,
  // too.
  if (auth !== undefined && 'oauth2' in auth)
    for (const secret of secretNames(JSON.stringify(auth))) lookUp(secret)
  const token = auth !== undefined && 'bearer' in auth ? auth.bearer : null
  const details = [
    ...baseUrlDetail(baseUrl, fillSecrets(baseUrl, lookUp)),
    ...detailOf(username, {
      field: 'auth.basic.username',
      what: 'the user name',
      fault: hasColon ? 'a colon, which ends it' : null,
    }),
    ...(token === null ? [] : bearerFault(token, fillSecrets(token, lookUp).trim())),
    ...Object.entries(headers).flatMap(([header, text]) => {
      const value = fillSecrets(text, lookUp).trim()
      const fault = headerValueFault(header, value) === null ? null : headerReason(value)
      return detailOf(text, { field: `headers.${header}`, what: `the header \`${header}\``, fault })
    }),
    ...Object.entries(query).flatMap(([parameter, text]) => {
      const fault = /[\r\n]/.test(fillSecrets(text, lookUp)) ? 'a line break' : null
      return detailOf(text, {
        field: `query.${parameter}`,
        what: `the query parameter \`${parameter}\``,
        fault,
      })
    }),
  ]
  const [first] = details
  if (first === undefined) return
  throw new SluiceError('config', `Destination \`${name}\`: ${first.message}.`, { details })
}

function baseUrlDetail(text: string, filled: string): ErrorDetail[] {
  const isRight = /^[\x21-\x7e]*$/.test(filled) && baseUrlFault(filled) === null
  if (secretNames(text).length === 0 || isRight) return []
  const fault = 'what no path of a URL can carry'
  return detailOf(text, { field: 'baseUrl', what: 'the path of `baseUrl`', fault })
}

function bearerFault(text: string, token: string): ErrorDetail[] {
  const fault = headerValueFault('authorization', token) === null ? null : headerReason(token)
  const what = 'the header `Authorization`'
  return detailOf(text, { field: 'auth.bearer', what, fault: token === '' ? 'no token' : fault })
}

/** Says what is wrong with the value of a header, without a piece of the value. */
function headerReason(value: string): string {
  if (/[\r\n]/.test(value)) return 'a line break'
  if (/\p{Cc}/u.test(value.replaceAll('\t', ''))) return 'a control character'
  return /[^\0-\xff]/.test(value) ? 'characters beyond Latin-1' : 'what is no host'
}

function detailOf(
  text: string,
  { field, what, fault }: { readonly field: string; readonly what: string; readonly fault: string | null },
): ErrorDetail[] {
  if (fault === null) return []
  const names = secretNames(text).map(name => `\`${name}\``)
  const secrets = `the ${names.length === 1 ? 'secret' : 'secrets'} ${names.join(', ')}`
  return [{ field, message: `${what} cannot be sent: with ${secrets} filled in it has ${fault}` }]
}
