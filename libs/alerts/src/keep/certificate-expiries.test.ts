import { X509Certificate } from 'node:crypto'
import { processorMs } from '@sluice/testkit/processor-ms'
import { TEST_CERTIFICATE } from '@sluice/testkit/test-certificate'
import { expect, it } from 'vitest'
import { expiriesIn } from './watched.ts'

const PEM = TEST_CERTIFICATE.cert
const END = Date.parse(new X509Certificate(PEM).validTo)

it('each certificate of a text has its end, whatever stands between them', () => {
  expect(expiriesIn(`${PEM}\nnonsense\n${PEM}`)).toEqual([END, END])
  expect(expiriesIn('nonsense')).toEqual([])
})

it('the end of a certificate that has none is looked for once, and not once for each that begins', async () => {
  const text = `${PEM}${'-----BEGIN CERTIFICATE-----'.repeat(20_000)}`
  expect(await processorMs(() => expect(expiriesIn(text)).toEqual([END]))).toBeLessThan(500)
})
