/** The example of HubSpot: batches of which some rows are wrong, and ids that are captured from them. */
import { expect, it } from 'vitest'
import { startHubspot, TOO_MANY, type PretendHubspot } from '../../vendors/hubspot.ts'
import type { Profile } from '../embedded-profile.ts'
import { openExample, type Example } from './example.ts'

const TOKEN = 'pat-eu1-2b1f0e6a-7c55-4a9e-9f0d-3c8f6b1d2e4a'

export function hubspotExample(profile: Profile): void {
  it('HubSpot takes the right rows of a batch, and the others once they are right', async ({
    onTestFailed,
  }) => {
    await using hubspot = await startHubspot(TOKEN)
    await using example = await open(profile, hubspot)
    onTestFailed(() => void process.stderr.write(example.logs()))
    await example.edit('Zoë,Åström,99,CONNECTED', 'Zoë,Åström,99,LOST')
    expect(await example.run(3)).toMatchObject({ added: { delivered: 2, rejected: 1, requests: 1 } })
    const error = expect.stringContaining('LOST was not one of the allowed options')
    expect(await example.failed()).toMatchObject([{ key: 'zoe@example.com', outcome: 'rejected', error }])
    expect(hubspot.contacts.size).toBe(2)

    await example.edit('LOST', 'CONNECTED')
    await example.edit('Lovelace,1250.50,NEW', 'King,,')
    await example.edit('grace@example.com,Grace,Hopper,,OPEN\n', '')
    hubspot.answerNext({ url: 'upsert' }, TOO_MANY)
    hubspot.loseAnswers({ url: 'upsert', body: 'ada' }, 1)
    expect(await example.run(3)).toMatchObject({
      added: { delivered: 1 },
      changed: { detected: 1, unknown: 1 },
      removed: { delivered: 1 },
    })
    expect(await example.run()).toMatchObject({ changed: { delivered: 1 } })
    await expectSame(example, hubspot)
    await example.expectNoSecrets()
  })
}

/** The behaviour of a sync that does not use `objectWriteTraceId`. */
export function moreOfHubspot(profile: Profile): void {
  it('HubSpot refuses a whole batch for one wrong contact, which halves then find', async () => {
    await using hubspot = await startHubspot(TOKEN)
    await using example = await open(profile, hubspot)
    const yaml = 'hubspot-contacts.yaml'
    await example.change(yaml, '        objectWriteTraceId: email\n', '')
    await example.change(yaml, 'email: $.objectWriteTraceId', 'email: $.properties.email')
    await example.change(yaml, 'errors:\n', 'errors:\n  splitBatches: true\n')
    await example.edit('Grace,Hopper,,OPEN', 'Grace,Hopper,,LOST')
    expect(await example.run(3)).toMatchObject({ added: { delivered: 2, rejected: 1 } })
    expect(await example.failed()).toMatchObject([{ key: 'grace@example.com', outcome: 'rejected' }])
    await example.edit('LOST', 'OPEN')
    await example.edit('Ada@example.com,Ada,Lovelace,1250.50,NEW\n', '')
    expect(await example.run()).toMatchObject({ added: { delivered: 1 }, removed: { delivered: 1 } })
    await expectSame(example, hubspot)
  })
}

function open(profile: Profile, hubspot: PretendHubspot): Promise<Example> {
  return openExample(profile, {
    ...{ folder: 'hubspot', file: 'contacts.csv', sync: 'hubspot-contacts' },
    env: { HUBSPOT_URL: hubspot.url },
    secrets: { 'hubspot-token': TOKEN },
  })
}

async function expectSame(example: Example, { contacts }: PretendHubspot): Promise<void> {
  const wanted = (await example.rows()).map(({ email = '', first_name, last_name, revenue, status }) => {
    const properties = { firstname: first_name, lastname: last_name, hs_lead_status: status }
    const amount = revenue === '' || revenue === undefined ? '' : Number(revenue).toFixed(2)
    return [
      email.toLowerCase(),
      { ...properties, email: email.toLowerCase(), annualrevenue: amount },
    ] as const
  })
  const found = [...contacts].map(([email, { properties }]) => [email, properties] as const)
  expect(Object.fromEntries(found)).toEqual(Object.fromEntries(wanted))
}
