import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { createLocalHolds } from '@sluice/holds/adapters/local'
import type { Holds } from '@sluice/holds/port'
import { steadyMembership } from '@sluice/testkit/steady-membership'
import { openTestLog, PREFIX } from '@sluice/testkit/test-log'
import { isMember, ownPartitions, type Worker } from './own-partitions.ts'
import { sharedTopics, SHARED_PARTITIONS } from './topics.ts'

const { signal } = new AbortController()

it('a successor begins a partition only once the worker of a member that drains is done', async () => {
  await using world = await openTestLog({ partitions: 0 })
  const drains = [new AbortController(), new AbortController()] as const
  const happened: string[] = []
  /** Resolves once the second member asks for its first partition. */
  const asked = Promise.withResolvers<void>()
  const local = createLocalHolds()
  const holds: Holds = {
    acquire: (name, options) => {
      if (drains[0].signal.aborted) asked.resolve()
      return local.acquire(name, options)
    },
    [Symbol.asyncDispose]: () => local[Symbol.asyncDispose](),
  }
  /** A member whose workers, once drained, are done when `finish` resolves. */
  function member(name: string, drain: AbortSignal, finish: Promise<void>) {
    const started = Promise.withResolvers<void>()
    let working = 0
    const work = async ({ target, drain: stop }: Worker): Promise<void> => {
      if (target.partition === 0) happened.push(`${name} begins`)
      working += 1
      if (working === SHARED_PARTITIONS) started.resolve()
      if (!stop.aborted)
        await new Promise<void>(resolve => stop.addEventListener('abort', () => resolve(), { once: true }))
      await finish
      if (target.partition === 0) happened.push(`${name} is done`)
    }
    const done = ownPartitions({
      log: world.log,
      holds,
      group: 'g',
      topic: sharedTopics(PREFIX).commands,
      holdOf: ({ partition }) => `p${partition}`,
      work,
      onSetback: (_target, error) => happened.push(`${name} fails: ${String(error)}`),
      drain,
      signal,
    })
    return { started: started.promise, done }
  }
  const finishing = Promise.withResolvers<void>()
  const first = member('first', drains[0].signal, finishing.promise)
  await first.started
  drains[0].abort()
  const second = member('second', drains[1].signal, Promise.resolve())
  await asked.promise
  // Whoever is given what it asks for has it by the next turn.
  await setImmediate()
  expect(happened).toEqual(['first begins'])
  finishing.resolve()
  await Promise.all([first.done, second.started])
  drains[1].abort()
  await second.done
  expect(happened).toEqual(['first begins', 'first is done', 'second begins', 'second is done'])
})

describe('whether the coordinator counts a process as a member', () => {
  const memberHeard = (agoMs: { readonly steady: number; readonly wall: number }): boolean =>
    isMember({
      membership: {
        ...steadyMembership(),
        lastHeartbeatMs: performance.now() - agoMs.steady,
        lastHeartbeatAt: Date.now() - agoMs.wall,
      },
    })

  it('is known for six seconds after a heartbeat', () => {
    expect(memberHeard({ steady: 5_000, wall: 5_000 })).toBe(true)
    expect(memberHeard({ steady: 6_500, wall: 6_500 })).toBe(false)
  })

  it('is not known after the machine was suspended, which stops the steady clock', () => {
    expect(memberHeard({ steady: 100, wall: 600_000 })).toBe(false)
  })

  it('is told by the steady clock where the other was set back', () => {
    expect(memberHeard({ steady: 100, wall: -3_600_000 })).toBe(true)
    expect(memberHeard({ steady: 7_000, wall: -3_600_000 })).toBe(false)
  })
})
