import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { steadyMembership } from '@sluice/testkit/steady-membership'
import { PositionHints } from './position-hints.ts'

const target = { topic: 'requests', partition: 3 }

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function hints(commit: (offset: number) => Promise<boolean>) {
  let position = 5
  const killed = new AbortController()
  const membership = { ...steadyMembership(), commit: (_target: unknown, offset: number) => commit(offset) }
  const kept = new PositionHints({ target, membership, abort: killed.signal }, { position: () => position })
  return { kept, killed, moveTo: (offset: number) => (position = offset) }
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
  await kept[Symbol.asyncDispose]()
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
  await kept[Symbol.asyncDispose]()
})

it('commits the last position, though another commit was under way when it was told to', async () => {
  const committed: number[] = []
  const first = Promise.withResolvers<boolean>()
  const { kept, moveTo } = hints(offset =>
    committed.push(offset) === 1 ? first.promise : Promise.resolve(true),
  )
  kept.now()
  moveTo(9)
  kept.now()
  const ended = kept[Symbol.asyncDispose]()
  first.resolve(true)
  await ended
  expect(committed).toEqual([5, 9])
})

it.each([
  ['the last commit', false],
  ['what else a round tells', true],
])('holds up nobody for longer than a second if %s is not answered', async (_, isTelling) => {
  const never = Promise.withResolvers<never>()
  const membership = {
    ...steadyMembership(),
    commit: () => (isTelling ? Promise.resolve(true) : never.promise),
  }
  const worker = { target, membership, abort: new AbortController().signal }
  const kept = new PositionHints(worker, { position: () => 5, onRound: () => never.promise })
  if (isTelling) kept.now()
  let hasEnded = false
  const ended = kept[Symbol.asyncDispose]().then(() => (hasEnded = true))
  await vi.advanceTimersByTimeAsync(999)
  expect(hasEnded).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  expect(await ended).toBe(true)
})

it('commits nothing more once the worker has to stop', async () => {
  const committed: number[] = []
  const { kept, killed } = hints(offset => Promise.resolve(committed.push(offset) > 0))
  killed.abort()
  await kept[Symbol.asyncDispose]()
  expect(committed).toEqual([])
})
