/**
 * Checks the certificates of a destination before a connection needs them, and makes views of certificates.
 */
import { X509Certificate } from 'node:crypto'
import { createSecureContext, TLSSocket, type SecureContext, type SecureContextOptions } from 'node:tls'
import type { Socket } from 'node:net'
import { assertPfx, KeyFault, openPrivateKey } from './private-keys.ts'
import type { CertificateView, ShownTls, TlsOptions } from './port.ts'

/** The field that cannot be used, and why. The message shows no value. */
export interface TlsFault {
  readonly field: keyof TlsOptions
  readonly message: string
}

/** Returns why the certificates cannot be used, as far as is known without a server; null if they can. */
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
 * Returns views of the authorities and of the client certificate. Call it only if `tlsFault` returns null.
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

/** Returns undefined for a file that has only a key. */
function certificateInPfx(options: TlsOptions): X509Certificate | undefined {
  const context: unknown = Reflect.get(secureContextOf(options), 'context')
  const get: unknown = Reflect.get(Object(context), 'getCertificate')
  const der: unknown = typeof get === 'function' ? Reflect.apply(get, context, []) : null
  return Buffer.isBuffer(der) ? new X509Certificate(der) : undefined
}

const NO_CERTIFICATE = 'it is no certificate in PEM (-----BEGIN CERTIFICATE-----)'

/** Makes the context that all connections share. Throws if the certificates cannot be used. */
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

/** Returns the certificates of an open connection; null for one without TLS. */
export function certificatesOver(socket: Socket): ShownTls | null {
  if (!(socket instanceof TLSSocket)) return null
  return {
    protocol: socket.getProtocol(),
    server: viewOf(socket.getPeerX509Certificate()),
    client: viewOf(socket.getX509Certificate()),
  }
}

/** Bounds of a view, since certificates may have names of any length and number. */
const MAX_CHARACTERS = 300
const MAX_NAMES = 20
/** Only this much of a name is read. It is more than is shown, since lines are joined. */
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

/** Joins the parts of a name, which Node writes on lines of their own. */
function inOneLine(text: string): string {
  const line = text
    .slice(0, MAX_READ)
    .split('\n')
    .map(part => part.trim())
    .join(', ')
  return line.length > MAX_CHARACTERS ? `${line.slice(0, MAX_CHARACTERS)}…` : line
}

/** Returns the first certificate of a text in PEM; null if there is none. */
function certificateIn(text: string): X509Certificate | null {
  try {
    return new X509Certificate(text)
  } catch {
    return null
  }
}
