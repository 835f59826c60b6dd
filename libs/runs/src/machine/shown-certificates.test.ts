import { expect, it } from 'vitest'
import type { ShownCertificate } from '@sluice/contracts/state'
import { sampleReport } from '@sluice/testkit/sample-records'
import { certificateNotices, firstToEnd } from './shown-certificates.ts'

const NOW = Date.UTC(2026, 10, 26)
const DAY_MS = 86_400_000

function shown(side: ShownCertificate['side'], days: number): ShownCertificate {
  return { side, subject: `CN=${side} ${days}`, expiresAt: NOW + days * DAY_MS }
}

it('of all partitions the certificate of each side counts that ends first', () => {
  const reports = [
    sampleReport({ certificates: [shown('server', 90), shown('client', 20)] }),
    sampleReport({ certificates: [shown('server', 60)] }),
    sampleReport({ certificates: null }),
    sampleReport({ certificates: [] }),
  ]
  expect(firstToEnd(reports)).toEqual([shown('client', 20), shown('server', 60)])
  expect(firstToEnd([])).toEqual([])
})

it('a certificate is told of from 30 days before it ends', () => {
  expect(certificateNotices([shown('server', 30.01), shown('client', 31)], NOW)).toEqual([])
  expect(certificateNotices([shown('server', 30), shown('client', -1), shown('client', 0)], NOW)).toEqual([
    "The certificate of the destination's server ends at 2026-12-26T00:00Z (CN=server 30).",
    'The certificate that Sluice shows to the destination has ended at 2026-11-25T00:00Z (CN=client -1).',
    'The certificate that Sluice shows to the destination has ended at 2026-11-26T00:00Z (CN=client 0).',
  ])
})
