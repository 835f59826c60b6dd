import { expect, it } from 'vitest'
import { FakeClock } from './fake-clock.ts'

const never = new AbortController().signal

it('fires due timers in the order of their times, and then in the order in which they were set', async () => {
  const clock = new FakeClock(0)
  const fired: string[] = []
  const waits = [
    clock.sleep(20, { signal: never }).then(() => fired.push('late')),
    clock.sleep(10, { signal: never }).then(() => fired.push('early')),
    clock.sleep(20, { signal: never }).then(() => fired.push('later')),
  ]
  clock.advance(20)
  await Promise.all(waits)
  expect(fired).toEqual(['early', 'late', 'later'])
  expect(clock.now()).toBe(20)
})

it('a sleep ends with the reason of its signal and leaves no timer', async () => {
  const clock = new FakeClock()
  const abort = new AbortController()
  const asleep = clock.sleep(1000, { signal: abort.signal })
  abort.abort(new Error('woken'))
  await expect(asleep).rejects.toThrow('woken')
  expect(clock.pendingTimers).toBe(0)
  expect(clock.advanceToNext()).toBe(false)
})

it('refuses to move back by advancing', () => {
  expect(() => new FakeClock().advance(-1)).toThrow(RangeError)
})
