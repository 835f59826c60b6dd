import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createShutdown, type Shutdown, type ShutdownOptions } from './shutdown.ts'

const host = Object.assign(new EventEmitter(), { exit: vi.fn() })
let phases: string[] = []
const open: Shutdown[] = []
const create = (over: Partial<ShutdownOptions> = {}): Shutdown => {
  const shutdown = createShutdown({
    timeoutMs: 1000,
    forceAfterMs: 500,
    process: host,
    onPhase: (phase, why) => phases.push(`${phase}: ${why}`),
    ...over,
  })
  open.push(shutdown)
  return shutdown
}

beforeEach(() => {
  vi.useFakeTimers()
  phases = []
  host.exit.mockReset()
})
afterEach(() => {
  for (const shutdown of open.splice(0)) shutdown[Symbol.dispose]()
  vi.useRealTimers()
  expect(host.eventNames()).toEqual([])
})

it('drains at the first signal, aborts at the deadline, and ends a process that still hangs', () => {
  const { drain, abort } = create()
  host.emit('SIGTERM')
  expect([drain.aborted, abort.aborted]).toEqual([true, false])
  vi.advanceTimersByTime(999)
  expect(abort.aborted).toBe(false)
  vi.advanceTimersByTime(1)
  expect(abort.aborted).toBe(true)
  expect(host.exit).not.toHaveBeenCalled()
  vi.advanceTimersByTime(500)
  expect(host.exit).toHaveBeenCalledWith(143)
  expect(phases).toEqual([
    'draining: SIGTERM',
    'aborting: not drained within 1000 ms',
    'forced: still there 500 ms after not drained within 1000 ms',
  ])
})

it('a second signal aborts at once', () => {
  const { abort } = create()
  host.emit('SIGINT')
  host.emit('SIGTERM')
  host.emit('SIGTERM')
  expect(abort.aborted).toBe(true)
  expect(phases).toEqual(['draining: SIGINT', 'aborting: a second signal, SIGTERM'])
})

it('work that is done in time ends without an abort', () => {
  const shutdown = create()
  shutdown.begin('the run is over')
  shutdown.begin('again')
  shutdown[Symbol.dispose]()
  vi.advanceTimersByTime(10_000)
  expect(shutdown.abort.aborted).toBe(false)
  expect(phases).toEqual(['draining: the run is over'])
  expect(shutdown.drain.reason).toMatchObject({ message: 'shutting down: the run is over' })
})
