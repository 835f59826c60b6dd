/** Makes certificates for servers and clients of tests, good and bad ones. */
import forge from 'node-forge'

export interface Certificate {
  readonly cert: string
  readonly key: string
}

export interface CertificateWish {
  /** Common name; default `localhost`. */
  readonly name?: string
  /** Names and addresses of the server; default `localhost` and 127.0.0.1. */
  readonly hosts?: readonly string[]
  /** Absent: the certificate signs itself, and may sign others. */
  readonly by?: Certificate
  /** Days from now until it ends, and until then from 30 days before; default 365. */
  readonly days?: number
}

const DAY_MS = 86_400_000

export function makeCertificate({
  name = 'localhost',
  hosts = ['localhost', '127.0.0.1'],
  by,
  days = 365,
}: CertificateWish = {}): Certificate {
  const keys = forge.pki.rsa.generateKeyPair(2048)
  const made = forge.pki.createCertificate()
  const subject = [{ name: 'commonName', value: name }]
  made.publicKey = keys.publicKey
  made.serialNumber = `01${forge.util.bytesToHex(forge.random.getBytesSync(8))}`
  made.validity.notAfter = new Date(Date.now() + days * DAY_MS)
  made.validity.notBefore = new Date(Math.min(Date.now(), made.validity.notAfter.getTime()) - 30 * DAY_MS)
  made.setSubject(subject)
  made.setIssuer(by === undefined ? subject : forge.pki.certificateFromPem(by.cert).subject.attributes)
  made.setExtensions([
    { name: 'basicConstraints', cA: by === undefined, critical: true },
    {
      name: 'subjectAltName',
      altNames: hosts.map(host => (/^[\d.]+$/.test(host) ? { type: 7, ip: host } : { type: 2, value: host })),
    },
  ])
  made.sign(
    by === undefined ? keys.privateKey : forge.pki.privateKeyFromPem(by.key),
    forge.md.sha256.create(),
  )
  return { cert: forge.pki.certificateToPem(made), key: forge.pki.privateKeyToPem(keys.privateKey) }
}

/** The key, which `passphrase` opens. */
export function encryptedKey({ key }: Certificate, passphrase: string): string {
  return forge.pki.encryptRsaPrivateKey(forge.pki.privateKeyFromPem(key), passphrase)
}

/** Certificate and key as PKCS #12 in Base64, which `passphrase` opens. */
export function asPfx({ cert, key }: Certificate, passphrase: string): string {
  const pfx = forge.pkcs12.toPkcs12Asn1(
    forge.pki.privateKeyFromPem(key),
    [forge.pki.certificateFromPem(cert)],
    passphrase,
    { algorithm: '3des' },
  )
  return forge.util.encode64(forge.asn1.toDer(pfx).getBytes())
}
