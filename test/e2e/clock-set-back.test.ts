/**
 * The clock of the machine is set back, between runs and in the middle of one. The numbers and order of the
 * runs, the queue, pauses, counts of failures and the end of a run do not depend on it.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { newestFirst } from '@sluice/control/history/log-history'
import { OneProcess } from './one-process.ts'

const DAY_MS = 86_400_000

let world: OneProcess | null = null
beforeEach(() => {
  // Only the time of day changes. Timers and the monotonic clock go on.
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
})
afterEach(async () => {
  await world?.[Symbol.asyncDispose]()
  vi.useRealTimers()
})

/** Sets the clock back by a day. */
const setBack = (): void => void vi.setSystemTime(Date.now() - DAY_MS)

describe('runs while the clock is set back', () => {
  it('keep their numbers and their order, send each row once, and end', async () => {
    world = await OneProcess.open({ maxDuration: '1m' })
    const { api } = world
    world.start()
    await world.setRows([1, 2, 3])
    const first = await world.run()
    setBack()
    await world.setRows([2, 3, 4])
    const second = await world.run()
    // In the middle of a run, with another one behind it.
    const answers = Promise.withResolvers<void>()
    api.gate = answers.promise
    await world.setRows([3, 4, 5])
    const third = await world.command()
    await world.until(third, ({ complete }) => complete)
    setBack()
    await world.setRows([4, 5, 6])
    const fourth = await world.command()
    const joined = await world.command()
    await world.until(joined, ({ status }) => status === 'cancelled')
    setBack()
    answers.resolve()
    await world.ended(fourth)

    const ran = world.events().filter(({ run }) => run !== null)
    expect(ran.map(({ runId, run, status }) => [runId, run, status])).toEqual([
      [first.runId, 1, 'success'],
      [second.runId, 2, 'success'],
      [third, 3, 'success'],
      [fourth, 4, 'success'],
    ])
    const listed = newestFirst(world.log.runs.all()).map(({ event }) => event.runId)
    expect(listed).toEqual([joined, fourth, third, second.runId, first.runId])
    expect(api.ids).toEqual(new Set([4, 5, 6]))
    expect(api.requests.toSorted()).toEqual(
      [
        ...[1, 2, 3, 4, 5, 6].map(id => `PUT /rows/${id}`),
        ...[1, 2, 3].map(id => `DELETE /rows/${id}`),
      ].toSorted(),
    )
  })

  it('pause for a throttled destination as long as ever', async () => {
    world = await OneProcess.open()
    const { api } = world
    world.start()
    setBack()
    await world.setRows([1])
    const askedAt: number[] = []
    api.statusOf = () => (askedAt.push(performance.now()) === 1 ? 429 : 200)
    expect(await world.run()).toMatchObject({ status: 'success', counts: { added: { delivered: 1 } } })
    const [throttled = 0, again = 0] = askedAt
    expect(askedAt).toHaveLength(2)
    expect(again - throttled).toBeGreaterThan(900)
  })

  it('give a row up after as many failures as ever', async () => {
    world = await OneProcess.open({ errors: { giveUpAfter: 2 } })
    const { api } = world
    world.start()
    await world.setRows([1])
    api.statusOf = () => 400
    for (let run = 0; run < 4; run += 1) {
      await world.run()
      setBack()
    }
    expect(api.sent).toEqual([1, 1])
    expect(world.events().map(({ status }) => status)).toEqual(['warning', 'warning', 'success', 'success'])
  })
})
