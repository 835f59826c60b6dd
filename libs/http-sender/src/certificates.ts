/** Looks at the certificates of a destination before a connection needs them. */
import { X509Certificate } from 'node:crypto'
import { createSecureContext, TLSSocket, type SecureContext, type SecureContextOptions } from 'node:tls'
import type { Socket } from 'node:net'
import { assertPfx, KeyFault, openPrivateKey } from './private-keys.ts'
import type { CertificateView, ShownTls, TlsOptions } from './port.ts'

/** Which of the fields is at fault, in words that show none of their values. */
export interface TlsFault {
  readonly field: keyof TlsOptions
  readonly message: string
}

/** What makes the certificates unusable, as far as that can be told without a server; null: nothing. */
export function tlsFault({ ca, cert, key, pfx, passphrase }: TlsOptions): TlsFault | null {
  if (ca !== undefined && certificateIn(ca) === null) return { field: 'ca', message: NO_CERTIFICATE }
  const shown = cert === undefined ? null : certificateIn(cert)
  if (cert !== undefined && shown === null) return { field: 'cert', message: NO_CERTIFICATE }
  const pass = passphrase === undefined ? {} : { passphrase }
  if (key !== undefined) {
    try {
      if (shown?.checkPrivateKey(openPrivateKey(key, passphrase)) === false)
        return { field: 'key', message: 'it does not belong to the certificate in `cert`' }
    } catch (error) {
      return { field: 'key', message: faultOf(error) }
    }
  }
  if (pfx === undefined) return null
  try {
    secureContextOf({ pfx, ...pass })
    return null
  } catch (error) {
    return { field: 'pfx', message: faultOf(error) }
  }
}

function faultOf(error: unknown): string {
  return error instanceof KeyFault ? error.message : 'OpenSSL cannot use it'
}

/**
 * The certificates of the authorities, and the one that is shown. Only after `tlsFault` has found nothing.
 */
export function certificatesOf({ ca, cert, pfx, passphrase }: TlsOptions): {
  readonly ca: readonly CertificateView[]
  readonly client: CertificateView | null
} {
  const blocks = ca?.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  const shown = cert === undefined ? undefined : (certificateIn(cert) ?? undefined)
  return {
    ca: blocks.flatMap(block => viewOf(certificateIn(block) ?? undefined) ?? []),
    client: viewOf(
      pfx === undefined
        ? shown
        : certificateInPfx({ pfx, ...(passphrase === undefined ? {} : { passphrase }) }),
    ),
  }
}

/** Undefined for a file that has a key alone. */
function certificateInPfx(options: TlsOptions): X509Certificate | undefined {
  const context: unknown = Reflect.get(secureContextOf(options), 'context')
  const get: unknown = Reflect.get(Object(context), 'getCertificate')
  const der: unknown = typeof get === 'function' ? Reflect.apply(get, context, []) : null
  return Buffer.isBuffer(der) ? new X509Certificate(der) : undefined
}

const NO_CERTIFICATE = 'it is no certificate in PEM (-----BEGIN CERTIFICATE-----)'

/** All that node:tls needs. Made once for all connections. Throws if the certificates cannot be used. */
export function secureContextOf({ ca, cert, key, pfx, passphrase }: TlsOptions): SecureContext {
  const options: SecureContextOptions = {}
  if (ca !== undefined) options.ca = ca
  if (cert !== undefined) options.cert = cert
  if (key !== undefined)
    options.key = openPrivateKey(key, passphrase).export({ type: 'pkcs8', format: 'pem' })
  if (pfx !== undefined) {
    options.pfx = Buffer.from(pfx, 'base64')
    if (passphrase !== undefined) options.passphrase = passphrase
    assertPfx(options.pfx, passphrase)
  }
  return createSecureContext(options)
}

/** What an open connection has shown; null for one without TLS. */
export function shownOver(socket: Socket): ShownTls | null {
  if (!(socket instanceof TLSSocket)) return null
  return {
    protocol: socket.getProtocol(),
    server: viewOf(socket.getPeerX509Certificate()),
    client: viewOf(socket.getX509Certificate()),
  }
}

/** A name, or a list of names, may be of any length. */
const MAX_CHARACTERS = 300
const MAX_NAMES = 20
/** Of a name in several lines, enough for what is shown. */
const MAX_READ = 10 * MAX_CHARACTERS

function viewOf(certificate: X509Certificate | undefined): CertificateView | null {
  if (certificate === undefined) return null
  const { subject, issuer, subjectAltName = '', validFrom, validTo } = certificate
  const names = subjectAltName === '' ? [] : subjectAltName.split(', ').map(inOneLine)
  return {
    subject: inOneLine(subject),
    issuer: inOneLine(issuer),
    names: names.slice(0, MAX_NAMES).map(name => name.replace(/^(DNS|IP Address|URI|email):/, '')),
    validFrom: Date.parse(validFrom),
    validUntil: Date.parse(validTo),
  }
}

/** Node writes each part of a name in a line of its own. */
function inOneLine(text: string): string {
  const line = text
    .slice(0, MAX_READ)
    .split('\n')
    .map(part => part.trim())
    .join(', ')
  return line.length > MAX_CHARACTERS ? `${line.slice(0, MAX_CHARACTERS)}…` : line
}

/** The first certificate of a text in PEM. */
function certificateIn(text: string): X509Certificate | null {
  try {
    return new X509Certificate(text)
  } catch {
    return null
  }
}
