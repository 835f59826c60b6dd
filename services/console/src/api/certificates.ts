/** Checks whether the files of a certificate can be used, before they are stored. */
import type { InputOf } from '@sluice/contracts/api/operation-shapes'
import type { CertificatesView } from '@sluice/contracts/api/operating'
import { SluiceError } from '@sluice/contracts/errors'
import { sleep } from '@sluice/flow/sleep'
import { Slots } from '@sluice/flow/slots'
import { certificatesOf, tlsFault } from '@sluice/http-sender/certificates'
import type { CertificateView } from '@sluice/http-sender/port'

/** A check takes up to 0.1 s of the thread that answers all requests, so checks run one at a time. */
const TURNS = new Slots({ most: 1, overdueMs: 10_000 })
/** Other requests have the thread for this time before each check. */
const OTHERS_MS = 50

type Files = InputOf<'checkCertificate'>

/** Waits for its turn. Throws like `checked`. */
export async function checkedInTurn(files: Files, signal: AbortSignal): Promise<CertificatesView> {
  using _turn = await TURNS.take({ signal })
  await sleep(OTHERS_MS, { signal })
  return checked(files, Date.now())
}

/** Throws `config` with the field that is wrong. The message shows nothing of the files. */
export function checked(files: Files, now: number): CertificatesView {
  const given = Object.fromEntries(Object.entries(files).filter(([, text]) => text !== undefined))
  const { ca, cert, key, pfx } = files
  if (ca === undefined && cert === undefined && key === undefined && pfx === undefined)
    throw wrong('cert', 'wanted a certificate and its key, a PKCS #12 file, or certificates of authorities')
  if ((cert === undefined) !== (key === undefined)) throw wrong('key', 'wanted `cert` and `key` together')
  if (pfx !== undefined && cert !== undefined) throw wrong('pfx', 'wanted `pfx`, or `cert` and `key`')
  const fault = tlsFault(given)
  if (fault !== null) throw wrong(fault.field, fault.message)
  const { ca: authorities, client } = certificatesOf(given)
  const field = pfx === undefined ? 'cert' : 'pfx'
  if (pfx !== undefined && client === null) throw wrong('pfx', 'it has no certificate, only a key')
  if (client !== null && client.validUntil <= now) throw wrong(field, expired(client))
  const [first] = authorities
  if (first !== undefined && authorities.every(({ validUntil }) => validUntil <= now))
    throw wrong('ca', expired(first))
  return { ca: authorities.map(viewOf), client: client === null ? null : viewOf(client) }
}

const wrong = (field: string, message: string): SluiceError =>
  new SluiceError('config', `\`${field}\`: ${message}`, { details: [{ field, message }] })

const expired = ({ validUntil }: CertificateView): string =>
  `it expired on ${new Date(validUntil).toISOString().slice(0, 10)}: ask its issuer for a new one`

const viewOf = ({ validFrom, validUntil, ...names }: CertificateView): CertificatesView['ca'][number] => ({
  ...{ subject: names.subject, issuer: names.issuer, names: [...names.names] },
  validFrom: new Date(validFrom).toISOString(),
  validUntil: new Date(validUntil).toISOString(),
})
