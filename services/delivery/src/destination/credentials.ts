/** What shows a destination who sends: its `auth`, and the certificates of its connections. */
import { SluiceError } from '@sluice/contracts/errors'
import type { DestinationSpec } from '@sluice/contracts/resources'
import { tlsFault } from '@sluice/http-sender/certificates'
import type { ConnectionOptions } from '@sluice/http-sender/port'
import { MASK } from '@sluice/secrets/redact'

export interface Authorization {
  readonly header: string
  /** As it is shown. */
  readonly shown: string
  /** What an API may give back of it. */
  readonly secrets: readonly string[]
}

/** True if an attempt's token is asked for when it is needed. */
export function isOAuth({ auth }: DestinationSpec): boolean {
  return auth !== undefined && 'oauth2' in auth
}

type Fill = (text: string) => string

/** The header Authorization of a destination; null if it has none, or one for each attempt. */
export function authorizationOf({ auth }: DestinationSpec, fill: Fill): Authorization | null {
  if (auth === undefined || 'oauth2' in auth) return null
  if ('bearer' in auth) {
    const token = fill(auth.bearer).trim()
    return { header: `Bearer ${token}`, shown: `Bearer ${MASK}`, secrets: [token] }
  }
  const username = fill(auth.basic.username)
  const password = fill(auth.basic.password)
  const encoded = Buffer.from(`${username}:${password}`).toString('base64')
  return {
    header: `Basic ${encoded}`,
    shown: `Basic ${MASK}`,
    secrets: [encoded, `${username}:${password}`, password].filter(text => text !== ''),
  }
}

/**
 * How the connections to a destination are opened. Throws `config`, and names the field, if its certificates
 * cannot be used.
 */
export function connectionOf(
  { name, tls, allowPrivateNetwork }: DestinationSpec,
  fill: Fill,
  profile: { readonly allowPrivateNetwork: boolean },
): ConnectionOptions {
  const network = { allowPrivateNetwork: allowPrivateNetwork ?? profile.allowPrivateNetwork }
  if (tls === undefined) return network
  const { insecure, ca, cert, key, pfx, passphrase } = tls
  const given = Object.entries({ ca, cert, key, pfx, passphrase }).flatMap(([field, text]) =>
    text === undefined ? [] : [[field, fill(text)] as const],
  )
  const options = {
    ...Object.fromEntries(given),
    ...(insecure === true ? { rejectUnauthorized: false } : {}),
  }
  const fault = tlsFault(options)
  if (fault === null) return { ...network, tls: options }
  const field = `tls.${fault.field}`
  const message = `\`${field}\` cannot be used: ${fault.message}`
  throw new SluiceError('config', `Destination \`${name}\`: ${message}.`, { details: [{ field, message }] })
}
