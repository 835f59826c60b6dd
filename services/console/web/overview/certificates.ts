/** The ends of a destination's certificates, as its connections have shown them. */
import type { SyncView } from '@sluice/contracts/api'

export type Certificate = NonNullable<SyncView['certificates']>[number]

const DAY_MS = 86_400_000
/** This is enough time to renew a certificate. */
const SOON_MS = 30 * DAY_MS

/** For each side, the certificate that expires first, over all syncs that send to the destination. */
export function certificatesAt(destination: string, syncs: readonly SyncView[]): readonly Certificate[] {
  const first = new Map<Certificate['side'], Certificate>()
  for (const sync of syncs)
    for (const certificate of sync.destination === destination ? (sync.certificates ?? []) : []) {
      const before = first.get(certificate.side)
      if (before === undefined || certificate.expiresAt < before.expiresAt)
        first.set(certificate.side, certificate)
    }
  return [...first.values()]
}

const WHOSE = { server: 'certificate', client: 'client certificate' } as const

/** `soon` means within 30 days. A badge then shows it. */
export function endOf(
  { side, expiresAt }: Certificate,
  now: number,
): { readonly state: 'ended' | 'soon' | 'good'; readonly text: string } {
  const left = Date.parse(expiresAt) - now
  if (left <= 0) return { state: 'ended', text: `${WHOSE[side]} has ended` }
  const days = Math.floor(left / DAY_MS)
  const when = days === 0 ? 'today' : days === 1 ? 'in 1 day' : `in ${days} days`
  return { state: left <= SOON_MS ? 'soon' : 'good', text: `${WHOSE[side]} ends ${when}` }
}
