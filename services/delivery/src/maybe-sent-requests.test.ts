/**
 * A successor takes the right requests for maybe sent (PROTOCOL.md §8). All that a dead process sent without
 * a record are among the first requests without an attempt, and they are at most twice the concurrency.
 */
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Request } from '@sluice/contracts/records'
import { randomFrom } from '@sluice/testkit/random'
import { keysOf, OK, ScriptedDelivery, type Fate } from '../test/scripted-delivery.ts'

vi.setConfig({ testTimeout: 30_000 })

let lives: ScriptedDelivery
beforeEach(async () => {
  lives = await ScriptedDelivery.open()
})
afterEach(() => lives[Symbol.asyncDispose]())

const FATES: readonly Fate[] = [
  ...[OK, OK, OK, 'time-out', 'broken', 'refused'],
  ...[{ status: 400 }, { status: 500 }, { status: 400, retryAfter: 600 }],
] as const
const SEED = Number(process.env['SLUICE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

/** The first of them are finished before any other is sent. */
const removals = (key: string): Partial<Request> => ({
  trigger: Number(key.slice(1)) < 20 ? 'removed' : 'added',
})

it.each([0, 1, 2, 3, 4, 5, 6, 7])(
  `sends without a record lie within what a successor takes for maybe sent, in a random life (SLUICE_TEST_SEED=${SEED}, %i)`,
  async round => {
    const random = randomFrom(SEED + round)
    const concurrency = 1 + random.below(4)
    const keys = keysOf(80)
    const errors = { attempts: 2, backoff: { first: '1ms', max: '3ms' } }
    const fields = round < 4 ? (): Partial<Request> => ({}) : removals
    const begin = { removalsFirst: round >= 4 }
    // All others wait for the last attempt of a removal.
    const fates = round < 4 ? FATES : FATES.slice(0, -1)
    await lives.begin(keys, { errors, sync: { limits: { concurrency } }, fields, begin })
    for (let life = 0; life < 3; life += 1) {
      const before = lives.api.tries.length
      const answered = 1 + random.below(20)
      lives.api.script = () => (lives.api.tries.length > before + answered ? 'silent' : random.pick(fates))
      const living = lives.live()
      await Promise.race([lives.api.until(before + answered + 1), living.done])
      await living.kill()
      const recorded = new Set((await lives.attempts()).map(({ seq }) => `k${seq}`))
      const sent = new Set(lives.api.tries.slice(before).map(({ key }) => key))
      const unrecorded = [...sent].filter(key => !recorded.has(key))
      const withoutAttempt = keys.filter(key => !recorded.has(key))
      const first = withoutAttempt.slice(0, 2 * concurrency)
      expect(
        unrecorded.filter(key => !first.includes(key)),
        `sent without a record with ${concurrency} at once`,
      ).toEqual([])
    }
  },
)
