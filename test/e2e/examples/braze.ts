/** The example of Braze: wrong users named by their index, and attributes that null takes away. */
import { expect, it } from 'vitest'
import { startBraze, tooMany, type PretendBraze } from '../../vendors/braze.ts'
import type { Profile } from '../embedded-profile.ts'
import { openExample, type Example } from './example.ts'

const KEY = 'a1b2c3d4-e5f6-4789-8abc-def012345678'

export function brazeExample(profile: Profile): void {
  it('Braze takes the users that are right, and says by index which are not', async ({ onTestFailed }) => {
    await using braze = await startBraze(KEY)
    await using example = await openExample(profile, {
      ...{ folder: 'braze', file: 'users.csv', sync: 'braze-users' },
      env: { BRAZE_URL: braze.url },
      secrets: { 'braze-key': KEY },
    })
    onTestFailed(() => void process.stderr.write(example.logs()))
    await example.edit('grace@example.com', 'grace at example.com')
    braze.answerNext({}, tooMany(Date.now()))
    expect(await example.run(3)).toMatchObject({ added: { delivered: 2, rejected: 1, requests: 1 } })
    const wrong = { key: 'u-2', outcome: 'rejected', error: expect.stringContaining("'email' is not valid") }
    expect(await example.failed()).toMatchObject([wrong])

    // Nothing but the wrong one is left of the added rows. So Braze answers 400, and still by index.
    await example.edit('Zoë,solo', 'Zoë,')
    await example.edit('u-1,ada@example.com,Ada,team\n', '')
    braze.loseAnswers({ body: 'zoe' }, 1)
    expect(await example.run(3)).toMatchObject({
      added: { detected: 1, rejected: 1 },
      changed: { detected: 1, unknown: 1 },
      removed: { delivered: 1 },
    })
    expect(await example.failed()).toMatchObject([wrong, { key: 'u-3', outcome: 'unknown' }])
    await example.edit('grace at example.com', 'grace@example.com')
    expect(await example.run()).toMatchObject({ added: { delivered: 1 }, changed: { delivered: 1 } })
    await expectSame(example, braze)
    await example.expectNoSecrets()
  })
}

async function expectSame(example: Example, { users }: PretendBraze): Promise<void> {
  const wanted = (await example.rows()).map(({ id = '', email, first_name, plan }) => {
    const attributes = { email, first_name }
    return [id, plan === '' ? attributes : { ...attributes, plan }] as const
  })
  expect(Object.fromEntries(users)).toEqual(Object.fromEntries(wanted))
}
