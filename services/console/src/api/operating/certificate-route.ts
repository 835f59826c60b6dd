/** Whether files of a certificate can be used, before anything of them is kept. */
import { certificatesView, type CertificatesView } from '@sluice/contracts/api/operating'
import { certificateBody, noQuery } from '@sluice/contracts/api-requests'
import { SluiceError } from '@sluice/contracts/errors'
import { FILE_CEILING_BYTES } from '@sluice/domain/record-sizes'
import { sleep } from '@sluice/flow/sleep'
import { Slots } from '@sluice/flow/slots'
import { certificatesOf, tlsFault } from '@sluice/http-sender/certificates'
import type { CertificateView } from '@sluice/http-sender/port'
import { z } from 'zod'
import { route } from '../route.ts'

/** Two files, of which JSON writes each line break as two characters. */
const BODY_BYTES = 4 * FILE_CEILING_BYTES + 64 * 1024

/**
 * A check takes up to 0.1 s of the thread that answers all. Others have it for as long between two of them.
 */
const TURNS = new Slots({ most: 1, overdueMs: 10_000 })
const OTHERS_MS = 50

type Files = z.output<typeof certificateBody>

export const CERTIFICATE_ROUTE = route({
  ...{ method: 'POST', scope: 'write', status: 200, path: '/certificates/check', id: 'checkCertificate' },
  ...{ summary: 'Tell whether a certificate can be used. Nothing is kept', bodyBytes: BODY_BYTES, atOnce: 4 },
  ...{ params: z.strictObject({}), query: noQuery, body: certificateBody, answer: certificatesView },
  respond: async ({ body }, { signal }) => {
    using _turn = await TURNS.take({ signal })
    await sleep(OTHERS_MS, { signal })
    return { kind: 'document', value: checked(body, Date.now()) }
  },
})

/** Throws `config` with the field that is wrong, in words that show nothing of the files. */
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
  `it has expired on ${new Date(validUntil).toISOString().slice(0, 10)}: ask who issued it for a new one`

const viewOf = ({ validFrom, validUntil, ...names }: CertificateView): CertificatesView['ca'][number] => ({
  ...{ subject: names.subject, issuer: names.issuer, names: [...names.names] },
  validFrom: new Date(validFrom).toISOString(),
  validUntil: new Date(validUntil).toISOString(),
})
