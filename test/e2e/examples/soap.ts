/** The example of SOAP: client certificates, tokens, and faults whose code says what they mean. */
import { expect, it } from 'vitest'
import { TEST_CERTIFICATE } from '@sluice/testkit/test-certificate'
import { fault, startPartner, type PretendPartner } from '../../vendors/soap.ts'
import type { Profile } from '../embedded-profile.ts'
import { openExample, type Example } from './example.ts'

const SECRET = 'pAr7n3r-c1i3nt-s3cr3t-9f86d081884c7d65'

export function soapExample(profile: Profile): void {
  it('a SOAP service takes orders over mTLS, and its faults tell mistakes from mishaps', async ({
    onTestFailed,
  }) => {
    // One certificate, which signed itself, is that of the authority, the server and the client.
    const { cert, key } = TEST_CERTIFICATE
    await using partner = await startPartner({ id: 'sluice', secret: SECRET }, { cert, key, ca: cert })
    await using example = await openExample(profile, {
      ...{ folder: 'soap', file: 'orders.csv', sync: 'partner-orders' },
      env: { PARTNER_URL: partner.url },
      secrets: { 'partner-client-secret': SECRET, 'partner-key': key },
      files: { 'certificates/partner-ca.pem': cert, 'certificates/sluice.pem': cert },
    })
    onTestFailed(() => void process.stderr.write(example.logs()))
    partner.answerNext({ body: '1001' }, fault('Server', 'The database is busy'))
    partner.loseAnswers({ body: '1002' }, 1)
    await example.edit('99.90', '-99.90')
    expect(await example.run(3)).toMatchObject({ added: { detected: 3, delivered: 2, rejected: 1 } })
    expect(await example.failed()).toMatchObject([
      { key: '1003', outcome: 'rejected', error: expect.stringContaining('is no amount') },
    ])

    await example.edit('-99.90', '99.90')
    await example.edit("<fragile> & 'heavy'", 'fragile')
    await example.edit('1001,Lovelace Ltd,120.00,\n', '')
    // The partner carries the cancellation out, and says of the second one that there is no such order.
    partner.loseAnswers({ body: 'cancelOrder' }, 1)
    expect(await example.run()).toMatchObject({
      added: { delivered: 1 },
      changed: { delivered: 1 },
      removed: { delivered: 1, attempts: 2 },
    })
    await expectSame(example, partner)
    expect(partner.tokens.length).toBeLessThanOrEqual(2)
    await example.expectNoSecrets({ preview: true, besides: partner.tokens })
  })
}

async function expectSame(example: Example, { orders }: PretendPartner): Promise<void> {
  const wanted = (await example.rows()).map(({ number = '', customer, total, note }) => {
    return [number, { customer, total, note }] as const
  })
  expect(Object.fromEntries(orders)).toEqual(Object.fromEntries(wanted))
}
