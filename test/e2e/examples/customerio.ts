/** The example of Customer.io: people by their ids, with times as numbers and attributes that go away. */
import { expect, it } from 'vitest'
import { startCustomerio, type PretendCustomerio } from '../../vendors/customerio.ts'
import type { Profile } from '../embedded-profile.ts'
import { openExample, type Example } from './example.ts'

const SITE = 'bd17a4a1c0ff33aa9e51'
const KEY = '0d1ee7f5c6a84cb3b1f2'

export function customerioExample(profile: Profile): void {
  it('Customer.io keeps people as the rows are, through lost answers and a row that is refused', async ({
    onTestFailed,
  }) => {
    await using customerio = await startCustomerio(SITE, KEY)
    await using example = await openExample(profile, {
      ...{ folder: 'customerio', file: 'people.csv', sync: 'customerio-people' },
      env: { CUSTOMERIO_URL: customerio.url },
      secrets: { 'customerio-site-id': SITE, 'customerio-api-key': KEY },
    })
    onTestFailed(() => void process.stderr.write(example.logs()))
    customerio.loseAnswers({ body: 'ada' }, 1)
    expect(await example.run()).toMatchObject({ added: { delivered: 3, requests: 3, attempts: 4 } })
    await expectSame(example, customerio)

    await example.edit('"Grace ""Amazing"" Hopper",solo', `"${'Grace '.repeat(200)}",`)
    await example.edit('u/1,ada@example.com,Ada Lovelace,team,2024-02-29 12:00:00\n', '')
    await example.edit('', 'u/4,alan@example.com,Alan Turing,team,2024-05-01 08:30:00\n')
    customerio.answerNext({ method: 'DELETE' }, { status: 503, body: '' })
    expect(await example.run(3)).toMatchObject({
      added: { delivered: 1 },
      changed: { detected: 1, rejected: 1 },
      removed: { delivered: 1, attempts: 2 },
    })
    const error = "HTTP 400: value for attribute 'name' cannot be longer than 1000 bytes"
    expect(await example.failed()).toMatchObject([{ key: 'u/2', error }])
    await example.edit('Grace '.repeat(200), 'Grace Hopper')
    expect(await example.run()).toMatchObject({ changed: { delivered: 1 } })
    await expectSame(example, customerio)
    await example.expectNoSecrets()
  })
}

async function expectSame(example: Example, { people }: PretendCustomerio): Promise<void> {
  const wanted = (await example.rows()).map(({ id = '', email, name, plan, signed_up: at = '' }) => {
    const known = { email, name, ...(plan === '' ? {} : { plan }) }
    const seconds = Date.parse(`${at.replace(' ', 'T')}Z`) / 1000
    return [id, at === '' ? known : { ...known, created_at: seconds }] as const
  })
  expect(Object.fromEntries(people)).toEqual(Object.fromEntries(wanted))
}
