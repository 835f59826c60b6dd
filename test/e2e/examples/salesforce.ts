/**
 * The example of Salesforce: results by position, tokens that end early, and records that others have locked.
 */
import { generateKeyPairSync } from 'node:crypto'
import { expect, it } from 'vitest'
import { LIMIT_EXCEEDED, startSalesforce, type PretendSalesforce } from '../../vendors/salesforce.ts'
import type { Profile } from '../embedded-profile.ts'
import { openExample, type Example } from './example.ts'

const APP = { consumerKey: '3MVG9lKcPoNINVBIPJjdw1J9LLM82HnFVVX19KY1uA5mu0', username: 'sluice@example.com' }

export function salesforceExample(profile: Profile): void {
  it('Salesforce takes records one by one, through locks and ended sessions', async ({ onTestFailed }) => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    })
    await using salesforce = await startSalesforce({ ...APP, publicKey })
    await using example = await openExample(profile, {
      ...{ folder: 'salesforce', file: 'accounts.csv', sync: 'salesforce-accounts' },
      env: { SALESFORCE_URL: salesforce.url, SALESFORCE_CONSUMER_KEY: APP.consumerKey },
      secrets: { 'salesforce-key': privateKey },
    })
    onTestFailed(() => void process.stderr.write(example.logs()))
    salesforce.lock('A-2', 2)
    await example.edit('Åström AB,7', ',7')
    expect(await example.run(3)).toMatchObject({ added: { detected: 3, delivered: 2, rejected: 1 } })
    const error = expect.stringContaining('Required fields are missing: [Name]')
    expect(await example.failed()).toMatchObject([{ key: 'A-3', outcome: 'rejected', error }])
    expect(salesforce.tokens).toHaveLength(1)

    salesforce.endSessions()
    await example.edit(',,7', ',Åström AB,8')
    await example.edit('"Hopper & ""Sons""",300,', 'Hopper & Daughters,,Arlington')
    await example.edit('A-1,Lovelace Ltd,12,London\n', '')
    salesforce.answerNext({ method: 'PATCH' }, LIMIT_EXCEEDED)
    // The second try is told that the record is deleted.
    salesforce.loseAnswers({ method: 'DELETE' }, 1)
    expect(await example.run()).toMatchObject({
      added: { delivered: 1 },
      changed: { delivered: 1 },
      removed: { delivered: 1 },
    })
    expect(salesforce.tokens).toHaveLength(2)
    await expectSame(example, salesforce)
    await example.expectNoSecrets({ besides: salesforce.tokens })
  })
}

async function expectSame(example: Example, { accounts }: PretendSalesforce): Promise<void> {
  const wanted = (await example.rows()).map(({ id = '', name, employees, site = '' }) => {
    const count = employees === '' ? null : Number(employees)
    return [id, { Name: name, NumberOfEmployees: count, Site: site === '' ? null : site }] as const
  })
  const found = [...accounts].map(([id, { fields }]) => [id, fields] as const)
  expect(Object.fromEntries(found)).toEqual(Object.fromEntries(wanted))
}
