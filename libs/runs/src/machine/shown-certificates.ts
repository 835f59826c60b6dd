/** The certificates that the connections of a run have shown, and the notices about them. */
import type { PartitionReport, RunEvent } from '@sluice/contracts/records'
import type { ShownCertificate } from '@sluice/contracts/state'

/** A notice comes this long before a certificate expires, which is time enough to renew it. */
const NOTICE_BEFORE_MS = 30 * 86_400_000

const WHOSE = {
  server: "The certificate of the destination's server",
  client: 'The certificate that Sluice shows to the destination',
} as const

/** Returns, for each side, the certificate that expires first. */
export function firstToEnd(reports: readonly PartitionReport[]): readonly ShownCertificate[] {
  const first = new Map<ShownCertificate['side'], ShownCertificate>()
  for (const { certificates } of reports)
    for (const certificate of certificates ?? []) {
      const before = first.get(certificate.side)
      if (before === undefined || certificate.expiresAt < before.expiresAt)
        first.set(certificate.side, certificate)
    }
  return [...first.values()].sort((one, other) => one.expiresAt - other.expiresAt)
}

/** Returns the certificates of the sync's last run that opened encrypted connections. */
export function lastShown(runs: Iterable<RunEvent>): readonly ShownCertificate[] {
  const [last] = [...runs]
    .filter(({ certificates }) => (certificates ?? []).length > 0)
    .sort((a, b) => (b.endedAt ?? 0) - (a.endedAt ?? 0))
  return last?.certificates ?? []
}

/** Returns a sentence for each certificate that has expired, or expires within 30 days from `at`. */
export function certificateNotices(certificates: readonly ShownCertificate[], at: number): readonly string[] {
  return certificates
    .filter(({ expiresAt }) => expiresAt - at <= NOTICE_BEFORE_MS)
    .map(({ side, subject, expiresAt }) => {
      const when = `${new Date(expiresAt).toISOString().slice(0, 16)}Z`
      const ends = expiresAt <= at ? `has ended at ${when}` : `ends at ${when}`
      return `${WHOSE[side]} ${ends} (${subject}).`
    })
}
