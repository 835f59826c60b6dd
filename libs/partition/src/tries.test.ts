import { expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import { Tries } from './tries.ts'

const torn = new SluiceError('corrupt', 'no Avro')

/** Tries by a clock of their own; `pauses` says which pause in a row each failure has, from 1 on. */
function watched() {
  const pauses: number[] = []
  let nowMs = 0
  const setAside = { failed: () => Promise.resolve(), works: () => undefined, left: () => undefined }
  const tries = new Tries({ onSetback: () => undefined, setAside, now: () => nowMs }, null)
  const failAfter = async (ms: number): Promise<void> => {
    tries.begins()
    nowMs += ms
    const pauseMs = await tries.failed(torn)
    // Each pause is twice the one before, less or more a quarter.
    pauses.push(Math.round(Math.log2(pauseMs / 1000)) + 1)
  }
  return { tries, pauses, failAfter }
}

it('failures that come soon one after the other have ever longer pauses', async () => {
  const { tries, pauses, failAfter } = watched()
  using _ends = tries
  for (const ms of [10, 59_000, 10]) await failAfter(ms)
  expect(pauses).toEqual([1, 2, 3])
})

it('the pause is a first one again once a try has lasted for a minute', async () => {
  const { tries, pauses, failAfter } = watched()
  using _ends = tries
  for (const ms of [10, 60_000, 10]) await failAfter(ms)
  expect(pauses).toEqual([1, 1, 2])
})
