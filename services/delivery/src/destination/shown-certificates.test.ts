import { expect, it } from 'vitest'
import type { ShownTls } from '@sluice/http-sender/port'
import { ShownCertificates } from './target.ts'

const certificate = (subject: string, validUntil: number): NonNullable<ShownTls['server']> => ({
  ...{ subject, issuer: 'CN=authority', names: [], validFrom: 0, validUntil },
})

it('of each side the certificate is kept that ends first, whatever servers show later', () => {
  const shown = new ShownCertificates()
  expect(shown.all).toEqual([])
  shown.note(undefined)
  shown.note({ protocol: 'TLSv1.3', server: certificate('CN=b', 20), client: null })
  shown.note({ protocol: 'TLSv1.3', server: certificate('CN=a', 10), client: certificate('CN=c', 30) })
  shown.note({ protocol: 'TLSv1.3', server: certificate('CN=b', 20), client: certificate('CN=c', 30) })
  expect(shown.all).toEqual([
    { side: 'server', subject: 'CN=a', expiresAt: 10 },
    { side: 'client', subject: 'CN=c', expiresAt: 30 },
  ])
})
