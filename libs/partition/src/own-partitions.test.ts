import { setImmediate } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { SluiceError } from '@sluice/contracts/errors'
import { Notifier } from '@sluice/flow/notifier'
import { createLocalLocks } from '@sluice/partition/adapters/local'
import type { Locks } from '@sluice/partition/port'
import { openTestLog, PREFIX } from '@sluice/testkit/test-log'
import { ownPartitions, type Worker } from './own-partitions.ts'
import { sharedTopics, SHARED_PARTITIONS } from '@sluice/topics/topics'

const { signal } = new AbortController()

it('a successor begins a partition only once the worker of a member that drains is done', async () => {
  await using world = await openTestLog({ partitions: 0 })
  const drains = [new AbortController(), new AbortController()] as const
  const happened: string[] = []
  /** Resolves once the second member asks for its first partition. */
  const asked = Promise.withResolvers<void>()
  const local = createLocalLocks()
  const locks: Locks = {
    trouble: null,
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
      locks,
      group: 'g',
      topic: sharedTopics(PREFIX).commands,
      lockName: ({ partition }) => `p${partition}`,
      work,
      onTransientFailure: (_target, error) => happened.push(`${name} fails: ${String(error)}`),
      drain,
      abort: signal,
    })
    return { started: started.promise, done }
  }
  const finishing = Promise.withResolvers<void>()
  const first = member('first', drains[0].signal, finishing.promise)
  await first.started
  drains[0].abort()
  const second = member('second', drains[1].signal, Promise.resolve())
  await asked.promise
  // A member has what it is given by the next turn.
  await setImmediate()
  expect(happened).toEqual(['first begins'])
  finishing.resolve()
  await Promise.all([first.done, second.started])
  drains[1].abort()
  await second.done
  expect(happened).toEqual(['first begins', 'first is done', 'second begins', 'second is done'])
})

it('a member that gets no locks leaves its partitions to others, and joins again once it gets some', async () => {
  await using world = await openTestLog({ partitions: 0 })
  const local = createLocalLocks()
  let cutOff = false
  const drain = new AbortController()
  const unreachable = () => new SluiceError('unreachable', 'nobody answers', { retryable: true })
  const locks: Locks = {
    trouble: null,
    async acquire(name, options) {
      if (cutOff) throw unreachable()
      const lock = await local.acquire(name, options)
      return {
        get held() {
          return lock.held && !cutOff
        },
        [Symbol.asyncDispose]: () => lock[Symbol.asyncDispose](),
      }
    },
    [Symbol.asyncDispose]: () => local[Symbol.asyncDispose](),
  }
  /** The member that works on each partition. */
  const workers = new Map<number, string>()
  const changes = new Notifier()
  const until = async (isSo: () => boolean): Promise<void> => {
    for (;;) {
      const seen = changes.version
      if (isSo()) return
      await changes.after(seen, { signal })
    }
  }
  const member = (name: string, of: Locks, work: (worker: Worker) => Promise<void>) =>
    ownPartitions({
      log: world.log,
      locks: of,
      group: 'group',
      topic: sharedTopics(PREFIX).commands,
      lockName: ({ partition }) => String(partition),
      work: async worker => {
        workers.set(worker.target.partition, name)
        changes.notify()
        await work(worker)
      },
      onTransientFailure: () => {},
      drain: drain.signal,
      abort: signal,
    })
  const drained = ({ drain: stop }: Worker): Promise<void> =>
    new Promise(resolve => (stop.aborted ? resolve() : stop.addEventListener('abort', () => resolve())))
  const failing = new AbortController()
  const first = member('first', locks, async worker => {
    await Promise.race([
      drained(worker),
      new Promise(resolve => failing.signal.addEventListener('abort', resolve, { once: true })),
    ])
    // Delivery does the same when the server of the limits does not answer.
    if (cutOff) throw unreachable()
  })
  await until(() => workers.size === SHARED_PARTITIONS)
  const second = member('second', local, drained)
  await until(() => [...workers.values()].includes('second'))
  cutOff = true
  failing.abort()
  await until(() => [...workers.values()].every(name => name === 'second'))
  cutOff = false
  await until(() => [...workers.values()].includes('first'))
  drain.abort()
  await Promise.all([first, second])
}, 30_000)
