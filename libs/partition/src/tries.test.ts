import { expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import { Tries } from './tries.ts'

const torn = new SluiceError('corrupt', 'no Avro')

/** Tries by a clock of their own; `failures` are what those who have to know are told. */
function watched() {
  const failures: number[] = []
  let nowMs = 0
  const setAside = {
    failed: (_target: unknown, _error: unknown, count: number) => {
      failures.push(count)
      return Promise.resolve()
    },
    works: () => undefined,
    left: () => undefined,
  }
  const tries = new Tries({ onSetback: () => undefined, setAside, now: () => nowMs }, null)
  const failAfter = async (ms: number): Promise<void> => {
    tries.begins()
    nowMs += ms
    await tries.failed(torn)
  }
  return { tries, failures, failAfter }
}

it('failures that come soon one after the other are in a row', async () => {
  const { tries, failures, failAfter } = watched()
  using _ends = tries
  for (const ms of [10, 59_000, 10]) await failAfter(ms)
  expect(failures).toEqual([1, 2, 3])
})

it('a failure is forgotten once a try has lasted for a minute', async () => {
  const { tries, failures, failAfter } = watched()
  using _ends = tries
  for (const ms of [10, 60_000, 10]) await failAfter(ms)
  expect(failures).toEqual([1, 1, 2])
})
