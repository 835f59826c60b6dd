import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { steadyMembership } from '@sluice/testkit/steady-membership'
import { PositionHints } from './position-hints.ts'

const target = { topic: 'requests', partition: 3 }

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function hints(commit: (offset: number) => Promise<boolean>) {
  let position = 5
  const membership = { ...steadyMembership(), commit: (_target: unknown, offset: number) => commit(offset) }
  const kept = new PositionHints({ target, membership }, { position: () => position })
  return { kept, moveTo: (offset: number) => (position = offset) }
}

it('commits the position when it has moved, and at once when it is told to', async () => {
  const committed: number[] = []
  const { kept, moveTo } = hints(offset => Promise.resolve(committed.push(offset) > 0))
  await vi.advanceTimersByTimeAsync(5_000)
  expect(committed).toEqual([5])
  moveTo(9)
  await vi.advanceTimersByTimeAsync(5_000)
  expect(committed).toEqual([5, 9])
  moveTo(12)
  kept.now()
  await vi.advanceTimersByTimeAsync(0)
  kept[Symbol.dispose]()
  moveTo(20)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(committed).toEqual([5, 9, 12])
})

it('goes on after a commit that failed, or was not accepted', async () => {
  const answers = [() => Promise.reject(new Error('away')), () => Promise.resolve(false)]
  let commits = 0
  const { kept } = hints(() => {
    commits += 1
    return answers.shift()?.() ?? Promise.resolve(true)
  })
  await vi.advanceTimersByTimeAsync(60_000)
  expect(commits).toBe(3)
  kept[Symbol.dispose]()
})
