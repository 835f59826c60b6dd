/** The example of Stripe: ids that the API makes, and creations that must not happen twice. */
import { describe, expect, it } from 'vitest'
import { startStripe, TOO_MANY, type PretendStripe } from '../../vendors/stripe.ts'
import type { Profile } from '../embedded-profile.ts'
import { openExample, type Example } from './example.ts'

const KEY = 'sk_test_4eC39HqLyjWDarjtT1zdp7dc'
const CREATE = { method: 'POST', url: '/v1/customers' }

export function stripeExample(profile: Profile): void {
  it('Stripe creates one customer though answers are lost, and changes and deletes it by its id', async ({
    onTestFailed,
  }) => {
    await using stripe = await startStripe(KEY)
    await using example = await open(profile, stripe)
    onTestFailed(() => void process.stderr.write(example.logs()))
    stripe.loseAnswers({ ...CREATE, body: 'ada' }, 1)
    stripe.loseAnswers({ ...CREATE, body: 'zoe' }, 4)
    expect(await example.run(3)).toMatchObject({
      added: { detected: 4, delivered: 3, unknown: 1, requests: 4, attempts: 8 },
    })
    expect(await example.failed()).toMatchObject([{ key: '4', outcome: 'unknown' }])
    const ids = [...stripe.customers.keys()]

    await example.edit('Smith & Sons = 100 %', 'Smith & Daughters')
    await example.edit('2,"Grace ""Amazing"" Hopper",grace@example.com,solo', '2,Grace,grace@example.com,')
    await example.edit('1,Ada Lovelace,ada@example.com,team\n', '')
    expect(await example.run()).toMatchObject({
      added: { detected: 1, delivered: 1 },
      changed: { delivered: 2 },
      removed: { delivered: 1 },
    })
    await expectSame(example, stripe)
    expect(stripe.replays()).toBe(5)
    expect(ids).toEqual(expect.arrayContaining([...stripe.customers.keys()]))
    await example.expectNoSecrets()
  })
}

export function moreOfStripe(profile: Profile): void {
  describe('Stripe', () => {
    it('changes a customer whose id came with an answer that Stripe had kept', async () => {
      await using stripe = await startStripe(KEY)
      await using example = await open(profile, stripe)
      stripe.loseAnswers({ ...CREATE, body: 'zoe' }, 4)
      await example.run(3)
      await example.run()
      await example.edit('4,Zoë Åström', '4,Zoë Berg')
      expect(await example.run()).toMatchObject({ changed: { delivered: 1 } })
      await expectSame(example, stripe)
    })

    it('is waited for when it asks for that, and gets back what was deleted in the Dashboard', async () => {
      await using stripe = await startStripe(KEY)
      await using example = await open(profile, stripe)
      stripe.answerNext(CREATE, TOO_MANY)
      expect(await example.run()).toMatchObject({ added: { delivered: 4, requests: 4 } })
      expect(stripe.requests).toHaveLength(5)

      for (const [id, { email }] of stripe.customers) if (email !== 'zoe@example.com') stripe.deleteByHand(id)
      await example.edit('1,Ada Lovelace', '1,Ada King')
      await example.edit('2,"Grace ""Amazing"" Hopper",grace@example.com,solo\n', '')
      expect(await example.run(3)).toMatchObject({
        changed: { detected: 1, rejected: 1 },
        removed: { detected: 1, delivered: 1 },
      })
      expect(await example.run()).toMatchObject({ added: { delivered: 1 } })
      await example.edit('1,Ada King', '1,Ada Lovelace')
      await example.edit('3,Smith & Sons = 100 %,office@smith.example,team\n', '')
      await example.run()
      await expectSame(example, stripe)
      await example.expectNoSecrets({ preview: true })
    })
  })
}

function open(profile: Profile, stripe: PretendStripe): Promise<Example> {
  return openExample(profile, {
    ...{ folder: 'stripe', file: 'customers.csv', sync: 'stripe-customers' },
    env: { STRIPE_URL: stripe.url },
    secrets: { 'stripe-key': KEY },
  })
}

/** Each row has one customer, and each customer a row. */
async function expectSame(example: Example, { customers }: PretendStripe): Promise<void> {
  const wanted = (await example.rows()).map(({ id, name, email, plan }) => ({
    ...{ name, email },
    metadata: { customer_id: id, ...(plan === '' ? {} : { plan }) },
  }))
  expect(inOrder([...customers.values()])).toEqual(inOrder(wanted))
}

function inOrder(values: readonly object[]): readonly object[] {
  return [...values].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}
